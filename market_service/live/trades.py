"""Decides which trades follow which in each watched market, and where some may be missing; `rpc` asks for WatchTrades.

A market's trades are kept in one row for all readers; a reader is a place in it, so a slow one costs nothing. When
the socket was lost, the hole is filled from the exchange's own list of trades, or told.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from bitvavo.frames import Frame, TradeSeen
from bitvavo.proof import Proof
from bitvavo.topics import Channel, Topic
from bitvavo.wire import PublicTrade
from kernel import logs
from kernel.errors import Failure
from market_service.catalogue import Catalogue
from market_service.live.aging import freshness
from market_service.live.ports import Hearing
from market_service.live.slots import Slots
from market_service.model import Freshness, Quality, Window
from market_service.ports import Exchange

KEPT_TRADES: Final = 5_000
LISTED_TRADES: Final = 1_000
TRADES_PER_MESSAGE: Final = 500
PAUSE_SECONDS: Final = 1.0
FIRST_LIST_SECONDS: Final = 5.0
"""A reader waits this long for the list that its row begins with; then it begins with what there is."""


@dataclass(frozen=True, slots=True)
class TradesState:
    """What a reader is told: trades oldest first, the last one's id ("" when none is known), whether some may lack."""

    trades: tuple[PublicTrade, ...]
    last_id: str
    gap: bool
    freshness: Freshness


@dataclass(slots=True)
class _Live:
    row: deque[PublicTrade] = field(default_factory=deque)
    first: int = 0
    """Number of the oldest trade kept; numbers only grow."""
    holes: deque[int] = field(default_factory=lambda: deque(maxlen=64))
    """Before the trades of these numbers some may be missing."""
    ids: set[str] = field(default_factory=set)
    waiting: list[PublicTrade] | None = field(default_factory=list)
    """What is heard before the list arrived; None when the row is up to date."""
    epoch: int = 0
    """Grows with every doubt; a list asked for before the last one closes no hole."""
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    seeded: Proof | None = None
    readers: set[Slots[str]] = field(default_factory=set)
    reading: asyncio.Task[None] | None = None

    @property
    def next(self) -> int:
        return self.first + len(self.row)


class LiveTrades:
    """The trades of all markets that anybody watches."""

    def __init__(
        self,
        exchange: Exchange,
        catalogue: Catalogue,
        hearing: Hearing,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Fill holes from `exchange`; `hearing` tells this listener the frames of the channel trades."""
        self._exchange = exchange
        self._catalogue = catalogue
        self._hearing = hearing
        self._monotonic = monotonic
        self._live: dict[str, _Live] = {}
        self._closed = False

    @asynccontextmanager
    async def watch(self, market: str, after_id: str) -> AsyncIterator["TradesReader"]:
        """Follow one market's trades after the one of this id, or from now on when it is empty.

        Raises:
            NotFound: the exchange has no such market.
        """
        await self._catalogue.require([market])
        live = self._live.setdefault(market, _Live())
        slots: Slots[str] = Slots()
        slots.put(market)
        if self._closed:
            slots.close()
        live.readers.add(slots)
        self._hearing.want(_topic(market))
        try:
            await self._wait_for_list(live)
            yield TradesReader(self, market, slots, *_place(live, after_id))
        finally:
            live.readers.discard(slots)
            self._hearing.release(_topic(market))

    def after(self, market: str, number: int) -> tuple[tuple[PublicTrade, ...], int, bool]:
        """Return the trades from `number` on, the number after them, and whether some may be missing before them."""
        live = self._live[market]
        start = max(number, live.first)
        trades = tuple(islice(live.row, start - live.first, start - live.first + TRADES_PER_MESSAGE))
        end = start + len(trades)
        hole = next((hole for hole in live.holes if number <= hole < end), None)
        if hole is not None and hole > start:
            # Trades before the hole go first, so that the hole lies between two messages.
            return trades[: hole - start], hole, start > number
        return trades, end, start > number or hole is not None

    def freshness(self, market: str) -> Freshness:
        """Return how old the newest trades are."""
        live = self._live[market]
        known = live.waiting is None and self._hearing.hears(_topic(market))
        quality = Quality.GOOD if known else Quality.RESYNCING
        return freshness((self._hearing.proof, live.seeded), self._monotonic(), quality)

    def last_id(self, market: str, number: int) -> str:
        """Return the id of the trade before `number`; empty when it is not kept."""
        live = self._live[market]
        at = number - 1 - live.first
        return live.row[at].id if 0 <= at < len(live.row) else ""

    # --- what the feed tells ---

    def heard(self, frame: Frame) -> None:
        """Take a trade."""
        if not isinstance(frame, TradeSeen) or frame.market not in self._live:
            return
        live = self._live[frame.market]
        if live.waiting is not None:
            live.waiting.append(frame.trade)
            del live.waiting[:-KEPT_TRADES]
        elif _append(live, frame.trade):
            self._tell(live, frame.market)

    def subscribed(self, topics: Iterable[Topic]) -> None:
        """Read the lists of these markets: they bridge what was not heard."""
        for topic in topics:
            live = self._live.setdefault(topic.market, _Live())
            _doubt(live)
            if live.reading is None and not self._closed:
                live.reading = asyncio.create_task(self._read(topic.market, live), name=f"trades {topic.market}")

    def unsubscribed(self, topic: Topic) -> None:
        """Forget a market that nobody watches."""
        live = self._live.get(topic.market)
        if live is None or live.readers:
            return
        del self._live[topic.market]
        if live.reading is not None:
            live.reading.cancel()

    def unreadable(self, market: str | None) -> None:
        """Bridge what may have been this market's trade, or any market's."""
        self.subscribed([_topic(name) for name in self._live if market in {None, name}])

    def lost(self) -> None:
        """Wait for the next subscription."""
        for market, live in self._live.items():
            _doubt(live)
            self._tell(live, market)

    async def close(self) -> None:
        """End the requests under way and every reader's wait."""
        self.stop_readers()
        readings = [live.reading for live in self._live.values() if live.reading is not None]
        for reading in readings:
            reading.cancel()
        await asyncio.gather(*readings, return_exceptions=True)

    def stop_readers(self) -> None:
        """End every reader's wait: the service stops."""
        self._closed = True
        for live in self._live.values():
            for slots in live.readers:
                slots.close()

    async def _wait_for_list(self, live: _Live) -> None:
        try:
            async with asyncio.timeout(FIRST_LIST_SECONDS):
                await live.listed.wait()
        except TimeoutError:
            return

    async def _read(self, market: str, live: _Live) -> None:
        try:
            while live.waiting is not None and self._hearing.hears(_topic(market)):
                epoch, proof = live.epoch, Proof(datetime.now(UTC), self._monotonic())
                try:
                    listed = await self._exchange.trades(market, LISTED_TRADES, Window())
                except Failure as failure:
                    logs.log("trades_not_read", level=logs.WARNING, market=market, reason=failure.reason)
                    await asyncio.sleep(PAUSE_SECONDS)
                    continue
                if live.epoch != epoch:
                    await asyncio.sleep(PAUSE_SECONDS)
                    continue
                _bridge(live, listed[::-1])
                live.seeded = proof
                live.listed.set()
                self._tell(live, market)
        finally:
            live.reading = None

    def _tell(self, live: _Live, market: str) -> None:
        for slots in live.readers:
            slots.put(market)


class TradesReader:
    """One reader's place in a market's trades."""

    def __init__(self, trades: LiveTrades, market: str, slots: Slots[str], number: int, gap: bool) -> None:  # noqa: FBT001 - the two results of `_place`
        """Begin before the trade of this number; `gap`: some may be missing before it."""
        self._trades = trades
        self._market = market
        self._slots = slots
        self._number = number
        self._gap = gap
        self._begun = False

    async def next(self) -> TradesState:
        """Wait for trades and return them; the first state may have none.

        Raises:
            Unavailable: the service stops.
        """
        while True:
            trades, number, gap = self._trades.after(self._market, self._number)
            if trades or not self._begun:
                break
            await self._slots.take()
        gap, self._gap = gap or self._gap, False
        self._number, self._begun = number, True
        last_id = trades[-1].id if trades else self._trades.last_id(self._market, number)
        return TradesState(trades, last_id, gap, self._trades.freshness(self._market))


def _topic(market: str) -> Topic:
    return Topic(Channel.TRADES, market)


def _doubt(live: _Live) -> None:
    # What is heard waits from now on, for a list asked for from now on: that one shows what lies before it.
    live.epoch += 1
    live.waiting = []
    live.listed.clear()


def _append(live: _Live, trade: PublicTrade) -> bool:
    if trade.id in live.ids:
        return False
    live.row.append(trade)
    live.ids.add(trade.id)
    if len(live.row) > KEPT_TRADES:
        live.ids.discard(live.row.popleft().id)
        live.first += 1
    return True


def _bridge(live: _Live, listed: Iterable[PublicTrade]) -> None:
    # Whole: the list reaches back to a trade that is kept, or it is shorter than the exchange would have made it.
    rows = list(listed)
    whole = not live.row or len(rows) < LISTED_TRADES or any(trade.id in live.ids for trade in rows)
    if not whole:
        live.holes.append(live.next)
    oldest_ms = live.row[-1].timestamp_ms if live.row else 0
    for trade in _in_order([each for each in rows if each.timestamp_ms >= oldest_ms], live.waiting or []):
        _append(live, trade)
    live.waiting = None


def _in_order(listed: list[PublicTrade], heard: list[PublicTrade]) -> list[PublicTrade]:
    # What was heard lacks none of its own. The list says what was before it, and may know what will be heard next.
    ids = {trade.id for trade in heard}
    before = next((at for at, trade in enumerate(listed) if trade.id in ids), len(listed))
    return [*listed[:before], *heard, *(trade for trade in listed[before:] if trade.id not in ids)]


def _place(live: _Live, after_id: str) -> tuple[int, bool]:
    if not after_id:
        return live.next, False
    if after_id not in live.ids:
        return live.first, True
    return next(live.first + at + 1 for at, trade in enumerate(live.row) if trade.id == after_id), False
