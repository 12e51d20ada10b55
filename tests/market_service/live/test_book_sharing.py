"""Many readers of one book are told one state and sent the same bytes, and none is told less than the truth by that."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from bitvavo.book import Loss
from bitvavo.frames import BookDelta
from bitvavo.topics import Channel, Topic
from market_service.live.book_states import SHARED_SECONDS, BookReader
from market_service.live.books import LiveBooks
from market_service.live.rpc import Live, WatchRpc
from market_service.model import Quality
from protos.market.v1 import market_pb2 as pb
from tests.market_service.live.test_book_ages import MARKET, Voice, watched


@pytest.fixture
def voice() -> Voice:
    return Voice()


@pytest.fixture
async def books(voice: Voice) -> AsyncIterator[LiveBooks]:
    async with watched(voice) as books, books.watch(MARKET, 10) as reader:
        books.subscribed([Topic(Channel.BOOK, MARKET)])
        await good(reader)
        yield books


async def good(reader: BookReader) -> None:
    while (await reader.next()).freshness.quality is not Quality.GOOD:
        pass


def change(books: LiveBooks, *, times: int = 1) -> None:
    """Let the exchange tell the next states, which change no level."""
    for _ in range(times):
        books.heard(BookDelta(MARKET, books.state(MARKET, 10).view.nonce + 1, [], [], None))  # type: ignore[union-attr]


async def test_readers_of_one_depth_are_told_one_state_and_of_another_depth_another(books: LiveBooks) -> None:
    async with books.watch(MARKET, 10) as one, books.watch(MARKET, 10) as two, books.watch(MARKET, 1) as other:
        for _ in range(3):
            change(books)
            told = await one.next()
            assert await two.next() is told
            assert (await other.next()).depth == 1


async def test_the_age_told_is_never_less_than_the_true_one_and_little_more(books: LiveBooks, voice: Voice) -> None:
    seen = set()
    for _ in range(40):
        state = books.state(MARKET, 10)
        seen.add(id(state))
        true = voice.now - voice.heard_at
        assert true <= state.freshness.age_seconds <= true + SHARED_SECONDS
        voice.now += SHARED_SECONDS / 8
    assert len(seen) > 1


async def test_what_changes_is_told_at_once_though_the_moment_lasts(books: LiveBooks) -> None:
    before = books.state(MARKET, 10)
    change(books)
    after = books.state(MARKET, 10)
    assert before.view is not None
    assert after.view is not None
    assert after.view.nonce == before.view.nonce + 1
    books.lose(MARKET, Loss.UNLIKE)
    lost = books.state(MARKET, 10)
    assert (lost.freshness.quality, lost.view) == (Quality.RESYNCING, None)


async def test_a_slow_reader_is_told_how_many_states_he_missed_and_a_fast_one_none(books: LiveBooks) -> None:
    only_books = Live(books, *cast("Any", [None] * 3))
    stream = cast("Any", WatchRpc)(only_books).WatchOrderBook  # the stubs call the rest of the service abstract
    slow, fast = (stream(pb.WatchOrderBookRequest(market=MARKET, depth=10), None) for _ in range(2))
    begin = {await anext(slow), await anext(fast)}
    assert len(begin) == 1, "the same bytes for both"
    for _ in range(4):
        change(books)
        quick = pb.WatchOrderBookResponse.FromString(await anext(fast))
        assert quick.skipped == 0
    late = pb.WatchOrderBookResponse.FromString(await anext(slow))
    assert late.skipped == 3
    late.skipped = 0
    assert late.bids
    assert late.nonce == quick.nonce
    assert (late.bids, late.asks, late.market_status) == (quick.bids, quick.asks, pb.MARKET_STATUS_TRADING)
