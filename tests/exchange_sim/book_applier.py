"""Rebuilds books from a stream of deltas, written from the exchange's documents alone: it knows nothing but a socket.

Subscribe, buffer, snapshot; drop what the snapshot includes; the next nonce is the snapshot's plus one, and each
further one the last plus one. Any other nonce, higher or lower, and any crossed book: discard, and begin again.
"""

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import orjson

Frame = dict[str, Any]
MOST_BUFFERED = 10_000


class Rebuilt:
    """One market's book, its nonce, and a digest of it at every nonce it had."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[Decimal, Decimal]] = {"bids": {}, "asks": {}}
        self.nonce: int | None = None
        self.buffered: list[Frame] = []
        self.digests: list[tuple[int, str]] = []

    def set_levels(self, frame: Frame) -> None:
        for name, levels in self.sides.items():
            for price_text, size_text in frame[name]:
                price, size = Decimal(price_text), Decimal(size_text)
                if size:
                    levels[price] = size
                else:
                    levels.pop(price, None)
        self.nonce = frame["nonce"]

    def is_crossed(self) -> bool:
        bids, asks = self.sides.values()
        return bool(bids and asks) and max(bids) >= min(asks)

    def note(self) -> None:
        lines = [f"b {_plain(price)} {_plain(size)}\n" for price, size in sorted(self.sides["bids"].items())[::-1]]
        lines += [f"a {_plain(price)} {_plain(size)}\n" for price, size in sorted(self.sides["asks"].items())]
        assert self.nonce is not None
        self.digests.append((self.nonce, hashlib.sha256("".join(lines).encode()).hexdigest()))


class Applier:
    """All markets of one socket; `send` writes a frame."""

    def __init__(self, send: Callable[[str], Awaitable[None]]) -> None:
        self._send = send
        self.books: dict[str, Rebuilt] = {}
        self.applied = 0
        # Why books were discarded: a nonce too high, too low, or a crossed book.
        self.noticed: Counter[str] = Counter()

    async def start(self, markets: list[str]) -> None:
        self.books = {market: Rebuilt() for market in markets}
        channels = [{"name": "book", "markets": markets}]
        await self._send(orjson.dumps({"action": "subscribe", "channels": channels}).decode())
        for market in markets:
            await self._ask(market)

    async def take(self, frame: Frame) -> None:
        """Take one frame of the socket."""
        if frame.get("event") == "book":
            book = self.books[frame["market"]]
            if book.nonce is None:
                assert len(book.buffered) < MOST_BUFFERED
                book.buffered.append(frame)
            else:
                await self._apply(frame["market"], book, frame)
        elif frame.get("action") == "getBook":
            await self._begin(frame["response"])

    async def _begin(self, snapshot: Frame) -> None:
        market = snapshot["market"]
        book = self.books[market]
        if book.nonce is not None:
            return
        buffered, book.buffered = book.buffered, []
        book.set_levels(snapshot)
        # After a restart of the engine the buffer may hold numbers of before, which are no part of this series.
        falls = [place for place in range(1, len(buffered)) if buffered[place]["nonce"] < buffered[place - 1]["nonce"]]
        for frame in buffered[falls[-1] if falls else 0 :]:
            if not self._is_current(market):
                book.buffered.append(frame)
            elif frame["nonce"] > snapshot["nonce"]:
                await self._apply(market, book, frame)

    def _is_current(self, market: str) -> bool:
        return self.books[market].nonce is not None

    async def _apply(self, market: str, book: Rebuilt, frame: Frame) -> None:
        assert book.nonce is not None
        if frame["nonce"] != book.nonce + 1:
            await self._discard(market, "nonce too high" if frame["nonce"] > book.nonce else "nonce too low", frame)
            return
        book.set_levels(frame)
        if book.is_crossed():
            await self._discard(market, "crossed", frame)
            return
        book.note()
        self.applied += 1

    async def _discard(self, market: str, why: str, frame: Frame) -> None:
        self.noticed[why] += 1
        book = self.books[market]
        book.sides, book.nonce, book.buffered = {"bids": {}, "asks": {}}, None, [frame]
        await self._ask(market)

    async def _ask(self, market: str) -> None:
        await self._send(orjson.dumps({"action": "getBook", "market": market}).decode())


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")
