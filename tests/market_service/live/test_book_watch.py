"""Who begins to watch a book: what he asks for must exist, and what he learns is learned by all."""

from dataclasses import replace

import pytest

from bitvavo.topics import Channel, Topic
from kernel.errors import NotFound
from market_service.catalogue import Catalogue, Listing
from market_service.live.books import LiveBooks
from market_service.model import Answer, Quality
from tests.market_service.fake_exchange import FakeExchange
from tests.market_service.live.test_book_ages import MARKET, Voice


class Halting(Catalogue):
    """Markets that are all in one state."""

    status = "trading"

    async def listing(self, max_age_seconds: float | None = None) -> Answer[Listing]:
        answer = await super().listing(max_age_seconds)
        rows = {name: replace(each, status=self.status) for name, each in answer.value.by_name.items()}
        return answer.having(Listing(rows))


async def test_a_market_that_does_not_exist_leaves_nothing_behind() -> None:
    books = LiveBooks(exchange := FakeExchange(), Catalogue(exchange), Voice())
    for number in range(20):
        with pytest.raises(NotFound):
            async with books.watch(f"NOPE{number}-EUR", 10):
                pass
    assert books._live == {}
    await books.close()


async def test_a_halt_that_a_newcomer_learns_of_is_told_to_those_who_were_there() -> None:
    exchange, voice = FakeExchange(), Voice()
    catalogue = Halting(exchange)
    books = LiveBooks(exchange, catalogue, voice, lambda: voice.now)
    async with books.watch(MARKET, 10) as first:
        books.subscribed([Topic(Channel.BOOK, MARKET)])
        while (await first.next()).freshness.quality is not Quality.GOOD:
            pass
        catalogue.status = "halted"
        async with books.watch(MARKET, 10) as newcomer:
            for reader in (first, newcomer):
                state = await reader.next()
                assert (state.status, state.freshness.quality, state.view) == ("halted", Quality.STALE, None)
        assert books.markets() == []
    await books.close()
    await catalogue.close()
