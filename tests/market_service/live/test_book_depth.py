"""A watched book answers a single question only as deep as it is known: its snapshot shows a thousand levels a side."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

from bitvavo.frames import BookDelta
from bitvavo.levels import read_changes
from bitvavo.proof import Proof
from bitvavo.topics import Channel, Topic
from bitvavo.wire import Level
from market_service.catalogue import Catalogue
from market_service.live.books import SNAPSHOT_DEPTH, LiveBooks
from market_service.model import Quality
from tests.market_service.fake_exchange import FakeExchange

MARKET = "BTC-EUR"
GONE = 10


class Voice:
    """A socket that has acknowledged everything and is alive."""

    @property
    def proof(self) -> Proof:
        return Proof(datetime.now(UTC), asyncio.get_running_loop().time())

    def hears(self, _topic: Topic) -> bool:
        return True

    def want(self, _topic: Topic) -> None:
        """Nothing is counted here."""

    def release(self, _topic: Topic) -> None:
        """Nothing is counted here."""


def rung(price: int) -> Level:
    return Level(Decimal(price), Decimal(1))


async def test_a_watched_book_is_no_answer_to_a_question_that_goes_deeper_than_it_is_known() -> None:
    exchange = FakeExchange()
    exchange.bids = tuple(rung(5_000 - n) for n in range(SNAPSHOT_DEPTH))
    exchange.asks = (rung(6_000), rung(6_001))  # all there are
    catalogue = Catalogue(exchange)
    books = LiveBooks(exchange, catalogue, Voice())
    async with books.watch(MARKET, 10) as reader:
        books.subscribed([Topic(Channel.BOOK, MARKET)])
        while (await reader.next()).freshness.quality is not Quality.GOOD:
            pass
        assert books.good(MARKET, SNAPSHOT_DEPTH, 60) is not None
        bids, asks = read_changes([(str(5_000 - n), "0") for n in range(GONE)], [])
        books.heard(BookDelta(MARKET, 2, bids, asks, None))
        assert books.good(MARKET, SNAPSHOT_DEPTH, 60) is None
        known = books.good(MARKET, SNAPSHOT_DEPTH - GONE, 60)
        assert known is not None
        assert (len(known.value.bids), len(known.value.asks)) == (SNAPSHOT_DEPTH - GONE, 2)
    await books.close()
    await catalogue.close()
