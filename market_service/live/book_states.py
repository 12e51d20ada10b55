"""What a reader of a book is told and how it waits for the next; `books` makes the states, `rpc` sends them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bitvavo.book import BookView, LocalBook
from bitvavo.frames import BookDelta
from bitvavo.proof import Proof
from market_service.live.slots import Slots
from market_service.model import Freshness, Quality

MAX_DEPTHS: Final = 16
TRADING: Final = "trading"


@dataclass(frozen=True, slots=True)
class BookState:
    """What a reader is told: `view` is there exactly when the quality is GOOD."""

    market: str
    view: BookView | None
    freshness: Freshness
    status: str
    skipped: int


@dataclass(slots=True)
class Tape:
    """A copy of a book, and the deltas that the book took afterwards; `broken` once it was lost."""

    book: LocalBook
    deltas: list[BookDelta] = field(default_factory=list)
    broken: bool = False

    @property
    def nonce(self) -> int:
        """The nonce of the last state that can be made of it."""
        return self.deltas[-1].nonce if self.deltas else self.book.nonce


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast books are read anew: at once after `calm_seconds`, else after pauses that double from first to last."""

    first_seconds: float = 0.1
    last_seconds: float = 5.0
    calm_seconds: float = 10.0


NORMAL_PACE: Final = Pace()


@dataclass(slots=True)
class LiveBook:
    """One watched market: its book, who reads it, and how it is read anew."""

    book: LocalBook
    status: str = TRADING
    readers: set[Slots[str]] = field(default_factory=set)
    seeded: Proof | None = None
    quality: Quality = Quality.STALE
    """As it was when the readers were last told."""
    asked_at: float = float("-inf")
    pause_seconds: float = 0.0
    reading: asyncio.Task[None] | None = None
    views: dict[int, BookView] = field(default_factory=dict)
    """By depth: the view of the present nonce, shared by all readers."""
    tapes: list[Tape] = field(default_factory=list)
    """Those who compare the book with a snapshot collect the deltas meanwhile."""

    def view(self, depth: int) -> BookView:
        """Return the best levels at the present nonce, the same object for all readers of one depth."""
        view = self.views.get(depth)
        if view is None or view.nonce != self.book.nonce:
            if len(self.views) >= MAX_DEPTHS:
                self.views.clear()
            view = self.views[depth] = self.book.view(depth)
        return view


class BookReader:
    """One reader's way through the states of one book."""

    def __init__(self, state: Callable[[int], BookState], slots: Slots[str]) -> None:
        """Begin with the state as it is now; `state` returns the newest, given how many were skipped."""
        self._state = state
        self._slots = slots
        self._told: tuple[object, ...] | None = None

    async def next(self) -> BookState:
        """Wait for a state other than the last one told, and return the newest.

        Raises:
            Unavailable: the service stops.
        """
        skipped = 0
        while True:
            skipped += (await self._slots.take())[1]
            state = self._state(skipped)
            told = (state.view.nonce if state.view else None, state.freshness.quality, state.status)
            if told != self._told:
                self._told = told
                return state
