"""Joins the live parts to one socket and one exchange; `app` opens them beside the server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bitvavo.endpoints import Endpoint
from bitvavo.topics import Channel
from bitvavo.websocket import SocketOpener
from kernel.errors import Exhausted
from kernel.lifecycle import Loops
from market_service.candles import Candles
from market_service.catalogue import Catalogue
from market_service.exchange import BitvavoExchange
from market_service.live.audit import Audit
from market_service.live.books import LiveBooks
from market_service.live.candles import LiveCandles
from market_service.live.feed import Feed
from market_service.live.recorder import Recorder
from market_service.live.rpc import Live
from market_service.live.settings import LiveSettings
from market_service.live.tickers import LiveTickers
from market_service.live.trades import LiveTrades

MESSAGE: Final = Endpoint("WS", "message", 1, signed=False)
"""One message of ours over the WebSocket costs a point of this machine's address, however many topics it names."""


@dataclass(frozen=True, slots=True)
class LiveParts:
    """What runs, and what the streams follow."""

    feed: Feed
    streams: Live
    audit: Audit
    recorder: Recorder | None

    def start(self, loops: Loops) -> None:
        """Begin to listen as soon as anything is wanted."""
        loops.start("feed", self.feed.run)
        loops.start("statuses", self.streams.books.watch_statuses)
        loops.start("ages", self.streams.books.watch_ages)
        loops.start("audit", self.audit.run)
        if self.recorder is not None:
            loops.start("recorder", self.recorder.run)

    def stop_readers(self) -> None:
        """End every stream: the service stops."""
        for each in (self.streams.books, self.streams.tickers, self.streams.trades, self.streams.candles):
            each.stop_readers()


@asynccontextmanager
async def open_live(
    settings: LiveSettings,
    ca_file: Path | None,
    exchange: BitvavoExchange,
    catalogue: Catalogue,
    candles: Candles,
) -> AsyncIterator[LiveParts]:
    """Build the live parts and close them at the end. `ca_file` replaces the public authorities."""
    opener = SocketOpener(settings.socket_url, ca_file=ca_file)
    recorder = None if settings.recording is None else Recorder(settings.recording)
    feed = Feed(opener, _paying(exchange), tap=recorder)
    watched = exchange if recorder is None else recorder.watching(exchange)
    streams = Live(
        books=LiveBooks(watched, catalogue, feed),
        tickers=LiveTickers(exchange, catalogue, feed),
        trades=LiveTrades(exchange, catalogue, feed),
        candles=LiveCandles(candles, catalogue, feed, exchange),
    )
    feed.listen(Channel.BOOK, streams.books)
    feed.listen(Channel.TICKER, streams.tickers)
    feed.listen(Channel.TRADES, streams.trades)
    feed.listen(Channel.CANDLES, streams.candles)
    try:
        yield LiveParts(feed, streams, Audit(streams.books, exchange, settings.audit_seconds), recorder)
    finally:
        parts = (streams.books, streams.tickers, streams.trades, streams.candles)
        await asyncio.gather(*(each.close() for each in parts))
        await opener.close()


def _paying(exchange: BitvavoExchange) -> Callable[[], Awaitable[None]]:
    async def pay() -> None:
        while True:
            try:
                exchange.pay(MESSAGE)
            except Exhausted as exhausted:
                await asyncio.sleep(exhausted.retry_after_seconds)
            else:
                return

    return pay
