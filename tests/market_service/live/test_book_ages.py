"""A book that nobody changes: its readers are told when it has become stale, and when it is fresh again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from bitvavo.proof import Proof
from bitvavo.topics import Channel, Topic
from market_service.catalogue import Catalogue
from market_service.live.aging import SILENT_SECONDS
from market_service.live.books import LiveBooks
from market_service.model import Quality
from tests.market_service.fake_exchange import FakeExchange

MARKET = "BTC-EUR"


class Voice:
    """A socket that is there and says nothing; `now` is its clock, `heard_at` when it last proved to be alive."""

    def __init__(self) -> None:
        self.now = self.heard_at = 100.0

    @property
    def proof(self) -> Proof:
        return Proof(datetime.now(UTC), self.heard_at)

    def hears(self, _topic: Topic) -> bool:
        return True

    def want(self, _topic: Topic) -> None:
        """Nothing is counted here."""

    def release(self, _topic: Topic) -> None:
        """Nothing is counted here."""


@asynccontextmanager
async def watched(voice: Voice) -> AsyncIterator[LiveBooks]:
    exchange = FakeExchange()
    catalogue = Catalogue(exchange)
    books = LiveBooks(exchange, catalogue, voice, lambda: voice.now)
    looking = asyncio.create_task(books.watch_ages())
    try:
        yield books
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking
        await books.close()
        await catalogue.close()


async def test_a_reader_is_told_when_a_silent_book_becomes_stale_and_when_it_is_fresh_again() -> None:
    voice = Voice()
    async with watched(voice) as books, books.watch(MARKET, 10) as reader:
        books.subscribed([Topic(Channel.BOOK, MARKET)])
        state = await reader.next()
        while state.freshness.quality is not Quality.GOOD:
            state = await reader.next()
        voice.now += SILENT_SECONDS + 0.1
        stale = await reader.next()
        assert (stale.freshness.quality, stale.view) == (Quality.STALE, None)
        voice.heard_at = voice.now
        fresh = await reader.next()
        assert (fresh.freshness.quality, fresh.view) == (Quality.GOOD, state.view)


async def test_a_look_at_the_age_counts_as_no_state_that_was_skipped() -> None:
    voice = Voice()
    async with watched(voice) as books, books.watch(MARKET, 10) as reader:
        books.subscribed([Topic(Channel.BOOK, MARKET)])
        while (await reader.next()).freshness.quality is not Quality.GOOD:
            pass
        await asyncio.sleep(1.2)  # two looks
        voice.now += SILENT_SECONDS + 0.1
        await reader.next()
        assert reader.skipped == 0
