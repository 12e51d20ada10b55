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
    """The slots of one reader; made where its loop runs."""

    __slots__ = ("_closed", "_loop", "_pending", "_skipped", "_waiter")

    def __init__(self) -> None:
        """Begin with nothing new."""
        self._loop = asyncio.get_running_loop()  # a system call: once, not at every wait
        self._pending: dict[K, None] = {}
        self._skipped = 0
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False

    def put(self, key: K) -> None:
        """Note that there is a newer state; one that was not fetched in between is skipped."""
        if key in self._pending:
            self._skipped += 1
        else:
            self._pending[key] = None
            self._wake()

    async def take(self) -> tuple[list[K], int]:
        """Wait until something is newer; return what, and how many states were skipped since the last time.

        Raises:
            Unavailable: the service stops.
        """
        while not self._pending and not self._closed:
            self._waiter = self._loop.create_future()
            await self._waiter
        if self._closed:
            raise Unavailable(STOPPING, "the service is stopping", retry_after_seconds=STOPPING_RETRY_SECONDS)
        pending, skipped = list(self._pending), self._skipped
        self._pending.clear()
        self._skipped = 0
        return pending, skipped

    def close(self) -> None:
        """End the reader's wait, now and for ever."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
