"""Books under faults: `python -m tests.market_service.book_campaign` plays 46,000 book events of 20 markets with every
fault of the socket, and holds our books to the simulated exchange's own, nonce by nonce.

Our book must equal the exchange's at the nonce it says, or say that it is not GOOD, at every moment that anybody could
ask: after each frame, and in between. The gate plays a short one (`test_books_under_faults.py`).
"""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal

from bitvavo.book import BookView
from bitvavo.frames import BookDelta, Frame
from bitvavo.market import parse_book
from bitvavo.topics import Channel
from bitvavo.websocket import SocketOpener
from bitvavo.wire import Book
from exchange_sim import house_moves
from exchange_sim.catalogue import open_markets
from exchange_sim.exchange import Exchange as SimExchange
from exchange_sim.feed import BookChange
from exchange_sim.order import Fill, Order
from exchange_sim.rate_limits import RateLimits
from exchange_sim.server import SimServer
from exchange_sim.tape import Trade
from exchange_sim.venue import Venue
from market_service.catalogue import Catalogue
from market_service.live.book_states import Pace
from market_service.live.books import LiveBooks
from market_service.live.feed import Feed
from tests.market_service.fake_exchange import FakeExchange

MARKETS = 20
EVENTS = 46_000
SHARES = {
    "nonce_gap": 0.002,
    "nonce_reset": 0.0005,
    "crossed_book": 0.002,
    "drop_frame": 0.002,
    "duplicate_frame": 0.001,
    "late_frame": 0.001,
}
SOCKET_SHARES = {"disconnect": 0.0001, "stalled_socket": 0.0001}
SETTLED_SECONDS = 30
PRICE_SCALE, AMOUNT_SCALE = 10**12, 10**8


@dataclass
class Report:
    """What was played and what was found."""

    events: int = 0
    checks: int = 0
    good: int = 0
    wrong: list[str] = field(default_factory=list)
    injected: dict[str, int] = field(default_factory=dict)
    losses: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def lines(self) -> Iterable[str]:
        yield f"events {self.events}, answers checked {self.checks}, of them GOOD {self.good}, in {self.seconds:.1f} s"
        yield "injected: " + ", ".join(f"{name} {count}" for name, count in sorted(self.injected.items()))
        yield "wrong books served as GOOD: " + str(len(self.wrong))
        yield from self.wrong[:10]


class Oracle:
    """What the exchange's own book was at each nonce; the last two for a nonce that came twice (a restart)."""

    def __init__(self) -> None:
        self.books: dict[tuple[str, int], list[int]] = {}
        self.events = 0

    def order_changed(self, venue: Venue, order: Order, execution: str) -> None: ...

    def order_filled(self, venue: Venue, order: Order, fill: Fill) -> None: ...

    def traded(self, venue: Venue, trade: Trade) -> None: ...

    def book_changed(self, venue: Venue, change: BookChange) -> None:
        del change
        self.events += 1
        self.note(venue)

    def note(self, venue: Venue) -> None:
        known = self.books.setdefault((venue.rules.market, venue.nonce), [])
        known.append(digest_of_venue(venue))
        del known[:-2]

    def agrees(self, market: str, nonce: int, digest: int) -> bool:
        return digest in self.books.get((market, nonce), ())


def digest_of_venue(venue: Venue) -> int:
    sides = ((venue.book.bids, PRICE_SCALE), (venue.book.asks, PRICE_SCALE))
    return hash(tuple(tuple((level.price, level.total) for level in side.levels()) for side, _ in sides))


def digest_of_view(view: BookView) -> int:
    return hash(
        tuple(
            tuple((int(Decimal(price) * PRICE_SCALE), int(Decimal(size) * AMOUNT_SCALE)) for price, size in side)
            for side in (view.bids, view.asks)
        )
    )


class CheckedBooks(LiveBooks):
    """Our books, compared with the oracle after every frame."""

    oracle: Oracle
    report: Report

    def heard(self, frame: Frame) -> None:
        super().heard(frame)
        if isinstance(frame, BookDelta):
            self.check(frame.market)

    def check(self, market: str) -> None:
        state = self.state(market, 1000)
        self.report.checks += 1
        if state.view is None:
            self.report.losses[state.freshness.quality] += 1
            return
        self.report.good += 1
        if not self.oracle.agrees(market, state.view.nonce, digest_of_view(state.view)):
            self.report.wrong.append(f"{market} at nonce {state.view.nonce}")


class RestOf(FakeExchange):
    """REST as far as books need it, over HTTP to the simulated exchange."""

    def __init__(self, url: str, names: list[str]) -> None:
        super().__init__()
        import aiohttp  # noqa: PLC0415 - only the campaign speaks HTTP itself

        self._session = aiohttp.ClientSession(url)
        self.names = names

    async def book(self, market: str, depth: int) -> Book:
        async with self._session.get(f"/v2/{market}/book?depth={depth}") as answer:
            return parse_book(await answer.read())

    async def close(self) -> None:
        await self._session.close()


@asynccontextmanager
async def exchange_of(count: int) -> AsyncIterator[tuple[SimServer, str]]:
    """Serve a simulated exchange in this loop."""
    exchange = SimExchange()
    open_markets(exchange, count)
    server = SimServer(exchange, RateLimits(10_000_000))
    port = await server.start("127.0.0.1", 0)
    try:
        yield server, f"127.0.0.1:{port}"
    finally:
        await server.stop()


@asynccontextmanager
async def following(report: Report, oracle: Oracle, address: str, names: list[str]) -> AsyncIterator[CheckedBooks]:
    """Follow every market as the service does: a real socket, snapshots over HTTP, one reader each."""
    exchange, opener = RestOf(f"http://{address}", names), SocketOpener(f"ws://{address}/v2/")
    feed = Feed(opener, _free, chance=lambda: 0.0)
    books = CheckedBooks(exchange, Catalogue(exchange), feed, pace=Pace(0.005, 0.05, 0.2))
    books.oracle, books.report = oracle, report
    feed.listen(Channel.BOOK, books)
    running = asyncio.create_task(feed.run())
    try:
        async with AsyncExitStack() as readers:
            for name in names:
                await readers.enter_async_context(books.watch(name, 1000))
            yield books
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await books.close()
        await opener.close()
        await exchange.close()


Beside = Callable[[str, list[str]], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def alone(_address: str, _names: list[str]) -> AsyncIterator[None]:
    """Follow nothing else."""
    yield


async def play(
    events: int, seed: int = 1, scale: float = 1.0, *, oracle: Oracle | None = None, beside: Beside = alone
) -> Report:
    """Play so many events and report; `scale` multiplies the shares of the faults; `beside` follows the same feed."""
    report, oracle, chance = Report(), oracle or Oracle(), random.Random(seed)
    async with exchange_of(MARKETS) as (server, address):
        exchange = server.exchange
        names = list(exchange.venues)
        exchange.feed.subscribe(oracle)
        for venue in exchange.venues.values():
            exchange.feed.flush(venue, exchange.clock.now_ns())
            oracle.note(venue)
        started = time.perf_counter()
        async with following(report, oracle, address, names) as books, beside(address, names):
            await settled(books, names)
            for number, (fault, share) in enumerate({**SHARES, **SOCKET_SHARES}.items()):
                wish = {"match": {"channel": "book"}, "fault": fault, "times": None, "probability": share * scale}
                # A chance of its own for each: with one chance the dropped frames would be the crossed ones.
                server.faults.add({**wish, "seed": seed * 100 + number, "ms": 0 if fault == "stalled_socket" else 30})
            oracle.events = 0
            while oracle.events < events:
                for venue in exchange.venues.values():
                    move(exchange, venue, chance)
                exchange.feed.flush_all(exchange.clock.now_ns())
                await asyncio.sleep(0.003)
                for name in names:
                    books.check(name)
            server.faults.remove(None)
            await settled(books, names)
            report.events = oracle.events
            report.injected = dict(server.faults.injected)
            for name in names:
                books.check(name)
        report.seconds = time.perf_counter() - started
    return report


async def settled(books: CheckedBooks, names: list[str]) -> None:
    """Wait until every book is right: faults must not leave one behind for good."""
    async with asyncio.timeout(SETTLED_SECONDS):
        while len(books.markets()) < len(names):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def move(exchange: SimExchange, venue: Venue, chance: random.Random) -> None:
    """Change a few levels near the best price: sizes, new levels, levels that go."""
    tick, step = venue.rules.tick, venue.rules.amount_step
    best = venue.book.bids.best()
    base = best.price if best is not None else 1000 * tick
    bids, asks = [], []
    for _ in range(chance.randint(1, 4)):
        away = chance.randint(0, 30) * tick
        size = 0 if chance.random() < 0.3 else chance.randint(1, 10_000) * step * 100
        if chance.random() < 0.5:
            if base - away > 0:
                bids.append((base - away, size))
        else:
            asks.append((base + tick + away, size))
    house_moves.change_levels(exchange, venue, bids, asks)


async def _free() -> None:
    """Messages cost nothing here."""


def main() -> None:
    """Play the campaign; the exit code says whether a wrong book was served."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--seed", type=int, default=1)
    words = parser.parse_args()
    report = asyncio.run(play(words.events, words.seed))
    sys.stdout.write("\n".join(report.lines()) + "\n")
    sys.exit(bool(report.wrong))


if __name__ == "__main__":
    main()
