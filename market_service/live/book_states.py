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
SHARED_SECONDS: Final = 0.005
"""How long readers are told the same state object, if nothing changes: its age is that of the end of this time, so that
it is never less than the true one."""


@dataclass(frozen=True, slots=True)
class BookState:
    """What readers are told: `view` is there exactly when the quality is GOOD."""

    market: str
    depth: int
    view: BookView | None
    freshness: Freshness
    status: str

    @property
    def news(self) -> tuple[object, ...]:
        """What is worth another message: with the same, a reader has been told already."""
        return self.view.nonce if self.view else None, self.freshness.quality, self.status


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


class SharedStates:
    """What the readers of one book are told: by depth, the same object for all who ask within a moment."""

    __slots__ = ("_states", "_until")

    def __init__(self) -> None:
        """Begin with none."""
        self._states: dict[int, BookState] = {}
        self._until = float("-inf")

    def get(self, depth: int, now: float, state: Callable[[int, float], BookState]) -> BookState:
        """Return what was told a moment ago, or what `state` makes of a depth and the end of the new moment."""
        if now >= self._until:
            self._states.clear()
            self._until = now + SHARED_SECONDS
        found = self._states.get(depth)
        if found is None:
            if len(self._states) >= MAX_DEPTHS:
                self._states.clear()
            found = self._states[depth] = state(depth, self._until)
        return found

    def clear(self) -> None:
        """Tell none of them any more: something changed."""
        self._states.clear()


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
    told: SharedStates = field(default_factory=SharedStates)
    tapes: list[Tape] = field(default_factory=list)
    """Those who compare the book with a snapshot collect the deltas meanwhile."""


class BookReader:
    """One reader's way through the states of one book."""

    def __init__(self, state: Callable[[], BookState], slots: Slots[str]) -> None:
        """Begin with the state as it is now; `state` returns the newest."""
        self._state = state
        self._slots = slots
        self._told: tuple[object, ...] | None = None
        self.skipped = 0
        """How many states were passed over before the one that `next` returned last."""

    async def next(self) -> BookState:
        """Wait for a state with other news than the last one, and return the newest.

        Raises:
            Unavailable: the service stops.
        """
        self.skipped = 0
        while True:
            self.skipped += (await self._slots.take())[1]
            state = self._state()
            if (news := state.news) != self._told:
                self._told = news
                return state
