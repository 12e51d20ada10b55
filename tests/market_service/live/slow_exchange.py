"""An exchange that answers when a test lets it, with what was so when it was asked; and a socket that is there."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from bitvavo.proof import Proof
from bitvavo.topics import Topic
from bitvavo.wire import Candle as WireCandle
from bitvavo.wire import PublicTrade, TickerBook
from market_service.model import Window
from tests.market_service.fake_exchange import FakeExchange

MARKET = "BTC-EUR"
WAIT_SECONDS = 10


class Voice:
    """A socket that is there; `heard` is what it has acknowledged."""

    def __init__(self, *heard: Topic) -> None:
        self.heard = set(heard)

    @property
    def proof(self) -> Proof:
        return Proof(datetime.now(UTC), asyncio.get_running_loop().time())

    def hears(self, topic: Topic) -> bool:
        return topic in self.heard

    def want(self, _topic: Topic) -> None:
        """Nothing is counted here."""

    def release(self, _topic: Topic) -> None:
        """Nothing is counted here."""


class Slow(FakeExchange):
    """Answers what was so when it was asked, and only when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.traded: list[PublicTrade] = []
        self.bid = Decimal(99)
        self.under_way: list[asyncio.Event] = []

    async def trades(self, _market: str, limit: int, _window: Window) -> tuple[PublicTrade, ...]:
        listed = tuple(self.traded[::-1][:limit])
        await self._let_go()
        return listed

    async def ticker_books(self) -> tuple[TickerBook, ...]:
        told = (TickerBook(MARKET, self.bid, Decimal(1), Decimal(1_000), Decimal(1)),)
        await self._let_go()
        return told

    async def candles(self, *_series: object) -> tuple[WireCandle, ...]:
        rows = self.rows
        await self._let_go()
        return rows

    async def asked_times(self, times: int) -> asyncio.Event:
        """Wait until so many questions have been asked; return what lets the last one go."""
        await become(lambda: len(self.under_way) >= times)
        return self.under_way[times - 1]

    async def _let_go(self) -> None:
        go = asyncio.Event()
        self.under_way.append(go)
        await go.wait()
        if self.failure is not None:
            raise self.failure


async def become(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not true():  # noqa: ASYNC110 - what is waited for belongs to the code under test
            await asyncio.sleep(0.01)
