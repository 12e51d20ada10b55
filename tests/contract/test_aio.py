"""The same contract through grpc.aio, with fixtures of our own: many calls at once, both services in one job."""

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration

from protos.market.v1 import market_pb2 as market_pb
from protos.trade.v1 import trade_pb2 as pb
from tests.contract.refusal import refused_aio
from tests.contract.stored import Stored
from tests.contract.wishes import ALLOW, DENY, buy, placement, rest, submission

if TYPE_CHECKING:
    from protos.market.v1.market_pb2_grpc import MarketServiceAsyncStub
    from protos.trade.v1.trade_pb2_grpc import TradeServiceAsyncStub


async def test_an_order_is_priced_by_one_service_and_traded_by_the_other(
    aio_market: "MarketServiceAsyncStub", aio_trade: "TradeServiceAsyncStub", user: str
) -> None:
    market = (await aio_market.GetMarket(market_pb.GetMarketRequest(market="ETH-EUR"))).market
    book = await aio_market.GetOrderBook(market_pb.GetOrderBookRequest(market="ETH-EUR", depth=1))
    assert book.freshness.quality == market_pb.QUALITY_GOOD
    price = Decimal(book.asks[0].price)
    amount = (Decimal(60) / price).quantize(Decimal(1).scaleb(-market.quantity_decimals))
    wish = placement(user, rest(f"{price:f}", f"{amount:f}", "ETH-EUR"))
    answer = await aio_trade.PlaceOrder(wish, timeout=10)
    assert answer.decision.outcome == ALLOW
    assert answer.execution.status == pb.EXECUTION_STATUS_FILLED
    assert {Decimal(each.price) for each in answer.execution.fills} == {price}
    fees = await aio_market.GetFees(market_pb.GetFeesRequest(market="ETH-EUR"))
    expected = Decimal(answer.execution.filled_quote) * Decimal(fees.taker)
    assert abs(Decimal(answer.execution.fee_paid) - expected) <= Decimal("0.01")


async def test_forty_executions_of_one_proposal_at_once_are_one_execution(
    aio_trade: "TradeServiceAsyncStub", user: str, stored: Stored
) -> None:
    wish = submission(user)
    await aio_trade.SubmitProposal(wish)
    execute = pb.ExecuteProposalRequest(user_id=user, proposal_id=wish.proposal_id)
    answers = await asyncio.gather(*(aio_trade.ExecuteProposal(execute, timeout=20) for _ in range(40)))
    assert len({each.execution.execution_id for each in answers}) == 1
    assert sum(not each.replayed for each in answers) == 1
    assert stored.value("SELECT count(*) FROM decisions WHERE user_id = %(user)s", user=user) == 1


async def test_twenty_placements_of_one_denied_order_at_once_are_one_decision(
    aio_trade: "TradeServiceAsyncStub", user: str, stored: Stored
) -> None:
    wish = placement(user, buy("50", "XRP-EUR"))
    answers = await asyncio.gather(*(aio_trade.PlaceOrder(wish, timeout=20) for _ in range(20)))
    assert {each.decision.outcome for each in answers} == {DENY}
    assert len({each.decision.decision_id for each in answers}) == 1
    assert sum(not each.replayed for each in answers) == 1
    assert stored.value("SELECT count(*) FROM decisions WHERE user_id = %(user)s", user=user) == 1


async def test_a_callers_request_id_comes_back_and_a_bad_one_is_replaced(aio_trade: "TradeServiceAsyncStub") -> None:
    async def trailing(offered: str) -> str:
        call = aio_trade.ListProposals(
            pb.ListProposalsRequest(user_id="nobody"), metadata=(("x-request-id", offered),), timeout=5
        )
        await call
        return {str(key): str(value) for key, value in await call.trailing_metadata()}["x-request-id"]

    assert await trailing("mine-1") == "mine-1"
    assert await trailing("not acceptable") != "not acceptable"


async def test_both_services_refuse_with_their_own_domain(
    aio_market: "MarketServiceAsyncStub", aio_trade: "TradeServiceAsyncStub"
) -> None:
    told = await refused_aio(aio_trade.GetProposal(pb.GetProposalRequest()))
    assert (told.domain, told.reason, told.fields) == (
        "trade.interlock",
        "INVALID_REQUEST",
        ["user_id", "proposal_id"],
    )
    request = market_pb.GetTickerRequest(market="btc-eur", max_age=Duration(seconds=-1))
    told = await refused_aio(aio_market.GetTicker(request))
    assert (told.domain, told.reason, told.fields) == ("market.interlock", "INVALID_REQUEST", ["market", "max_age"])
