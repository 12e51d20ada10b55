"""Decides what each watched market's ticker is; `rpc` and GetTicker ask.

The exchange tells only the parts that changed, without a number, so a ticker begins with what REST says after the
subscription is acknowledged. A part that an event has told is never overwritten by REST, which may be older.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Final

from bitvavo.frames import Frame, TickerChange
from bitvavo.proof import Proof
from bitvavo.topics import Channel, Topic
from kernel import logs
from kernel.errors import Failure
from market_service.catalogue import Catalogue
from market_service.live.aging import SILENT_SECONDS, freshness
from market_service.live.ports import Hearing
from market_service.live.slots import Slots
from market_service.model import Answer, Freshness, Quality, Ticker
from market_service.ports import Exchange

PAUSE_SECONDS: Final = 1.0
_PARTS: Final = tuple(each.name for each in fields(TickerChange) if each.name != "market")


@dataclass(frozen=True, slots=True)
class TickersState:
    """What a reader is told."""

    tickers: tuple[Ticker, ...]
    unknown: tuple[str, ...]
    skipped: int
    freshness: Freshness


@dataclass(slots=True)
class _Live:
    told: dict[str, object] = field(default_factory=dict)
    ticker: Ticker | None = None
    seeded: Proof | None = None
    epoch: int = 0
    """Grows whenever the ticker is forgotten; what REST was asked for before says nothing any more."""
    readers: set[Slots[str]] = field(default_factory=set)


class LiveTickers:
    """All tickers that anybody watches."""

    def __init__(
        self,
        exchange: Exchange,
        catalogue: Catalogue,
        hearing: Hearing,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with what `exchange` says; `hearing` tells this listener the frames of the channel ticker."""
        self._exchange = exchange
        self._catalogue = catalogue
        self._hearing = hearing
        self._monotonic = monotonic
        self._live: dict[str, _Live] = {}
        self._reading: asyncio.Task[None] | None = None
        self._closed = False

    @asynccontextmanager
    async def watch(self, markets: Sequence[str]) -> AsyncIterator["TickersReader"]:
        """Follow some markets' tickers.

        Raises:
            NotFound: the exchange lacks one of them.
        """
        await self._catalogue.require(markets)
        slots: Slots[str] = Slots()
        for market in markets:
            self._live.setdefault(market, _Live()).readers.add(slots)
            self._hearing.want(_topic(market))
            slots.put(market)
        if self._closed:
            slots.close()
        try:
            yield TickersReader(self, frozenset(markets), slots)
        finally:
            for market in markets:
                self._live[market].readers.discard(slots)
                self._hearing.release(_topic(market))

    def state(self, markets: Iterable[str], skipped: int) -> TickersState:
        """Return what is known of these watched markets now."""
        names = sorted(markets)
        age = self._freshness(names)
        known = () if age.quality is Quality.STALE else [self._known(name) for name in names]
        tickers = tuple(ticker for ticker in known if ticker is not None)
        found = {ticker.market for ticker in tickers}
        return TickersState(tickers, tuple(name for name in names if name not in found), skipped, age)

    def good(self, market: str, oldest_seconds: float) -> Answer[Ticker] | None:
        """Return a watched market's ticker if it is known and young enough, for a single question."""
        ticker = self._known(market) if market in self._live else None
        if ticker is None:
            return None
        age = self._freshness([market])
        return Answer(ticker, age) if age.quality is Quality.GOOD and age.age_seconds <= oldest_seconds else None

    # --- what the feed tells ---

    def heard(self, frame: Frame) -> None:
        """Take the parts that changed."""
        if not isinstance(frame, TickerChange) or frame.market not in self._live:
            return
        if not self._hearing.hears(_topic(frame.market)):
            return  # of a subscription that has ended: what changed since is not known
        live = self._live[frame.market]
        for part in _PARTS:
            value = getattr(frame, part)
            if value is not None:
                live.told[part] = value
        if live.ticker is not None:
            live.ticker = _joined(live.ticker, live.told)
            self._tell(live, frame.market)

    def subscribed(self, topics: Iterable[Topic]) -> None:
        """Read what REST says of these."""
        for topic in topics:
            _forget(self._live.setdefault(topic.market, _Live()))
        if self._reading is None and not self._closed:
            self._reading = asyncio.create_task(self._read(), name="tickers")

    def unsubscribed(self, topic: Topic) -> None:
        """Forget a market that nobody watches."""
        live = self._live.get(topic.market)
        if live is not None and not live.readers:
            del self._live[topic.market]

    def unreadable(self, market: str | None) -> None:
        """Read this market's ticker anew, or all."""
        for name, live in self._live.items():
            if market in {None, name}:
                _forget(live)
                self._tell(live, name)
        self.subscribed(())

    def lost(self) -> None:
        """Know nothing any more."""
        for name, live in self._live.items():
            _forget(live)
            self._tell(live, name)

    async def close(self) -> None:
        """End the request under way and every reader's wait."""
        self.stop_readers()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    def stop_readers(self) -> None:
        """End every reader's wait: the service stops."""
        self._closed = True
        for live in self._live.values():
            for slots in live.readers:
                slots.close()

    def _known(self, market: str) -> Ticker | None:
        return self._live[market].ticker if self._hearing.hears(_topic(market)) else None

    def _freshness(self, names: Sequence[str]) -> Freshness:
        seeds = tuple(self._live[name].seeded for name in names)
        oldest = min((seed for seed in seeds if seed is not None), key=lambda proof: proof.at, default=None)
        unheard = not any(self._hearing.hears(_topic(name)) for name in names)
        unknown = any(self._known(name) is None for name in names)
        quality = Quality.STALE if unheard else Quality.RESYNCING if unknown else Quality.GOOD
        return freshness((self._hearing.proof, oldest), self._monotonic(), quality)

    def _tell(self, live: _Live, market: str) -> None:
        for slots in live.readers:
            slots.put(market)

    async def _read(self) -> None:
        # A ticker may begin only with what was asked for after its subscription was acknowledged.
        try:
            while missing := self._missing():
                proof = Proof(datetime.now(UTC), self._monotonic())
                try:
                    prices = {row.market: row.price for row in await self._exchange.ticker_prices()}
                    books = {row.market: row for row in await self._exchange.ticker_books()}
                except Failure as failure:
                    logs.log("tickers_not_read", level=logs.WARNING, reason=failure.reason)
                    await asyncio.sleep(PAUSE_SECONDS)
                    continue
                for market, live, epoch in missing:
                    if live.epoch != epoch:
                        continue
                    book = books.get(market)
                    sides = (book.bid, book.bid_size, book.ask, book.ask_size) if book else (None,) * 4
                    self._begin(live, Ticker(market, prices.get(market), *sides), proof)
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._reading = None

    def _missing(self) -> list[tuple[str, _Live, int]]:
        return [
            (market, live, live.epoch)
            for market, live in self._live.items()
            if live.ticker is None and self._hearing.hears(_topic(market))
        ]

    def _begin(self, live: _Live, ticker: Ticker, proof: Proof) -> None:
        if self._live.get(ticker.market) is live and self._hearing.hears(_topic(ticker.market)):
            live.ticker, live.seeded = _joined(ticker, live.told), proof
            self._tell(live, ticker.market)


class TickersReader:
    """One reader's way through the tickers of some markets."""

    def __init__(self, tickers: LiveTickers, markets: frozenset[str], slots: Slots[str]) -> None:
        """Begin with all of them."""
        self._tickers = tickers
        self._markets = markets
        self._slots = slots
        self._quality: Quality | None = None

    async def next(self) -> TickersState:
        """Wait for a change of any of them, or of how far they can be trusted; return all that changed.

        Raises:
            Unavailable: the service stops.
        """
        skipped = 0
        while True:
            changed: Iterable[str] = ()
            try:
                async with asyncio.timeout(SILENT_SECONDS):
                    changed, newly = await self._slots.take()
                    skipped += newly
            except TimeoutError:
                pass  # tickers that do not change may have become stale
            whole = self._tickers.state(self._markets, skipped)
            moved = whole.freshness.quality is not self._quality
            self._quality = whole.freshness.quality
            if moved:
                return whole
            if changed:
                return self._tickers.state(changed, skipped)


def _topic(market: str) -> Topic:
    return Topic(Channel.TICKER, market)


def _forget(live: _Live) -> None:
    live.ticker = live.seeded = None
    live.told.clear()
    live.epoch += 1


def _joined(ticker: Ticker, told: dict[str, object]) -> Ticker:
    known = {part: getattr(ticker, part) for part in _PARTS}
    return Ticker(ticker.market, **{**known, **told})
