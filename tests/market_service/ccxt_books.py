"""ccxt.pro on the same feed: `python -m tests.market_service.ccxt_books` counts the wrong books each serves as good.

ccxt.pro's own `watchOrderBook` follows the same simulated exchange over its own socket during the campaign of
`book_campaign`; after every event that it handles, its book is held to the exchange's at the nonce that it says. It has
no word for a book that is not known, so every book it has counts as served. ccxt is installed beside the project at
the first use.
"""

import argparse
import asyncio
import importlib
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from exchange_sim.fixed import write_amount, write_price
from exchange_sim.venue import Venue
from tests.market_service.book_campaign import EVENTS, Oracle, play
from tests.market_service.ccxt_path import add_ccxt

add_ccxt()
CCXT: Any = importlib.import_module("ccxt.pro")

WARM_UP_SECONDS = 60


class FloatOracle(Oracle):
    """The exchange's books also as ccxt writes them: floats."""

    def __init__(self) -> None:
        super().__init__()
        self.floats: dict[tuple[str, int], list[int]] = {}

    def note(self, venue: Venue) -> None:
        super().note(venue)
        known = self.floats.setdefault((venue.rules.market, venue.nonce), [])
        sides = (venue.book.bids, venue.book.asks)
        known.append(
            hash(
                tuple(
                    tuple(
                        (float(write_price(level.price)), float(write_amount(level.total))) for level in side.levels()
                    )
                    for side in sides
                )
            )
        )
        del known[:-2]


class Rival:
    """ccxt.pro's books, compared after every event."""

    def __init__(self, oracle: FloatOracle) -> None:
        self.oracle = oracle
        self.answers = 0
        self.wrong: Counter[str] = Counter()
        self.crossed = 0

    @asynccontextmanager
    async def following(self, address: str, names: list[str]) -> AsyncIterator[None]:
        client = CCXT.bitvavo({"newUpdates": False, "enableRateLimit": False})
        client.urls["api"] = {**client.urls["api"], **dict.fromkeys(("public", "private"), f"http://{address}")}
        client.urls["api"]["ws"] = f"ws://{address}/v2/"
        handle = client.handle_order_book

        def handled(socket: object, message: dict[str, Any]) -> None:
            handle(socket, message)
            self.check(client, message["market"])

        client.handle_order_book = handled
        await client.load_markets()
        tasks = [asyncio.create_task(self.watch(client, client.safe_symbol(name, None, "-"))) for name in names]
        try:
            async with asyncio.timeout(WARM_UP_SECONDS):
                while sum(book["nonce"] is not None for book in client.orderbooks.values()) < len(names):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            self.answers, self.crossed = 0, 0
            self.wrong.clear()
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await client.close()

    async def watch(self, client: Any, symbol: str) -> None:  # noqa: ANN401 - a class of ccxt
        while True:
            try:
                await client.watch_order_book(symbol)
            except CCXT.BaseError:
                await asyncio.sleep(0.1)

    def check(self, client: Any, market: str) -> None:  # noqa: ANN401 - a class of ccxt
        book = client.orderbooks.get(client.safe_symbol(market, None, "-"))
        if book is None or book["nonce"] is None:
            return
        self.answers += 1
        shown = book.limit()
        sides = tuple(tuple((level[0], level[1]) for level in shown[side]) for side in ("bids", "asks"))
        if hash(sides) not in self.oracle.floats.get((market, book["nonce"]), ()):
            self.wrong[market] += 1
        if sides[0] and sides[1] and sides[0][0][0] >= sides[1][0][0]:
            self.crossed += 1


async def compare(events: int, seed: int) -> None:
    """Play the campaign with both on the feed and print the table."""
    oracle = FloatOracle()
    rival = Rival(oracle)
    report = await play(events, seed, oracle=oracle, beside=rival.following)
    lost = {each.split()[0] for each in report.wrong}
    lines = (
        *report.lines(),
        "",
        "                    books answered   wrong, served as good   markets ever wrong",
        f"market_service     {report.good:15}  {len(report.wrong):22}  {len(lost):19}",
        f"ccxt.pro {CCXT.__version__:9} {rival.answers:15}  {sum(rival.wrong.values()):22}  {len(rival.wrong):19}",
        f"of ccxt.pro's, {rival.crossed} had bids at or above the asks",
    )
    sys.stdout.write("\n".join(lines) + "\n")


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--seed", type=int, default=1)
    words = parser.parse_args()
    asyncio.run(compare(words.events, words.seed))


if __name__ == "__main__":
    main()
