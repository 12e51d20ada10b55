"""All that trade_service can ask of the exchange: every method is one endpoint, one emission.

`TradeClient` answers what a reply proves (`bitvavo.reply`) and never raises for what the network or the exchange
does to a create, look-up or cancel; list reads raise `ExchangeUnavailableError`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httpx

from bitvavo import endpoints
from bitvavo.endpoints import TRADE_ENDPOINTS
from bitvavo.market import parse_time
from bitvavo.order import Order, OwnTrade, parse_orders, parse_own_trades
from bitvavo.rate import RateObserver
from bitvavo.reply import (
    CancelReply,
    LookupReply,
    OrderReply,
    Unclear,
    classify_cancel,
    classify_create,
    classify_lookup,
)
from bitvavo.session import READ_WINDOW_MS, Session
from bitvavo.signing import Credentials
from bitvavo.transport import ExchangeTransportError

MAX_PAGE: Final = 1000
"""Rows of one list read; a page with as many may have a successor, a shorter one is complete."""


def wall_clock_ms() -> int:
    """Return this machine's Unix time in ms: good enough to sign a read or a cancel, never a create."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class ServerTime:
    """One answer of ``GET /time``: the exchange's Unix ms, and our monotonic seconds before and after."""

    server_ms: int
    sent_at: float
    received_at: float

    @property
    def round_trip_seconds(self) -> float:
        """Return how long the answer took."""
        return self.received_at - self.sent_at


async def read_time(session: Session) -> ServerTime:
    """Ask the exchange's clock."""
    sent_at = time.monotonic()
    server_ms = await session.read(endpoints.TIME, parse_time)
    return ServerTime(server_ms, sent_at, time.monotonic())


class TradeClient:
    """All that trade_service can ask of the exchange."""

    __slots__ = ("_session",)

    def __init__(
        self,
        http: httpx.AsyncClient,
        credentials: Credentials,
        *,
        now_ms: Callable[[], int] = wall_clock_ms,
        observe: RateObserver | None = None,
    ) -> None:
        """Use a client of `bitvavo.transport.open_client`; `now_ms` signs reads and cancels and must not raise.

        Best is `ExchangeClock.read_timestamp_ms`: the exchange may refuse a time ahead of its own. `observe` gets
        the rate headers of every answer and must not raise either.
        """
        self._session = Session(http, TRADE_ENDPOINTS, credentials, now_ms, observe)

    def use(self, credentials: Credentials) -> None:
        """Sign every request from now on with these."""
        self._session.use(credentials)

    async def create_order(
        self,
        body: bytes,
        *,
        timestamp_ms: int,
        window_ms: int,
        timeout_seconds: float,
        client_order_id: str,
        market: str,
    ) -> OrderReply:
        """Send exactly these bytes once, signed for `timestamp_ms`, and say what the answer proves.

        `client_order_id` and `market` are those inside `body`; an order that names others is not ours.
        """
        try:
            answer = await self._session.send(
                endpoints.CREATE_ORDER,
                body=body,
                timestamp_ms=timestamp_ms,
                window_ms=window_ms,
                total_timeout_seconds=timeout_seconds,
            )
        except ExchangeTransportError as error:
            return Unclear(error.fault, not_sent=error.not_sent)
        return classify_create(
            answer.status, answer.headers, answer.body, client_order_id=client_order_id, market=market
        )

    async def get_order(
        self, market: str, client_order_id: str | None = None, *, order_id: str | None = None
    ) -> LookupReply:
        """Look one order up, by one of its ids.

        An order just made may be "not there" for some hundred milliseconds; how long the exchange finds closed ones
        is not documented. So `NotThere` is one piece of evidence, not a proof.
        """
        query = {"market": market, "clientOrderId": client_order_id, "orderId": order_id}
        try:
            answer = await self._session.send(endpoints.GET_ORDER, query)
        except ExchangeTransportError as error:
            return Unclear(error.fault, not_sent=error.not_sent)
        return classify_lookup(
            answer.status,
            answer.headers,
            answer.body,
            market=market,
            client_order_id=client_order_id,
            order_id=order_id,
        )

    async def cancel_order(
        self, market: str, client_order_id: str, operator_id: int, *, window_ms: int = READ_WINDOW_MS
    ) -> CancelReply:
        """Ask for a cancel once. Whatever it answers, read the order afterwards: it may have filled."""
        query = {"market": market, "clientOrderId": client_order_id, "operatorId": operator_id}
        try:
            answer = await self._session.send(endpoints.CANCEL_ORDER, query, window_ms=window_ms)
        except ExchangeTransportError as error:
            return Unclear(error.fault, not_sent=error.not_sent)
        return classify_cancel(answer.status, answer.headers, answer.body, client_order_id=client_order_id)

    async def open_orders(self, market: str | None = None) -> tuple[Order, ...]:
        """List open orders of one market (5 points) or of the account (100 points), also those of other keys."""
        query = {"market": market}
        return await self._session.read(endpoints.OPEN_ORDERS, parse_orders, query)

    async def orders(
        self,
        market: str,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
        order_id_to: str | None = None,
        limit: int = MAX_PAGE,
    ) -> tuple[Order, ...]:
        """List orders of a market, open and closed, newest first; at most 24 h between `start_ms` and `end_ms`."""
        query = {"market": market, "limit": limit, "start": start_ms, "end": end_ms, "orderIdTo": order_id_to}
        return await self._session.read(endpoints.ORDERS, parse_orders, query)

    async def trades(
        self,
        market: str,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
        trade_id_to: str | None = None,
        limit: int = MAX_PAGE,
    ) -> tuple[OwnTrade, ...]:
        """List own trades of a market, newest first; at most 24 h between `start_ms` and `end_ms`."""
        query = {"market": market, "limit": limit, "start": start_ms, "end": end_ms, "tradeIdTo": trade_id_to}
        return await self._session.read(endpoints.OWN_TRADES, parse_own_trades, query)

    async def time(self) -> ServerTime:
        """Ask the exchange's clock, unsigned; feed it to `bitvavo.clock.ExchangeClock`."""
        return await read_time(self._session)
