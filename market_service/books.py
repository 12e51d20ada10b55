"""Decides what an order book is worth: which request answers, how deep, and whether it is fit to price by.

Called by `rpc` for GetOrderBook, which every execution asks that needs a quote.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from bitvavo.wire import Book
from market_service.catalogue import Catalogue
from market_service.kept import Kept
from market_service.kinds import BOOKS, DEEP_BOOKS
from market_service.model import Answer, Quality
from market_service.ports import Exchange, WatchedBooks

DEFAULT_DEPTH: Final = 50
MAX_DEPTH: Final = 1000


@dataclass(frozen=True, slots=True)
class _Judged:
    book: Book
    sound: bool


class Books:
    """Order books in two depths, so that however callers choose, a market has two requests and not a thousand."""

    def __init__(self, exchange: Exchange, catalogue: Catalogue, watched: WatchedBooks | None = None) -> None:
        """Read from `exchange`, unless the book is `watched` and right."""
        self._catalogue = catalogue
        self._watched = watched
        self._shallow: Kept[str, _Judged] = Kept(BOOKS, _asking(exchange, DEFAULT_DEPTH))
        self._deep: Kept[str, _Judged] = Kept(DEEP_BOOKS, _asking(exchange, MAX_DEPTH))

    async def book(self, market: str, depth: int, max_age_seconds: float | None = None) -> Answer[Book]:
        """Return the book of `market`, at least `depth` levels a side where the market has them.

        Its quality is GOOD only when it is sound.

        Raises:
            NotFound: the exchange has no such market.
        """
        await self._catalogue.require([market])
        if self._watched is not None:
            oldest = BOOKS.fresh_seconds if max_age_seconds is None else min(max_age_seconds, BOOKS.fresh_seconds)
            if followed := self._watched.good(market, depth, oldest):
                return followed
        kept = self._shallow if depth <= DEFAULT_DEPTH else self._deep
        answer = await kept.read(market, max_age_seconds)
        if answer.freshness.quality is Quality.GOOD and not answer.value.sound:
            return Answer(answer.value.book, replace(answer.freshness, quality=Quality.RESYNCING))
        return answer.having(answer.value.book)

    async def close(self) -> None:
        """End the requests under way."""
        await asyncio.gather(self._shallow.close(), self._deep.close())


def sound(book: Book) -> bool:
    """Say whether a price can be read off: both sides there, each from its best price on, not crossed, none empty."""
    bids, asks = [level.price for level in book.bids], [level.price for level in book.asks]
    return (
        bool(bids)
        and bool(asks)
        and bids[0] < asks[0]
        and all(better > worse for better, worse in pairwise(bids))
        and all(better < worse for better, worse in pairwise(asks))
        and all(level.size > 0 for level in (*book.bids, *book.asks))
    )


def _asking(exchange: Exchange, depth: int) -> Callable[[str], Awaitable[_Judged]]:
    async def ask(market: str) -> _Judged:
        book = await exchange.book(market, depth)
        return _Judged(book, sound(book))

    return ask
