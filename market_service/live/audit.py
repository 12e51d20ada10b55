"""Compares each book with a snapshot of the same nonce, every few minutes: the proof that deltas add up.

`assembly` runs it. It is also what notices that the exchange has stopped telling of one market while the socket lives:
the snapshot is ahead and the deltas up to it do not come.
"""

import asyncio
from enum import StrEnum
from typing import Final

from bitvavo.book import LocalBook, Loss
from bitvavo.frames import BookDelta
from bitvavo.wire import Book, MalformedError
from kernel import logs
from kernel.alarms import raise_alarm
from kernel.errors import Failure
from kernel.telemetry import counter
from market_service.live.book_states import Tape
from market_service.live.books import SNAPSHOT_DEPTH, LiveBooks
from market_service.ports import Exchange

BOOK_MISMATCH: Final = "BOOK_MISMATCH"
CATCH_UP_SECONDS: Final = 3.0
LOOK_SECONDS: Final = 0.05
MAX_ROUND_SHARE: Final = 0.5
"""The comparisons of one round are spread over this share of it, so that they are no burst of requests."""


class Finding(StrEnum):
    """What a comparison showed."""

    EQUAL = "equal"
    UNLIKE = "unlike"
    BEHIND = "behind"
    INCOMPARABLE = "incomparable"  # no snapshot, or the book was lost meanwhile


_AUDITS: Final = counter("market_book_audits_total", "Books compared with a snapshot, by what it showed.", ["finding"])


class Audit:
    """Compares all books that are right, over and over."""

    def __init__(self, books: LiveBooks, exchange: Exchange, every_seconds: float) -> None:
        """Compare `books` with what `exchange` shows."""
        self._books = books
        self._exchange = exchange
        self._every_seconds = every_seconds

    async def run(self) -> None:
        """Audit until cancelled."""
        while True:
            await asyncio.sleep(self._every_seconds * (1 - MAX_ROUND_SHARE))
            markets = self._books.markets()
            for market in markets:
                await self.compare(market)
                await asyncio.sleep(self._every_seconds * MAX_ROUND_SHARE / len(markets))
            if not markets:
                await asyncio.sleep(self._every_seconds * MAX_ROUND_SHARE)

    async def compare(self, market: str) -> Finding:
        """Compare one book; one that is wrong is dropped and read anew."""
        finding = await self._compared(market)
        _AUDITS.labels(finding).inc()
        if finding is Finding.UNLIKE:
            raise_alarm(BOOK_MISMATCH, "a local book differs from the exchange's at the same nonce", subject=market)
            self._books.lose(market, Loss.UNLIKE)
        if finding is Finding.BEHIND:
            logs.log("book_behind", level=logs.WARNING, market=market)
            self._books.lose(market, Loss.BEHIND)
        return finding

    async def _compared(self, market: str) -> Finding:
        if market not in self._books.markets():
            return Finding.INCOMPARABLE
        with self._books.taped(market) as tape:
            try:
                snapshot = await self._exchange.book(market, SNAPSHOT_DEPTH)
            except Failure:
                return Finding.INCOMPARABLE
            caught_up = await _caught_up(tape, snapshot.nonce)
            if tape.broken or snapshot.nonce < tape.book.nonce:
                return Finding.INCOMPARABLE
            return _finding(tape.book, tape.deltas, snapshot) if caught_up else Finding.BEHIND


async def _caught_up(tape: Tape, nonce: int) -> bool:
    for _ in range(round(CATCH_UP_SECONDS / LOOK_SECONDS)):
        if tape.broken or tape.nonce >= nonce:
            return True
        await asyncio.sleep(LOOK_SECONDS)
    return False


def _finding(book: LocalBook, deltas: list[BookDelta], snapshot: Book) -> Finding:
    for delta in deltas:
        if delta.nonce <= snapshot.nonce:
            book.apply(delta)
    try:
        same = book.nonce == snapshot.nonce and book.agrees_with(snapshot)
    except MalformedError:
        same = False
    return Finding.EQUAL if same else Finding.UNLIKE
