"""Decides what each watched market's order book is and whether it is known to be right; `rpc` and GetOrderBook ask.

Deltas come from the feed, snapshots from REST. A book that is not right is read anew, at a pace that the exchange's
points bear; nothing of it is shown until then.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Final

from bitvavo.book import LocalBook, Loss
from bitvavo.frames import BookDelta, Frame
from bitvavo.proof import Proof
from bitvavo.topics import Channel, Topic
from bitvavo.wire import Book, Level, MalformedError
from kernel import logs
from kernel.errors import Exhausted, Failure, Unavailable
from kernel.telemetry import counter
from market_service.catalogue import Catalogue
from market_service.live.aging import freshness
from market_service.live.book_states import NORMAL_PACE, TRADING, BookReader, BookState, LiveBook, Pace, Tape
from market_service.live.ports import Hearing
from market_service.live.slots import Slots
from market_service.model import Answer, Freshness, Quality
from market_service.ports import Exchange

SNAPSHOT_DEPTH: Final = 1000
STATUS_SECONDS: Final = 3.0
STATUS_AGE_SECONDS: Final = 5.0
AGE_SECONDS: Final = 0.5
"""How often the ages of books are looked at: one look for all readers, no timer for each."""

_LOSSES: Final = counter("market_books_lost_total", "Books that were not known to be right any more, by why.", ["why"])
_SNAPSHOTS: Final = counter("market_snapshots_total", "Snapshots asked for, by what became of them.", ["how"])


class LiveBooks:
    """All books that anybody watches."""

    def __init__(
        self,
        exchange: Exchange,
        catalogue: Catalogue,
        hearing: Hearing,
        monotonic: Callable[[], float] = time.monotonic,
        pace: Pace = NORMAL_PACE,
    ) -> None:
        """Read snapshots from `exchange`; `hearing` tells this listener the frames of the channel book."""
        self._pace = pace
        self._exchange = exchange
        self._catalogue = catalogue
        self._hearing = hearing
        self._monotonic = monotonic
        self._live: dict[str, LiveBook] = {}
        self._closed = False

    @asynccontextmanager
    async def watch(self, market: str, depth: int) -> AsyncIterator[BookReader]:
        """Follow one market's book.

        Raises:
            NotFound: the exchange has no such market.
        """
        status = (await self._catalogue.listing()).value.require(market).status
        live = self._live.get(market)
        if live is None:
            live = self._live[market] = LiveBook(LocalBook(market), status)
        else:
            self._status(live, status)
        slots: Slots[str] = Slots()
        slots.put(market)
        if self._closed:
            slots.close()
        live.readers.add(slots)
        self._hearing.want(_topic(market))
        try:
            yield BookReader(partial(self.state, market, depth), slots)
        finally:
            live.readers.discard(slots)
            self._hearing.release(_topic(market))

    def state(self, market: str, depth: int) -> BookState:
        """Return what readers of a watched market are told now; the same object to all who ask within a moment."""
        live = self._live[market]
        return live.told.get(depth, self._monotonic(), partial(self._state, live))

    def good(self, market: str, depth: int, oldest_seconds: float) -> Answer[Book] | None:
        """Return a watched market's book if it is right, young enough and deep enough, for a single question."""
        if market not in self._live or not self._live[market].book.reaches(depth):
            return None
        state = self._state(self._live[market], depth, self._monotonic())
        if state.view is None or state.freshness.age_seconds > oldest_seconds:
            return None
        view = state.view
        bids, asks = (
            tuple(Level(Decimal(price), Decimal(size)) for price, size in side) for side in (view.bids, view.asks)
        )
        return Answer(Book(market, view.nonce, bids, asks, view.timestamp_ns), state.freshness)

    def markets(self) -> list[str]:
        """Return the markets whose book is right now."""
        return [market for market, live in self._live.items() if live.book.loss is None]

    def lose(self, market: str, why: Loss) -> None:
        """Drop what is known of a market, if it is still watched, and read it anew."""
        if market in self._live:
            self._lost(self._live[market], why)

    @contextmanager
    def taped(self, market: str) -> Iterator[Tape]:
        """Copy a watched book as it is now, and collect the deltas that it takes from now on."""
        live = self._live[market]
        tape = Tape(live.book.copy())
        live.tapes.append(tape)
        try:
            yield tape
        finally:
            live.tapes.remove(tape)

    # --- what the feed tells ---

    def heard(self, frame: Frame) -> None:
        """Take a delta."""
        if not isinstance(frame, BookDelta):
            return
        live = self._live.get(frame.market)
        if live is None:
            return
        was_right = live.book.loss is None
        if live.book.apply(frame):
            for tape in live.tapes:
                tape.deltas.append(frame)
            self._tell(live)
        elif was_right:
            self._after_loss(live)

    def subscribed(self, topics: Iterable[Topic]) -> None:
        """Read the books of these topics."""
        for topic in topics:
            self._read_anew(self._live.setdefault(topic.market, LiveBook(LocalBook(topic.market))))

    def unsubscribed(self, topic: Topic) -> None:
        """Forget a market that nobody watches; who came meanwhile waits for it to be subscribed again."""
        live = self._live.get(topic.market)
        if live is None or live.readers:
            return
        del self._live[topic.market]
        if live.reading is not None:
            live.reading.cancel()

    def unreadable(self, market: str | None) -> None:
        """Lose the book of this market, or all."""
        for name, live in self._live.items():
            if market in {None, name}:
                self._lost(live, Loss.MALFORMED)

    def lost(self) -> None:
        """Lose every book."""
        for live in self._live.values():
            self._lost(live, Loss.SOCKET)

    # --- while it runs ---

    async def watch_statuses(self) -> None:
        """Look, until cancelled, which of the watched markets trade: a halted one is silent and says nothing itself."""
        while True:
            await asyncio.sleep(STATUS_SECONDS)
            if not self._live:
                continue
            try:
                listing = (await self._catalogue.listing(STATUS_AGE_SECONDS)).value
            except Failure as failure:
                logs.log("markets_not_read", level=logs.WARNING, reason=failure.reason)
                continue
            for market, live in list(self._live.items()):
                rules = listing.by_name.get(market)
                self._status(live, rules.status if rules is not None else "")

    async def watch_ages(self) -> None:
        """Look, until cancelled, which books have become stale, or fresh again, without a change: readers are told."""
        while True:
            await asyncio.sleep(AGE_SECONDS)
            for live in self._live.values():
                if self._freshness(live, self._monotonic()).quality is not live.quality:
                    self._tell(live)

    async def close(self) -> None:
        """End the snapshots under way and every reader's wait."""
        self._closed = True
        readings = [live.reading for live in self._live.values() if live.reading is not None]
        for reading in readings:
            reading.cancel()
        self.stop_readers()
        await asyncio.gather(*readings, return_exceptions=True)

    def stop_readers(self) -> None:
        """End every reader's wait: the service stops."""
        self._closed = True
        for live in self._live.values():
            for slots in live.readers:
                slots.close()

    def _status(self, live: LiveBook, status: str) -> None:
        if status == live.status:
            return
        live.status = status
        if status == TRADING:
            self._read_anew(live)
            self._tell(live)
        else:
            self._lost(live, Loss.HALTED)

    def _lost(self, live: LiveBook, why: Loss) -> None:
        if live.book.loss is None or why in {Loss.SOCKET, Loss.HALTED, Loss.MALFORMED}:
            live.book.lose(why)
            self._after_loss(live)

    def _after_loss(self, live: LiveBook) -> None:
        why = live.book.loss or Loss.NEW
        _LOSSES.labels(why).inc()
        for tape in live.tapes:
            tape.broken = True
        if why is not Loss.SOCKET:
            logs.log("book_lost", market=live.book.market, why=why)
            self._read_anew(live)
        self._tell(live)

    def _state(self, live: LiveBook, depth: int, at: float) -> BookState:
        age = self._freshness(live, at)
        view = live.book.view(depth) if age.quality is Quality.GOOD else None
        if view is not None and not (view.bids and view.asks):
            view, age = None, replace(age, quality=Quality.RESYNCING)
        return BookState(live.book.market, depth, view, age, live.status)

    def _tell(self, live: LiveBook) -> None:
        live.told.clear()
        market, live.quality = live.book.market, self._freshness(live, self._monotonic()).quality
        for slots in live.readers:
            slots.put(market)

    def _freshness(self, live: LiveBook, at: float) -> Freshness:
        return freshness((self._hearing.proof, live.seeded), at, self._quality(live))

    def _quality(self, live: LiveBook) -> Quality:
        if live.status != TRADING or not self._hearing.hears(_topic(live.book.market)):
            return Quality.STALE
        return Quality.GOOD if live.book.loss is None else Quality.RESYNCING

    def _read_anew(self, live: LiveBook) -> None:
        if live.reading is None and not self._closed:
            live.reading = asyncio.create_task(self._read(live), name=f"snapshot {live.book.market}")

    async def _read(self, live: LiveBook) -> None:
        try:
            await self._read_until_right(live)
        finally:
            live.reading = None

    async def _read_until_right(self, live: LiveBook) -> None:
        topic = _topic(live.book.market)
        while live.book.loss is not None and live.status == TRADING and self._hearing.hears(topic):
            calm = self._monotonic() - live.asked_at > self._pace.calm_seconds
            longer = max(live.pause_seconds * 2, self._pace.first_seconds)
            live.pause_seconds = 0.0 if calm else min(longer, self._pace.last_seconds)
            await asyncio.sleep(live.pause_seconds)
            live.asked_at = self._monotonic()
            try:
                if await self._seed(live):
                    self._tell(live)
            except Failure as failure:
                _SNAPSHOTS.labels("failed").inc()
                logs.log("snapshot_failed", level=logs.WARNING, market=live.book.market, reason=failure.reason)
                await asyncio.sleep(self._wait_seconds(failure))

    def _wait_seconds(self, failure: Failure) -> float:
        asked = failure.retry_after_seconds if isinstance(failure, Exhausted | Unavailable) else 0.0
        return min(max(asked, self._pace.first_seconds), self._pace.last_seconds)

    async def _seed(self, live: LiveBook) -> bool:
        epoch, proof = live.book.epoch, Proof(datetime.now(UTC), self._monotonic())
        snapshot = await self._exchange.book(live.book.market, SNAPSHOT_DEPTH)
        try:
            right = live.book.seed(snapshot, epoch)
        except MalformedError:
            right = False
        _SNAPSHOTS.labels("used" if right else "unused").inc()
        if right:
            live.seeded = proof
        return right


def _topic(market: str) -> Topic:
    return Topic(Channel.BOOK, market)
