"""The edge to market_service: the only source of quotes and market rules, and the age of each when it is judged."""

import time
from collections import OrderedDict
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeVar

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration

from kernel.errors import Unavailable
from policy.model import Level, MarketRules, Quality, Quote
from protos.market.v1 import market_pb2 as pb
from trade_service import reasons
from trade_service.ports import Aged

if TYPE_CHECKING:
    from protos.market.v1.market_pb2_grpc import MarketServiceAsyncStub  # a name of the stubs only

Request = TypeVar("Request")
T = TypeVar("T")

CALL_TIMEOUT_SECONDS: Final = 2.0
RETRY_AFTER_SECONDS: Final = 1.0
RULES_KEPT_SECONDS: Final = 60.0
"""The rule that judges them admits an hour; minimums drift with the price, so they are read again every minute."""
RULES_KEPT_MAX: Final = 1_000
NO_BOUND: Final = Decimal(10) ** 12
"""For a maximum that the exchange does not name."""
NANOSECONDS: Final = Decimal(10) ** 9

_QUALITY: Final = {pb.QUALITY_GOOD: Quality.GOOD, pb.QUALITY_RESYNCING: Quality.RESYNCING}
_ABSENT: Final = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION})
"""market_service answered, and has no such fact: that denies. Any other failure means that it cannot be asked."""


class MarketService:
    """What market_service knows, asked over gRPC."""

    def __init__(self, stub: "MarketServiceAsyncStub") -> None:
        """Use the channel's stub."""
        self._stub = stub
        self._rules: OrderedDict[str, Aged[MarketRules]] = OrderedDict()

    async def market_rules(self, market: str) -> Aged[MarketRules] | None:
        """Return the exchange's rules of a market, at most a minute after they were asked for; None if unknown.

        Raises:
            Unavailable: market_service cannot be asked, and nothing recent is at hand.
        """
        kept = self._rules.get(market)
        if kept is not None and time.monotonic() - kept.asked_at < RULES_KEPT_SECONDS:
            return kept
        asked_at = time.monotonic()
        response = await self._ask(self._stub.GetMarket, pb.GetMarketRequest(market=market))
        if response is None:
            return None
        rules = Aged(_rules_of(response), asked_at)
        self._rules[market] = rules
        if len(self._rules) > RULES_KEPT_MAX:
            self._rules.popitem(last=False)
        return rules

    async def quote(self, market: str, *, bids: int, asks: int, max_age: timedelta) -> Aged[Quote] | None:
        """Return so many levels of either side of the book; None when market_service has none that is young enough.

        Raises:
            Unavailable: market_service cannot be asked.
        """
        asked_at = time.monotonic()
        oldest = Duration()
        oldest.FromTimedelta(max_age)
        request = pb.GetOrderBookRequest(market=market, depth=max(bids, asks), max_age=oldest)
        response = await self._ask(self._stub.GetOrderBook, request)
        return None if response is None else Aged(_quote_of(response, bids, asks), asked_at)

    async def _ask(self, method: "grpc.aio.UnaryUnaryMultiCallable[Request, T]", request: Request) -> T | None:
        try:
            return await method(request, timeout=CALL_TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() in _ABSENT:
                return None
            message = f"market_service does not answer ({error.code().name}); nothing was judged"
            raise Unavailable(reasons.MARKET_UNAVAILABLE, message, retry_after_seconds=RETRY_AFTER_SECONDS) from None


def _rules_of(response: pb.GetMarketResponse) -> MarketRules:
    market = response.market
    return MarketRules(
        market=market.market,
        status=_word(pb.MarketStatus.Name(market.status), "MARKET_STATUS_"),
        base=market.base,
        quote=market.quote,
        tick_size=Decimal(market.tick_size),
        quantity_decimals=market.quantity_decimals,
        notional_decimals=market.notional_decimals,
        min_base=Decimal(market.min_base_amount),
        min_quote=Decimal(market.min_quote_amount),
        max_base=Decimal(market.max_base_amount) if market.HasField("max_base_amount") else NO_BOUND,
        max_quote=Decimal(market.max_quote_amount) if market.HasField("max_quote_amount") else NO_BOUND,
        order_types=tuple(_word(pb.OrderType.Name(each), "ORDER_TYPE_") for each in market.order_types),
        age_seconds=_age(response.freshness),
    )


def _quote_of(response: pb.GetOrderBookResponse, bids: int, asks: int) -> Quote:
    return Quote(
        market=response.market,
        bids=tuple(Level(Decimal(level.price), Decimal(level.size)) for level in response.bids[:bids]),
        asks=tuple(Level(Decimal(level.price), Decimal(level.size)) for level in response.asks[:asks]),
        quality=_QUALITY.get(response.freshness.quality, Quality.STALE),
        age_seconds=_age(response.freshness),
    )


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()


def _age(freshness: pb.Freshness) -> Decimal:
    return freshness.age.seconds + freshness.age.nanos / NANOSECONDS
