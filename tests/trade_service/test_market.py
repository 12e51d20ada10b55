"""What becomes of an answer of market_service: a decision keeps the levels that were asked for and no others."""

from datetime import timedelta
from typing import Any, cast

from google.protobuf.duration_pb2 import Duration

from protos.market.v1 import market_pb2 as pb
from trade_service.market import MarketService

AGE = timedelta(seconds=5)


class Stub:
    """Answers one book of any depth, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[pb.GetOrderBookRequest] = []

    async def GetOrderBook(self, request: pb.GetOrderBookRequest, **_: object) -> pb.GetOrderBookResponse:  # noqa: N802
        self.asked.append(request)
        levels = [pb.PriceLevel(price=str(100 + step), size="1") for step in range(request.depth)]
        return pb.GetOrderBookResponse(market=request.market, bids=levels, asks=levels)


async def test_a_quote_has_the_levels_of_either_side_that_a_rule_needs() -> None:
    stub = Stub()
    quote = await MarketService(cast("Any", stub)).quote("BTC-EUR", bids=1, asks=3, max_age=AGE)
    assert stub.asked == [pb.GetOrderBookRequest(market="BTC-EUR", depth=3, max_age=Duration(seconds=5))]
    assert quote is not None
    assert [str(level.price) for level in quote.fact.bids] == ["100"]
    assert [str(level.price) for level in quote.fact.asks] == ["100", "101", "102"]
