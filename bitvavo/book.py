"""Keeps one market's order book from snapshots and deltas, and knows whether it is right; pure: no clock, no network.

The exchange's protocol (https://docs.bitvavo.com/docs/websocket-api/introduction/): deltas come without a snapshot;
they are kept until one arrives. A snapshot of nonce S is the state after delta S: deltas up to S are dropped, the next
must be S + 1, and from then on each must be the last + 1. Any other number, higher or lower (a restarted engine counts
from the start while the socket stays open), and a book whose bids reach its asks, mean that the book is not known.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from itertools import islice
from operator import itemgetter
from typing import Final

import msgspec

from bitvavo.frames import BookDelta
from bitvavo.levels import ASK, BID, NOTHING, Changes, Pair, rank_of, shortest
from bitvavo.market import Book, Level

MAX_KEPT_DELTAS: Final = 2_000
"""Deltas kept while a snapshot is awaited: more than three minutes of them, at one every 100 ms."""

SNAPSHOT_LEVELS: Final = 1_000
"""A snapshot with this many levels of a side may lack the worse ones."""

MIN_KNOWN_LEVELS: Final = 100
"""With fewer known levels of a side that is not wholly known, a new snapshot is wanted."""


class Loss(StrEnum):
    """Why a book is not known."""

    NEW = "new"  # no snapshot yet
    GAP = "gap"  # a nonce was skipped
    BACK = "back"  # a nonce came again, or the counting began anew
    CROSSED = "crossed"  # bids reach asks
    MALFORMED = "malformed"  # a frame about this market could not be read
    SOCKET = "socket"  # the socket closed or fell silent
    HALTED = "halted"  # the market does not trade
    UNLIKE = "unlike"  # a snapshot of the same nonce differs
    BEHIND = "behind"  # a snapshot was ahead and the deltas up to it did not come
    THIN = "thin"  # nearly all levels that the last snapshot had are gone


class BookView(msgspec.Struct, frozen=True, gc=False):
    """The best levels of each side, best first, at one nonce: a copy that later deltas do not change."""

    market: str
    nonce: int
    bids: tuple[Pair, ...]
    asks: tuple[Pair, ...]
    timestamp_ns: int | None


class LocalBook:
    """One market's book. `loss` is None exactly when the book is known to be right at `nonce`."""

    __slots__ = ("_asks", "_bids", "_kept", "epoch", "loss", "market", "nonce", "timestamp_ns")

    def __init__(self, market: str) -> None:
        """Begin without a snapshot."""
        self.market = market
        self.loss: Loss | None = Loss.NEW
        self.nonce = -1
        self.timestamp_ns: int | None = None
        self.epoch = 0
        """Grows with every loss; a snapshot asked for before the last one must not be used."""
        self._bids = _Side(BID)
        self._asks = _Side(ASK)
        self._kept: list[BookDelta] = []

    def apply(self, delta: BookDelta) -> bool:
        """Take the next delta; say whether the book is right afterwards."""
        if self.loss is not None:
            self._keep(delta)
            return False
        if delta.nonce != self.nonce + 1:
            self.lose(Loss.GAP if delta.nonce > self.nonce else Loss.BACK)
            self._keep(delta)
            return False
        self._bids.change(delta.bids)
        self._asks.change(delta.asks)
        self.nonce, self.timestamp_ns = delta.nonce, delta.timestamp_ns
        return self._sound()

    def lose(self, why: Loss) -> None:
        """Stop being right: what was known is dropped, and only a snapshot asked for from now on helps."""
        self.loss = why
        self.epoch += 1
        self._kept.clear()
        self._bids.clear()
        self._asks.clear()

    def seed(self, snapshot: Book, epoch: int) -> bool:
        """Take a snapshot that was asked for in `epoch`; say whether the book is right now.

        It is not when the book was lost since, or when deltas between snapshot and the first kept one are missing:
        then a newer snapshot is wanted.
        """
        if epoch != self.epoch or self.loss is None:
            return self.loss is None
        kept = [delta for delta in self._kept if delta.nonce > snapshot.nonce]
        if kept and kept[0].nonce != snapshot.nonce + 1:
            return False
        self._start(snapshot)
        if self._sound():
            for delta in kept:
                self.apply(delta)
        return self.loss is None

    def view(self, depth: int) -> BookView:
        """Return the best `depth` levels of each side, fewer where fewer are known."""
        return BookView(self.market, self.nonce, self._bids.best(depth), self._asks.best(depth), self.timestamp_ns)

    def reaches(self, depth: int) -> bool:
        """Say whether `view` shows as much of both sides as the market has, down to this depth."""
        return self._bids.reaches(depth) and self._asks.reaches(depth)

    def copy(self) -> "LocalBook":
        """Return a book of the same state that goes its own way."""
        twin = LocalBook(self.market)
        twin.loss, twin.nonce, twin.timestamp_ns, twin.epoch = self.loss, self.nonce, self.timestamp_ns, self.epoch
        twin._bids, twin._asks = self._bids.copy(), self._asks.copy()
        twin._kept = self._kept.copy()
        return twin

    def agrees_with(self, snapshot: Book) -> bool:
        """Say whether a snapshot of the same nonce shows what this book shows, as deep as both are known."""
        return self._bids.shows(snapshot.bids) and self._asks.shows(snapshot.asks)

    def _keep(self, delta: BookDelta) -> None:
        # A hole among the kept ones makes those before it useless, and the snapshot under way too old to trust.
        if self._kept and delta.nonce != self._kept[-1].nonce + 1:
            self._kept.clear()
            self.epoch += 1
        if len(self._kept) >= MAX_KEPT_DELTAS:
            self._kept.clear()
        self._kept.append(delta)

    def _start(self, snapshot: Book) -> None:
        self._bids.fill(snapshot.bids)
        self._asks.fill(snapshot.asks)
        self._kept.clear()
        self.nonce, self.timestamp_ns, self.loss = snapshot.nonce, snapshot.timestamp_ns, None

    def _sound(self) -> bool:
        bids, asks = self._bids, self._asks
        if bids.ranks and asks.ranks and bids.ranks[-1] >= -asks.ranks[-1]:
            self.lose(Loss.CROSSED)
        elif bids.known < bids.least or asks.known < asks.least:
            self.lose(Loss.THIN)
        return self.loss is None


class _Side:
    """One side: its ranks in order, the best last, and the level of each."""

    __slots__ = ("_pairs", "_sign", "_worst", "known", "least", "ranks")

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self.ranks: list[int] = []
        self._pairs: dict[int, Pair] = {}
        self._worst: int | None = None
        """Below this rank the last snapshot said nothing; None: it showed the whole side."""
        self.known = 0
        """How many of the best levels are known: those below the worst may have others between them."""
        self.least = 0
        """With fewer known levels a new snapshot is wanted."""

    def clear(self) -> None:
        self.ranks.clear()
        self._pairs.clear()
        self._worst, self.known, self.least = None, 0, 0

    def copy(self) -> "_Side":
        twin = _Side(self._sign)
        twin.ranks, twin._pairs = self.ranks.copy(), self._pairs.copy()
        twin._worst, twin.known, twin.least = self._worst, self.known, self.least
        return twin

    def fill(self, levels: Iterable[Level]) -> None:
        self._pairs = {
            rank_of(level.price, self._sign): (shortest(level.price), f"{level.size:f}")
            for level in levels
            if level.size
        }
        self.ranks = sorted(self._pairs)
        self.known = len(self.ranks)
        cut = self.known >= SNAPSHOT_LEVELS
        self._worst, self.least = (self.ranks[0], MIN_KNOWN_LEVELS) if cut else (None, 0)

    def change(self, changes: Changes) -> None:
        pairs, ranks, worst = self._pairs, self.ranks, self._worst
        for (rank, price), size in changes:
            if size != NOTHING:
                if rank not in pairs:
                    insort(ranks, rank)
                    self.known += worst is None or rank >= worst
                pairs[rank] = price, size
            elif rank in pairs:
                # The removal of a level that is not there is no error: snapshots do not show all of them.
                del pairs[rank]
                del ranks[bisect_left(ranks, rank)]
                self.known -= worst is None or rank >= worst

    def reaches(self, depth: int) -> bool:
        return self._worst is None or self.known >= depth

    def best(self, depth: int) -> tuple[Pair, ...]:
        ranks = self.ranks[: -1 - min(self.known, depth) : -1]
        # Of two or more keys an itemgetter gives a tuple, in a third of the time that a loop takes.
        return itemgetter(*ranks)(self._pairs) if len(ranks) > 1 else tuple([self._pairs[rank] for rank in ranks])

    def shows(self, levels: tuple[Level, ...]) -> bool:
        # Compared as deep as both go. Who shows a side to its end must not show less, or more, than the other knows.
        known = self.known
        both = min(len(levels), known)
        shown = [(rank_of(level.price, self._sign), level.size) for level in levels[:both]]
        if shown != [(rank, Decimal(self._pairs[rank][1])) for rank in islice(reversed(self.ranks), both)]:
            return False
        to_its_end = len(levels) < SNAPSHOT_LEVELS
        return (known == both or not to_its_end) and (len(levels) == both or self._worst is not None)
