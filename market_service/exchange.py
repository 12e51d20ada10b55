"""Bitvavo as the use cases see it: each question is one request, paid from a budget, and each failure has its kind.

`app` hands it to the use cases as their `Exchange` and `Clock`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from bitvavo.budget import Purpose, RateBudget
from bitvavo.client import wall_clock_ms
from bitvavo.clock import ExchangeClock, ExchangeClockUnknownError
from bitvavo.endpoints import (
    BALANCE,
    BOOK,
    CANDLES,
    FEES,
    MARKETS,
    PUBLIC_TRADES,
    TICKER_24H,
    TICKER_BOOK,
    TICKER_PRICE,
    TIME,
    Endpoint,
)
from bitvavo.market_client import MarketClient
from bitvavo.rate import RateReport
from bitvavo.session import ExchangeUnavailableError, ReadFailure
from bitvavo.wire import Balance, Book, Candle, Fees, MarketRules, PublicTrade, Ticker24h, TickerBook, TickerPrice
from kernel.alarms import raise_alarm
from kernel.errors import Exhausted, Failure, NotNow, StateViolation, Unavailable
from kernel.rpc.actor import LOCAL, current_actor
from market_service import reasons
from market_service.model import Interval, Window

T = TypeVar("T")

REQUEST_TIMEOUT_SECONDS: Final = 3.0
DOWN_RETRY_SECONDS: Final = 1.0
HALTED_RETRY_SECONDS: Final = 30.0
DEFECT_RETRY_SECONDS: Final = 60.0
ATTESTATION_RETRY_SECONDS: Final = 30.0
"""The attestation is looked at no more often than this."""

TRADER: Final = "trade_service"
"""Who asks for the quotes of trades; readers leave him a part of the points."""

KEEPING_READY: Final = frozenset({TIME, MARKETS})
"""The clock and the list of markets: few questions however many callers there are, and every trade needs them."""

NO_MARKET_DATA: Final = frozenset({430, 431})  # https://docs.bitvavo.com/docs/errors/
HTTP_FORBIDDEN: Final = 403


class Points:
    """What this process may spend at the exchange: the address's points and its share of the account's."""

    def __init__(self, now_ms: Callable[[], int] = wall_clock_ms) -> None:
        """Start with full minutes of `now_ms`, best a clock that is never ahead of the exchange's.

        By one that is ahead each minute begins too early: what is sent then is charged to the minute before, whose
        points may be used up, and the exchange bans the address for a quarter of an hour.
        """
        self.address = RateBudget(now_ms, signed=False)
        self.account = RateBudget(now_ms, signed=True)
        self._ban_ends = {False: 0.0, True: 0.0}

    def observe(self, report: RateReport) -> None:
        """Take one answer's headers."""
        self._of(signed=report.signed).observe(report)
        if report.banned:
            self._ban_ends[report.signed] = time.monotonic() + self.wait_seconds(signed=report.signed)

    def wait_seconds(self, *, signed: bool) -> float:
        """Return after how long a request may be made again."""
        return self._of(signed=signed).retry_after_seconds(Purpose.OTHER)

    def pay(self, endpoint: Endpoint, market: str | None) -> None:
        """Take the points of one request of the present caller.

        Raises:
            Exhausted: there are none for him, or the exchange has banned us; nothing may be sent.
        """
        budget = self._of(signed=endpoint.signed)
        weight, purpose = endpoint.weight_for(market), _purpose(endpoint)
        if budget.take(purpose, weight) is not None:
            return
        if time.monotonic() < self._ban_ends[endpoint.signed]:
            raise self.banned(signed=endpoint.signed)
        raise Exhausted(
            reasons.RATE_BUDGET,
            "this minute's points at the exchange are used up",
            metadata={"budget": "account" if endpoint.signed else "public"},
            retry_after_seconds=budget.retry_after_seconds(purpose, weight),
        )

    def banned(self, *, signed: bool, code: int | None = None) -> Exhausted:
        """Return the failure that says when a ban ends."""
        metadata = {} if code is None else {"exchange_code": str(code)}
        wait = max(self.wait_seconds(signed=signed), DOWN_RETRY_SECONDS)
        message = "the exchange has banned us for asking too often"
        return Exhausted(reasons.EXCHANGE_BAN, message, metadata=metadata, retry_after_seconds=wait)

    def _of(self, *, signed: bool) -> RateBudget:
        return self.account if signed else self.address


class BitvavoExchange:
    """Reads Bitvavo, unsigned but for the account."""

    def __init__(
        self,
        client: MarketClient,
        points: Points,
        clock: ExchangeClock,
        *,
        has_key: bool,
        attested: Callable[[], bool] = lambda: True,
    ) -> None:
        """Ask through `client`, whose observer is `points.observe`; sign nothing while the key is not `attested`."""
        self._client = client
        self._points = points
        self._clock = clock
        self._has_key = has_key
        self._attested = attested

    async def ping(self) -> None:
        """Ask the exchange's clock."""
        answer = await self._asked(TIME, self._client.time)
        self._clock.observe(answer.server_ms, answer.sent_at, answer.received_at)

    def exchange_ms(self) -> int | None:
        """Return a moment that the exchange's clock has certainly reached."""
        try:
            return self._clock.signed_timestamp_ms()
        except ExchangeClockUnknownError:
            return None

    def pay(self, message: Endpoint) -> None:
        """Take the points of a message over the WebSocket.

        Raises:
            Exhausted: there are none, or the exchange has banned us; nothing may be sent.
        """
        self._points.pay(message, None)

    async def markets(self) -> tuple[MarketRules, ...]:
        """Return every market."""
        return await self._asked(MARKETS, self._client.markets)

    async def ticker_prices(self) -> tuple[TickerPrice, ...]:
        """Return the last price of every market."""
        return await self._asked(TICKER_PRICE, self._client.ticker_prices)

    async def ticker_books(self) -> tuple[TickerBook, ...]:
        """Return best bid and ask of every market."""
        return await self._asked(TICKER_BOOK, self._client.ticker_books)

    async def ticker_24h(self, market: str) -> Ticker24h:
        """Return a market's last 24 hours."""
        rows = await self._asked(TICKER_24H, lambda: self._client.tickers_24h(market), market)
        return _about(market, next((row for row in rows if row.market == market), None))

    async def book(self, market: str, depth: int) -> Book:
        """Return a market's book."""
        book = await self._asked(BOOK, lambda: self._client.book(market, depth=depth), market)
        return _about(market, book if book.market == market else None)

    async def trades(self, market: str, limit: int, window: Window) -> tuple[PublicTrade, ...]:
        """Return trades, newest first."""
        bounds = {"limit": limit, "start_ms": window.start_ms, "end_ms": window.end_ms}
        return await self._asked(PUBLIC_TRADES, lambda: self._client.trades(market, **bounds), market)

    async def candles(self, market: str, interval: Interval, limit: int, window: Window) -> tuple[Candle, ...]:
        """Return candles that have trades, newest first."""
        bounds = {"limit": limit, "start_ms": window.start_ms, "end_ms": window.end_ms}
        return await self._asked(CANDLES, lambda: self._client.candles(market, interval, **bounds), market)

    async def balances(self) -> tuple[Balance, ...]:
        """Return what the account holds."""
        self._require_usable_key()
        return await self._asked(BALANCE, self._client.balances)

    async def fees(self, market: str | None) -> Fees:
        """Return what the account pays."""
        self._require_usable_key()
        return await self._asked(FEES, lambda: self._client.fees(market), market)

    def _require_usable_key(self) -> None:
        if not self._has_key:
            what = StateViolation(
                reasons.READONLY_KEY_MISSING, "account", "give the service a read-only key and restart it"
            )
            raise NotNow(reasons.READONLY_KEY_MISSING, "the service runs without a read-only key", (what,))
        if not self._attested():
            message = "what the read-only key may do is not attested now; the account is not read"
            raise Unavailable(reasons.KEY_NOT_ATTESTED, message, retry_after_seconds=ATTESTATION_RETRY_SECONDS)

    async def _asked(self, endpoint: Endpoint, request: Callable[[], Awaitable[T]], market: str | None = None) -> T:
        """Pay for a request, make it, and turn its failure into ours."""
        self._points.pay(endpoint, market)
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
                return await request()
        except TimeoutError:
            raise _down(None) from None
        except ExchangeUnavailableError as error:
            raise self._failure(endpoint, error, market) from None

    def _failure(self, endpoint: Endpoint, error: ExchangeUnavailableError, market: str | None) -> Failure:
        # Cases: a ban; a market without data; a key that is not accepted; a refusal that should not occur; an answer
        # that is none; the rest is the exchange being down.
        if error.kind is ReadFailure.RATE_LIMITED:
            subject = "account" if endpoint.signed else "address"
            raise_alarm(reasons.EXCHANGE_BAN, "the exchange has banned us for asking too often", subject=subject)
            return self._points.banned(signed=endpoint.signed, code=error.code)
        metadata = {} if error.code is None else {"exchange_code": str(error.code)}
        if market is not None and error.code in NO_MARKET_DATA:
            return Unavailable(
                reasons.MARKET_DATA_UNAVAILABLE,
                f"the exchange shows no data of {market} now: halted or in auction",
                metadata={"market": market, **metadata},
                retry_after_seconds=HALTED_RETRY_SECONDS,
            )
        if endpoint.signed and error.status == HTTP_FORBIDDEN and error.code is not None:
            return _key_refused(error.code)
        if error.kind is ReadFailure.REFUSED:
            message = "the exchange refused the question"
            return Unavailable(
                reasons.EXCHANGE_REFUSED, message, metadata=metadata, retry_after_seconds=DEFECT_RETRY_SECONDS
            )
        return _unreadable() if error.kind is ReadFailure.UNREADABLE else _down(error.code)


def _purpose(endpoint: Endpoint) -> Purpose:
    # Cases: the account's points; what keeps us ready; trade_service, and anyone on plaintext, where callers cannot be
    # told apart; readers, and what streams and scans need.
    if endpoint.signed:
        return Purpose.OTHER
    actor = current_actor()
    first = endpoint in KEEPING_READY or actor == LOCAL or (actor.authenticated and actor.name == TRADER)
    return Purpose.CLAIM if first else Purpose.OTHER


def _about(market: str, row: T | None) -> T:
    if row is None:
        raise _unreadable(f"the exchange did not answer about {market}")
    return row


def _key_refused(code: int) -> Failure:
    message = f"the exchange does not accept the read-only key ({code})"
    raise_alarm(reasons.READONLY_KEY_REFUSED, message, subject="account")
    violation = StateViolation(reasons.READONLY_KEY_REFUSED, "account", "give the service a key with the right View")
    return NotNow(reasons.READONLY_KEY_REFUSED, message, (violation,), metadata={"exchange_code": str(code)})


def _unreadable(message: str = "the exchange's answer could not be read") -> Failure:
    return Unavailable(reasons.EXCHANGE_UNREADABLE, message, retry_after_seconds=DOWN_RETRY_SECONDS)


def _down(code: int | None) -> Failure:
    metadata = {} if code is None else {"exchange_code": str(code)}
    message = "the exchange does not answer"
    return Unavailable(reasons.EXCHANGE_UNAVAILABLE, message, metadata=metadata, retry_after_seconds=DOWN_RETRY_SECONDS)
