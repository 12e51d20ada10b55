"""Holds what one reader has not seen yet: one slot for each thing it watches, so memory is bounded by things, not time.

A slot does not hold a state, only that there is a newer one: the reader fetches the newest when it comes.
"""

import asyncio
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from kernel.errors import Unavailable
from market_service.reasons import STOPPING

K = TypeVar("K", bound=Hashable)

STOPPING_RETRY_SECONDS: Final = 1.0


class Slots(Generic[K]):
    """The slots of one reader."""

    __slots__ = ("_changed", "_closed", "_pending", "_skipped")

    def __init__(self) -> None:
        """Begin with nothing new."""
        self._pending: dict[K, None] = {}
        self._skipped = 0
        self._changed = asyncio.Event()
        self._closed = False

    def put(self, key: K) -> None:
        """Note that there is a newer state; one that was not fetched in between is skipped."""
        if key in self._pending:
            self._skipped += 1
        else:
            self._pending[key] = None
            self._changed.set()

    async def take(self) -> tuple[list[K], int]:
        """Wait until something is newer; return what, and how many states were skipped since the last time.

        Raises:
            Unavailable: the service stops.
        """
        while not self._pending and not self._closed:
            self._changed.clear()
            await self._changed.wait()
        if self._closed:
            raise Unavailable(STOPPING, "the service is stopping", retry_after_seconds=STOPPING_RETRY_SECONDS)
        pending, skipped = list(self._pending), self._skipped
        self._pending.clear()
        self._skipped = 0
        return pending, skipped

    def close(self) -> None:
        """End the reader's wait, now and for ever."""
        self._closed = True
        self._changed.set()
