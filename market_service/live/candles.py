"""Decides what the newest candles of each watched series are; `rpc` asks for WatchCandles.

The running candle comes from the feed. That an interval is over, and that nothing was traded in one, only the
exchange's own list and clock can say, so the list is read when an interval ends.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from bitvavo.frames import CandleChange, Frame
from bitvavo.proof import Proof
from bitvavo.topics import Channel, Topic
from bitvavo.wire import Candle as WireCandle
from kernel import logs
from kernel.errors import Failure
from market_service.candles import Candles, Series
from market_service.catalogue import Catalogue
from market_service.live.aging import SILENT_SECONDS, freshness
from market_service.live.ports import Hearing
from market_service.live.slots import Slots
from market_service.model import Candle, CandleState, Freshness, Interval, Prices, Quality, Window
from market_service.ports import Clock

KEPT_CANDLES: Final = 10
LIST_AGE_SECONDS: Final = 1.0
SETTLE_SECONDS: Final = 1.5
"""After the end of an interval its last trades may still come."""

PAUSE_SECONDS: Final = 2.0
MS_PER_SECOND: Final = 1000


@dataclass(frozen=True, slots=True)
class CandlesState:
    """What a reader is told: the candles that changed, oldest first; none while the exchange is not heard."""

    candles: tuple[Candle, ...]
    skipped: int
    freshness: Freshness


@dataclass(slots=True)
class _Live:
    candles: dict[int, Candle] = field(default_factory=dict)
    seeded: Proof | None = None
    early: dict[int, Candle] = field(default_factory=dict)
    """What is told before the list arrives."""
    since: float = float("-inf")
    """A list asked for before this moment may lack what nobody heard."""
    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the list is to be read now, whenever the interval ends."""
    readers: set[Slots[int]] = field(default_factory=set)
    reading: asyncio.Task[None] | None = None


class LiveCandles:
    """The newest candles of all series that anybody watches."""

    def __init__(
        self,
        listed: Candles,
        catalogue: Catalogue,
        hearing: Hearing,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read lists from `listed`; `clock` says when an interval is over; `hearing` tells the channel candles."""
        self._listed = listed
        self._catalogue = catalogue
        self._hearing = hearing
        self._clock = clock
        self._monotonic = monotonic
        self._live: dict[Topic, _Live] = {}
        self._closed = False

    @asynccontextmanager
    async def watch(self, market: str, interval: Interval) -> AsyncIterator["CandlesReader"]:
        """Follow one market's candles of one interval.

        Raises:
            NotFound: the exchange has no such market.
        """
        await self._catalogue.require([market])
        topic = Topic(Channel.CANDLES, market, interval.value)
        live = self._live.setdefault(topic, _Live())
        slots: Slots[int] = Slots()
        for start in live.candles:
            slots.put(start)
        if self._closed:
            slots.close()
        live.readers.add(slots)
        self._hearing.want(topic)
        try:
            yield CandlesReader(self, topic, slots)
        finally:
            live.readers.discard(slots)
            self._hearing.release(topic)

    def state(self, topic: Topic, starts: Iterable[int], skipped: int) -> CandlesState:
        """Return those of these candles that are known now."""
        live = self._live[topic]
        quality = Quality.GOOD if self._hearing.hears(topic) and live.seeded is not None else Quality.STALE
        age = freshness((self._hearing.proof, live.seeded), self._monotonic(), quality)
        if age.quality is Quality.STALE:
            return CandlesState((), skipped, age)
        return CandlesState(
            tuple(live.candles[start] for start in sorted(starts) if start in live.candles), skipped, age
        )

    # --- what the feed tells ---

    def heard(self, frame: Frame) -> None:
        """Take the running candle."""
        if not isinstance(frame, CandleChange):
            return
        live = self._live.get(Topic(Channel.CANDLES, frame.market, frame.interval))
        if live is None:
            return
        for candle in map(_running, frame.rows):
            if live.seeded is None:
                _keep_newest(live.early, candle)
            else:
                _take(live, candle)

    def subscribed(self, topics: Iterable[Topic]) -> None:
        """Read the lists of these series, now and at the end of each interval."""
        for topic in topics:
            live = self._live.setdefault(topic, _Live())
            self._forget(live)
            if live.reading is None and not self._closed:
                live.reading = asyncio.create_task(self._read(topic, live), name=f"candles {topic.market}")

    def unsubscribed(self, topic: Topic) -> None:
        """Forget a series that nobody watches."""
        live = self._live.get(topic)
        if live is None or live.readers:
            return
        del self._live[topic]
        if live.reading is not None:
            live.reading.cancel()

    def unreadable(self, market: str | None) -> None:
        """Read the lists of this market anew, or of all: what could not be read may have been the last of a candle."""
        self.subscribed([topic for topic in self._live if market in {None, topic.market}])

    def lost(self) -> None:
        """Know nothing any more."""
        for live in self._live.values():
            self._forget(live)

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

    def _forget(self, live: _Live) -> None:
        live.since = self._monotonic()
        live.seeded = None
        live.wanted.set()
        for start in live.candles:
            _tell(live, start)
        live.candles.clear()
        live.early.clear()

    async def _read(self, topic: Topic, live: _Live) -> None:
        series = Series(topic.market, Interval(topic.interval), Window())
        try:
            while self._hearing.hears(topic):
                live.wanted.clear()
                await self._list(series, live)
                await _set_within(live.wanted, self._wait_seconds(series.interval, live))
        finally:
            live.reading = None

    async def _list(self, series: Series, live: _Live) -> None:
        try:
            answer = await self._listed.newest(series, KEPT_CANDLES, LIST_AGE_SECONDS)
        except Failure as failure:
            logs.log("candles_not_read", level=logs.WARNING, market=series.market, reason=failure.reason)
            return
        asked_at = self._monotonic() - answer.freshness.age_seconds
        if asked_at < live.since:
            return
        live.seeded = Proof(answer.freshness.as_of, asked_at)
        for candle in (*answer.value, *live.early.values()):
            _take(live, candle)
        live.early.clear()
        if not live.candles:
            # Nothing was ever traded: readers are told so, by an answer without candles.
            _tell(live, 0)

    def _wait_seconds(self, interval: Interval, live: _Live) -> float:
        now_ms = self._clock.exchange_ms()
        if now_ms is None or live.seeded is None:
            return PAUSE_SECONDS
        return (interval.length_ms - now_ms % interval.length_ms) / MS_PER_SECOND + SETTLE_SECONDS


class CandlesReader:
    """One reader's way through the candles of one series."""

    def __init__(self, candles: LiveCandles, topic: Topic, slots: Slots[int]) -> None:
        """Begin with those there are."""
        self._candles = candles
        self._topic = topic
        self._slots = slots
        self._quality: Quality | None = None

    async def next(self) -> CandlesState:
        """Wait for a change of a candle, or of whether the exchange is heard; return all that changed.

        Raises:
            Unavailable: the service stops.
        """
        skipped = 0
        while True:
            starts: Iterable[int] = ()
            try:
                async with asyncio.timeout(SILENT_SECONDS):
                    starts, newly = await self._slots.take()
                    skipped += newly
            except TimeoutError:
                pass  # candles that do not change may have become stale
            state = self._candles.state(self._topic, starts, skipped)
            moved = state.freshness.quality is not self._quality
            self._quality = state.freshness.quality
            if moved or state.candles:
                return state


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def _take(live: _Live, candle: Candle) -> None:
    if _keep_newest(live.candles, candle):
        _tell(live, candle.open_time_ms)


def _keep_newest(candles: dict[int, Candle], candle: Candle) -> bool:
    known = candles.get(candle.open_time_ms)
    if known == candle or (known is not None and not _newer(candle, known)):
        return False
    candles[candle.open_time_ms] = candle
    while len(candles) > KEPT_CANDLES:
        del candles[min(candles)]
    return True


def _tell(live: _Live, start: int) -> None:
    for slots in live.readers:
        slots.put(start)


def _running(row: WireCandle) -> Candle:
    prices = Prices(row.open, row.high, row.low, row.close, row.volume)
    return Candle(row.open_time_ms, CandleState.UNFINISHED, prices)


def _newer(candle: Candle, known: Candle) -> bool:
    # What is settled stays settled. Of two that run, the one with more volume is the newer.
    if known.state is not CandleState.UNFINISHED:
        return False
    if candle.state is not CandleState.UNFINISHED or known.prices is None:
        return True
    return candle.prices is not None and candle.prices.volume >= known.prices.volume
