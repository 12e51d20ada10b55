"""What the use cases need from outside; `exchange` implements it for Bitvavo, tests implement it by hand."""

from typing import Protocol

from bitvavo.wire import Balance, Book, Candle, Fees, MarketRules, PublicTrade, Ticker24h, TickerBook, TickerPrice
from market_service.model import Answer, Interval, Ticker, Window


class Exchange(Protocol):
    """Reading the exchange. Every method is one request and raises `kernel.errors.Failure` when there is no answer."""

    async def ping(self) -> None:
        """Ask the exchange's clock; returning at all says that the exchange answers."""

    async def markets(self) -> tuple[MarketRules, ...]:
        """Return every market."""

    async def ticker_prices(self) -> tuple[TickerPrice, ...]:
        """Return the last price of every market."""

    async def ticker_books(self) -> tuple[TickerBook, ...]:
        """Return best bid and ask of every market."""

    async def ticker_24h(self, market: str) -> Ticker24h:
        """Return a market's last 24 hours."""

    async def book(self, market: str, depth: int) -> Book:
        """Return a market's book, at most `depth` levels a side."""

    async def trades(self, market: str, limit: int, window: Window) -> tuple[PublicTrade, ...]:
        """Return at most `limit` trades within the window, newest first."""

    async def candles(self, market: str, interval: Interval, limit: int, window: Window) -> tuple[Candle, ...]:
        """Return at most `limit` candles that have trades, newest first."""

    async def balances(self) -> tuple[Balance, ...]:
        """Return what the account holds. Needs a read-only key."""

    async def fees(self, market: str | None) -> Fees:
        """Return what the account pays. Needs a read-only key."""


class Clock(Protocol):
    """The exchange's time as far as it is known."""

    def exchange_ms(self) -> int | None:
        """Return a moment that the exchange's clock has certainly reached, or None when it was never asked."""


class WatchedBooks(Protocol):
    """Books that are followed anyway, because somebody watches them."""

    def good(self, market: str, depth: int, oldest_seconds: float) -> Answer[Book] | None:
        """Return a book that is known to be right and at most so old, or None when there is none."""


class WatchedTickers(Protocol):
    """Tickers that are followed anyway, because somebody watches them."""

    def good(self, market: str, oldest_seconds: float) -> Answer[Ticker] | None:
        """Return a ticker that is known and at most so old, or None when there is none."""
