"""Decides which trades follow which in each watched market, and where some may be missing; `rpc` asks for WatchTrades.

A market's trades are kept in one row for all readers; a reader is a place in it, so a slow one costs nothing. That the
socket is lost is told at once; when it is back, the hole is filled from the exchange's own list of trades, or told.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
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
from market_service.live.trade_row import LISTED_TRADES, TradeRow
from market_service.model import Freshness, Quality, Window
from market_service.ports import Exchange

PAUSE_SECONDS: Final = 1.0
FIRST_LIST_SECONDS: Final = 5.0
"""A reader waits this long for the list that its row begins with; then it begins with what there is."""


@dataclass(frozen=True, slots=True)
class TradesState:
    """What a reader is told: trades oldest first, the last one's id ("" when none is known), whether some may lack.

    Without trades it tells where the stream begins, or how well the exchange is heard now.
    """

    trades: tuple[PublicTrade, ...]
    last_id: str
    gap: bool
    freshness: Freshness


@dataclass(slots=True)
class _Live:
    row: TradeRow = field(default_factory=TradeRow)
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    seeded: Proof | None = None
    readers: set[Slots[str]] = field(default_factory=set)
    reading: asyncio.Task[None] | None = None

    def doubt(self) -> None:
        self.row.doubt()
        self.listed.clear()


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
            yield TradesReader(self, market, slots, after_id)
        finally:
            live.readers.discard(slots)
            self._hearing.release(_topic(market))

    def row(self, market: str) -> TradeRow:
        """Return the row of a watched market."""
        return self._live[market].row

    def freshness(self, market: str) -> Freshness:
        """Return how old the newest trades are."""
        live = self._live[market]
        heard = Quality.RESYNCING if live.row.doubtful else Quality.GOOD
        quality = heard if self._hearing.hears(_topic(market)) else Quality.STALE
        return freshness((self._hearing.proof, live.seeded), self._monotonic(), quality)

    # --- what the feed tells ---

    def heard(self, frame: Frame) -> None:
        """Take a trade."""
        if not isinstance(frame, TradeSeen) or frame.market not in self._live:
            return
        live = self._live[frame.market]
        if live.row.hear(frame.trade):
            self._tell(live, frame.market)

    def subscribed(self, topics: Iterable[Topic]) -> None:
        """Read the lists of these markets: they bridge what was not heard."""
        for topic in topics:
            live = self._live.setdefault(topic.market, _Live())
            live.doubt()
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
        """Say so, and wait for the next subscription."""
        for market, live in self._live.items():
            live.doubt()
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
            while live.row.doubtful and self._hearing.hears(_topic(market)):
                epoch, proof = live.row.epoch, Proof(datetime.now(UTC), self._monotonic())
                try:
                    listed = await self._exchange.trades(market, LISTED_TRADES, Window())
                except Failure as failure:
                    logs.log("trades_not_read", level=logs.WARNING, market=market, reason=failure.reason)
                    await asyncio.sleep(PAUSE_SECONDS)
                    continue
                if live.row.epoch != epoch:
                    await asyncio.sleep(PAUSE_SECONDS)
                    continue
                live.row.bridge(listed[::-1])
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

    def __init__(self, trades: LiveTrades, market: str, slots: Slots[str], after_id: str) -> None:
        """Begin after the trade of this id, or with the next one when it is empty."""
        self._trades = trades
        self._market = market
        self._slots = slots
        self._after_id = after_id
        self._place = trades.row(market).place(after_id)
        self._told: Quality | None = None

    async def next(self) -> TradesState:
        """Wait for trades, or for another quality than was told last; the first state comes at once.

        Raises:
            Unavailable: the service stops.
        """
        while (state := self._state()) is None:
            await self._slots.take()
        self._told = state.freshness.quality
        return state

    def _state(self) -> TradesState | None:
        row, age = self._trades.row(self._market), self._trades.freshness(self._market)
        if self._place is None:
            self._place = row.place(self._after_id, waited=True)
        nothing_new = age.quality is self._told
        if self._place is None:
            return None if nothing_new else TradesState((), self._after_id, gap=False, freshness=age)
        number, missed = self._place
        trades, end, gap = row.after(number)
        if not trades and nothing_new:
            return None
        self._place = end, False
        return TradesState(trades, trades[-1].id if trades else row.last_id(end), gap or missed, age)


def _topic(market: str) -> Topic:
    return Topic(Channel.TRADES, market)
