"""An hour of market data on a fast clock: `python -m tests.market_service.hour` plays it in a minute or two.

The loop's clock jumps to the next thing to do instead of waiting for it, so an hour of subscriptions, resyncs, lost
sockets and readers that come, stall and go passes as fast as this machine computes. Watched: memory, tasks, streams.
"""

import argparse
import asyncio
import gc
import random
import selectors
import sys
import tracemalloc
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from bitvavo.proof import Proof, SocketLostError
from bitvavo.topics import Channel, Topic
from bitvavo.wire import Book, Level
from kernel.errors import Failure
from market_service.candles import Candles
from market_service.catalogue import Catalogue
from market_service.live.audit import Audit, Finding
from market_service.live.books import LiveBooks
from market_service.live.candles import LiveCandles
from market_service.live.feed import Feed
from market_service.live.tickers import LiveTickers
from market_service.live.trades import LiveTrades
from market_service.model import Interval
from tests.market_service.fake_exchange import FakeExchange

HOUR_SECONDS = 3_600.0
MARKETS = 5
FRAME_SECONDS = 0.1
SOCKET_SECONDS = 240.0
AUDIT_SECONDS = 15.0
SAMPLES = 12


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps over every wait."""

    def __init__(self) -> None:
        super().__init__(selectors.SelectSelector())
        self._now = 1_000.0
        select = self._selector.select  # type: ignore[attr-defined]

        def jump(timeout: float | None = None) -> object:
            found = select(0)
            if not found and timeout:
                self._now += timeout
            return found

        self._selector.select = jump  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._now


class Exchange(FakeExchange):
    """An exchange of few markets whose books move; it answers REST, and tells a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.names = [f"M{n}-EUR" for n in range(MARKETS)]
        self.nonces = dict.fromkeys(self.names, 1000)
        self.levels: dict[str, dict[str, dict[Decimal, str]]] = {name: {"bids": {}, "asks": {}} for name in self.names}
        self.chance = random.Random(5)
        self.trades_told = 0
        for name in self.names:
            for n in range(200):
                self.levels[name]["bids"][Decimal(10_000 - n)] = "1"
                self.levels[name]["asks"][Decimal(10_001 + n)] = "1"

    async def book(self, market: str, depth: int) -> Book:
        del depth
        sides = [
            tuple(
                Level(price, Decimal(size)) for price, size in sorted(self.levels[market][side].items(), reverse=best)
            )
            for side, best in (("bids", True), ("asks", False))
        ]
        return Book(market, self.nonces[market], sides[0], sides[1], None)

    def exchange_ms(self) -> int:
        return int(asyncio.get_running_loop().time() * 1000)

    def step(self, market: str) -> bytes:
        """Change a few levels and tell of it."""
        changed: dict[str, list[list[str]]] = {"bids": [], "asks": []}
        for side, base, sign in (("bids", 10_000, -1), ("asks", 10_001, 1)):
            for _ in range(self.chance.randint(0, 4)):
                price = Decimal(base + sign * self.chance.randint(0, 300))
                size = "0" if self.chance.random() < 0.3 and price != base else f"{self.chance.randint(1, 9999)}.5"
                if size == "0":
                    self.levels[market][side].pop(price, None)
                else:
                    self.levels[market][side][price] = size
                changed[side].append([f"{price}.00", size])
        self.nonces[market] += 1
        return orjson.dumps({"event": "book", "market": market, "nonce": self.nonces[market], **changed})


@dataclass
class Line:
    """A socket that tells frames every 100 ms of the loop's clock and is lost after a while."""

    exchange: Exchange
    told: list[bytes] = field(default_factory=list)
    topics: set[Topic] = field(default_factory=set)
    closed: bool = False

    def __post_init__(self) -> None:
        self.ends = asyncio.get_running_loop().time() + SOCKET_SECONDS

    @property
    def proof(self) -> Proof | None:
        return None if self.closed else Proof(datetime.now(UTC), asyncio.get_running_loop().time())

    async def subscribe(self, topics: Iterable[Topic], request_id: int) -> None:
        self.topics |= set(topics)
        self._acknowledge("subscribed", request_id)

    async def unsubscribe(self, topics: Iterable[Topic], request_id: int) -> None:
        self.topics -= set(topics)
        self._acknowledge("unsubscribed", request_id)

    def _acknowledge(self, event: str, request_id: int) -> None:
        told: dict[str, object] = {}
        for named, market, interval in self.topics:
            channel = named.value
            if interval:
                told.setdefault(channel, {}).setdefault(interval, []).append(market)  # type: ignore[attr-defined]
            else:
                told.setdefault(channel, []).append(market)  # type: ignore[attr-defined]
        self.told.append(orjson.dumps({"event": event, "requestId": request_id, "subscriptions": told}))

    async def frames(self) -> AsyncIterator[bytes]:
        while asyncio.get_running_loop().time() < self.ends and not self.closed:
            while self.told:
                yield self.told.pop(0)
            await asyncio.sleep(FRAME_SECONDS)
            for market in self.exchange.names:
                frame = self.exchange.step(market)
                if Topic(Channel.BOOK, market) in self.topics and self.exchange.chance.random() > 0.0005:
                    yield frame
            for raw in self._others():
                yield raw
        raise SocketLostError("closed")

    def _others(self) -> Iterable[bytes]:
        market = self.exchange.chance.choice(self.exchange.names)
        if Topic(Channel.TICKER, market) in self.topics:
            bid = str(self.exchange.chance.randint(1, 99))
            yield orjson.dumps({"event": "ticker", "market": market, "bestBid": bid, "bestBidSize": "1"})
        if Topic(Channel.TRADES, market) in self.topics:
            self.exchange.trades_told += 1
            number = self.exchange.trades_told
            trade = {"id": f"t{number}", "amount": "1", "price": "2", "side": "buy", "timestamp": number + 1000}
            yield orjson.dumps({"event": "trade", "market": market, **trade})
        if Topic(Channel.CANDLES, market, "1m") in self.topics:
            start = self.exchange.exchange_ms() // 60_000 * 60_000
            row = [start, "1", "2", "1", "2", str(self.exchange.chance.randint(1, 99))]
            yield orjson.dumps({"event": "candle", "market": market, "interval": "1m", "candle": [row]})

    async def close(self) -> None:
        self.closed = True


class Opener:
    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.opened = 0

    async def open(self) -> Line:
        self.opened += 1
        return Line(self.exchange)


@dataclass
class Hour:
    """What was seen: bytes in use at each sample, and what was left in the end."""

    memory: list[int] = field(default_factory=list)
    tasks_left: list[str] = field(default_factory=list)
    readers_begun: int = 0
    readers_ended: int = 0
    messages: int = 0
    sockets: int = 0
    findings: dict[str, int] = field(default_factory=dict)

    def growth(self) -> float:
        """The last quarter's memory over the second quarter's: caches are full by then."""
        quarter = len(self.memory) // 4
        early, late = self.memory[quarter : 2 * quarter], self.memory[-quarter:]
        return (sum(late) / len(late)) / (sum(early) / len(early))


async def play(seconds: float) -> Hour:
    """Play so much of an hour."""
    hour, loop = Hour(), asyncio.get_running_loop()
    before = asyncio.all_tasks()
    exchange = Exchange()
    opener, catalogue = Opener(exchange), Catalogue(exchange)
    feed = Feed(opener, _free, monotonic=loop.time)
    listed = Candles(exchange, catalogue, exchange)
    books = LiveBooks(exchange, catalogue, feed, loop.time)
    tickers = LiveTickers(exchange, catalogue, feed, loop.time)
    trades = LiveTrades(exchange, catalogue, feed, loop.time)
    candles = LiveCandles(listed, catalogue, feed, exchange, loop.time)
    parts: dict[Channel, Any] = {
        Channel.BOOK: books,
        Channel.TICKER: tickers,
        Channel.TRADES: trades,
        Channel.CANDLES: candles,
    }
    for channel, part in parts.items():
        feed.listen(channel, part)
    running = [asyncio.create_task(each()) for each in (feed.run, books.watch_statuses, books.watch_ages)]
    audit = Audit(books, exchange, AUDIT_SECONDS)
    chance, ends = random.Random(9), loop.time() + seconds
    readers = [asyncio.create_task(_readers(hour, parts, exchange.names, chance, ends)) for _ in range(4)]
    running.append(asyncio.create_task(_audit(hour, audit, exchange.names)))
    for _ in range(SAMPLES):
        await asyncio.sleep(seconds / SAMPLES)
        gc.collect()
        hour.memory.append(tracemalloc.get_traced_memory()[0])
    for part in parts.values():
        part.stop_readers()
    await asyncio.gather(*readers)
    for task in running:
        task.cancel()
    for ended in await asyncio.gather(*running, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended
    for part in parts.values():
        await part.close()
    await listed.close()
    await catalogue.close()
    hour.sockets = opener.opened
    hour.tasks_left = [task.get_name() for task in asyncio.all_tasks() - before]
    return hour


async def _readers(hour: Hour, parts: dict[Channel, Any], names: list[str], chance: random.Random, ends: float) -> None:
    """Come, read for a while, now and then slowly, and go; over and over."""
    loop = asyncio.get_running_loop()
    while loop.time() < ends:
        market = chance.choice(names)
        watches = (
            lambda m=market: parts[Channel.BOOK].watch(m, 10),
            lambda m=market: parts[Channel.TICKER].watch([m]),
            lambda m=market: parts[Channel.TRADES].watch(m, ""),
            lambda m=market: parts[Channel.CANDLES].watch(m, Interval.M1),
        )
        hour.readers_begun += 1
        leaves = loop.time() + chance.choice([1, 10, 60])
        try:
            async with chance.choice(watches)() as reader:
                while loop.time() < min(leaves, ends):
                    async with asyncio.timeout(5):
                        await reader.next()
                    hour.messages += 1
                    if chance.random() < 0.02:
                        await asyncio.sleep(20)  # a slow one
        except (Failure, TimeoutError):
            pass
        hour.readers_ended += 1
        await asyncio.sleep(chance.choice([0, 1, 45]))


async def _audit(hour: Hour, audit: Audit, names: list[str]) -> None:
    while True:
        for name in names:
            await asyncio.sleep(AUDIT_SECONDS / len(names))
            finding: Finding = await audit.compare(name)
            hour.findings[finding] = hour.findings.get(finding, 0) + 1


async def _free() -> None:
    """Messages cost nothing here."""


def run(seconds: float) -> Hour:
    """Play on a jumping loop of its own, with memory traced."""
    tracemalloc.start()
    try:
        with asyncio.Runner(loop_factory=JumpingLoop) as runner:
            return runner.run(play(seconds))
    finally:
        tracemalloc.stop()


def main() -> None:
    """Play a whole hour."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=HOUR_SECONDS)
    hour = run(parser.parse_args().seconds)
    lines = (
        f"memory, KiB: {[round(each / 1024) for each in hour.memory]}; late over early {hour.growth():.2f}",
        f"readers {hour.readers_begun} begun, {hour.readers_ended} ended; messages {hour.messages}",
        f"sockets {hour.sockets}; audits {hour.findings}; tasks left {hour.tasks_left}",
    )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
