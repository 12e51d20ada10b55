"""Decides what a ticker says: last price, best bid and ask, of one market or of many, and the last 24 hours.

One pair of requests brings the tickers of all markets, so asking for one market costs no more than asking for all.
"""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from bitvavo.wire import Ticker24h, TickerBook
from kernel.errors import NotFound
from market_service.catalogue import Catalogue
from market_service.kept import Kept
from market_service.kinds import TICKER_24H, TICKERS
from market_service.model import Answer, Ticker
from market_service.ports import Exchange, WatchedTickers
from market_service.reasons import MARKET_UNKNOWN


class Tickers:
    """The state of each market in a line."""

    def __init__(self, exchange: Exchange, catalogue: Catalogue, watched: WatchedTickers | None = None) -> None:
        """Read from `exchange`, unless the one ticker asked for is `watched` and known."""
        self._watched = watched
        self._exchange = exchange
        self._catalogue = catalogue
        self._kept: Kept[None, dict[str, Ticker]] = Kept(TICKERS, self._ask)
        self._kept_24h: Kept[str, Ticker24h] = Kept(TICKER_24H, exchange.ticker_24h)

    async def one(self, market: str, max_age_seconds: float | None = None) -> Answer[Ticker]:
        """Return the ticker of one market.

        Raises:
            NotFound: the exchange has no such market.
        """
        if self._watched is not None:
            oldest = TICKERS.fresh_seconds if max_age_seconds is None else min(max_age_seconds, TICKERS.fresh_seconds)
            if followed := self._watched.good(market, oldest):
                return followed
        answer = await self._kept.read(None, max_age_seconds)
        return answer.having(_named(answer.value, market))

    async def many(self, markets: Sequence[str], max_age_seconds: float | None = None) -> Answer[tuple[Ticker, ...]]:
        """Return the tickers of these markets, or of all when none is named, in the order of their names.

        Raises:
            NotFound: the exchange lacks one of them.
        """
        answer = await self._kept.read(None, max_age_seconds)
        names = sorted(markets) or answer.value
        return answer.having(tuple(_named(answer.value, name) for name in names))

    async def last_24h(self, market: str, max_age_seconds: float | None = None) -> Answer[Ticker24h]:
        """Return the last 24 hours of one market.

        Raises:
            NotFound: the exchange has no such market.
        """
        await self._catalogue.require([market])
        return await self._kept_24h.read(market, max_age_seconds)

    async def close(self) -> None:
        """End the requests under way."""
        await asyncio.gather(self._kept.close(), self._kept_24h.close())

    async def _ask(self, _key: None) -> dict[str, Ticker]:
        prices = {row.market: row.price for row in await self._exchange.ticker_prices()}
        books = {row.market: row for row in await self._exchange.ticker_books()}
        nobody = TickerBook("", None, None, None, None)
        return {
            name: _joined(name, prices.get(name), books.get(name, nobody))
            for name in sorted(prices.keys() | books.keys())
        }


def _joined(market: str, last: Decimal | None, book: TickerBook) -> Ticker:
    return Ticker(market, last, book.bid, book.bid_size, book.ask, book.ask_size)


def _named(tickers: dict[str, Ticker], market: str) -> Ticker:
    ticker = tickers.get(market)
    if ticker is None:
        raise NotFound(MARKET_UNKNOWN, f"the exchange has no ticker of {market}", metadata={"market": market})
    return ticker
