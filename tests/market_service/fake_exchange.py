"""An exchange and a clock written by hand, behind the ports of market_service."""

import asyncio
from collections import Counter
from decimal import Decimal

from bitvavo.wire import (
    Balance,
    Book,
    Candle,
    Fees,
    Level,
    MarketRules,
    PublicTrade,
    Ticker24h,
    TickerBook,
    TickerPrice,
)
from kernel.errors import Failure
from market_service.model import Interval, Window


class FakeExchange:
    """Answers at once, or when `gate` opens; fails with `failure` while that is set; counts what it was asked."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.failure: Failure | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.names = ["ADA-EUR", "BTC-EUR", "ETH-USDC"]
        self.bids: tuple[Level, ...] = (level("99", "1"), level("98", "2"))
        self.asks: tuple[Level, ...] = (level("101", "1"), level("102", "2"))
        self.rows: tuple[Candle, ...] = ()
        self.exchange_now_ms: int | None = None

    async def ping(self) -> None:
        await self._answer("time")

    def exchange_ms(self) -> int | None:
        return self.exchange_now_ms

    async def markets(self) -> tuple[MarketRules, ...]:
        await self._answer("markets")
        return tuple(rules(name) for name in reversed(self.names))

    async def ticker_prices(self) -> tuple[TickerPrice, ...]:
        await self._answer("ticker_prices")
        return tuple(TickerPrice(name, Decimal(100)) for name in self.names)

    async def ticker_books(self) -> tuple[TickerBook, ...]:
        await self._answer("ticker_books")
        return (TickerBook("BTC-EUR", Decimal(99), Decimal(1), None, None),)

    async def ticker_24h(self, market: str) -> Ticker24h:
        await self._answer(f"ticker_24h {market}")
        return Ticker24h(market, *[None] * 12)

    async def book(self, market: str, depth: int) -> Book:
        await self._answer(f"book {market} {depth}")
        return Book(market, 1, self.bids, self.asks, None)

    async def trades(self, market: str, limit: int, window: Window) -> tuple[PublicTrade, ...]:
        await self._answer(f"trades {market} {window.start_ms} {window.end_ms}")
        return tuple(PublicTrade(str(n), n, Decimal(1), Decimal(100), "buy") for n in range(min(limit, 5), 0, -1))

    async def candles(self, market: str, interval: Interval, limit: int, window: Window) -> tuple[Candle, ...]:
        await self._answer(f"candles {market} {interval} {window.start_ms} {window.end_ms}")
        return self.rows[:limit]

    async def balances(self) -> tuple[Balance, ...]:
        await self._answer("balances")
        return (Balance("EUR", Decimal(10), Decimal(0)), Balance("BTC", Decimal(1), Decimal(0)))

    async def fees(self, market: str | None) -> Fees:
        await self._answer(f"fees {market}")
        return Fees(Decimal("0.0025"), Decimal("0.0015"), None, "0")

    async def _answer(self, what: str) -> None:
        self.asked[what] += 1
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure


class Ticking:
    """A monotonic clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def rules(name: str) -> MarketRules:
    base, quote = name.split("-")
    small, large = Decimal("0.001"), Decimal(1_000_000)
    return MarketRules(
        market=name,
        status="trading",
        base=base,
        quote=quote,
        tick_size=Decimal("0.01"),
        quantity_decimals=8,
        notional_decimals=2,
        min_order_base=small,
        min_order_quote=Decimal(5),
        max_order_base=large,
        max_order_quote=large,
        max_open_orders=100,
        fee_category="A",
        order_types=("market", "limit"),
    )


def level(price: str, size: str) -> Level:
    return Level(Decimal(price), Decimal(size))
