"""Decides when a lost WebSocket is opened again: backing off, with chance, and slower when the exchange says so; pure.

The exchange refuses sockets that are opened too quickly with HTTP 429
(https://docs.bitvavo.com/docs/rate-limits/) and does not say how quick that is.
"""

from collections.abc import Callable
from typing import Final

FIRST_SECONDS: Final = 0.25
MAX_SECONDS: Final = 30.0
TOO_SOON_SECONDS: Final = 10.0
MAX_TOO_SOON_SECONDS: Final = 300.0
STEADY_SECONDS: Final = 30.0
"""A socket that held this long was a good one: its loss is the first of a row again."""


class Backoff:
    """How long to wait before the next attempt."""

    __slots__ = ("_failures", "_random", "_refusals")

    def __init__(self, random: Callable[[], float]) -> None:
        """Take a source of chance in [0, 1), so that many clients do not come back at the same moment."""
        self._random = random
        self._failures = 0
        self._refusals = 0

    def lost(self, held_seconds: float) -> float:
        """Return how long to wait after a socket that held so long was lost."""
        if held_seconds >= STEADY_SECONDS:
            self._failures = self._refusals = 0
        return self.failed()

    def failed(self) -> float:
        """Return how long to wait after an attempt that failed."""
        self._failures += 1
        return self._spread(min(FIRST_SECONDS * 2 ** min(self._failures - 1, 16), MAX_SECONDS))

    def refused(self) -> float:
        """Return how long to wait after the exchange refused an attempt as too soon."""
        self._refusals += 1
        return self._spread(min(TOO_SOON_SECONDS * 2 ** min(self._refusals - 1, 16), MAX_TOO_SOON_SECONDS))

    def _spread(self, seconds: float) -> float:
        # Between the whole and twice: never sooner than meant.
        return seconds * (1 + self._random())
