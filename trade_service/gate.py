"""How many claims of one user may be on their way at once in this process.

The user's row serialises them anyway; without this, four hundred repeats of one call would hold every connection while
they wait for it, and one user would stop all others.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

CLAIMS_PER_USER_MAX: Final = 2
"""One works, one waits at the lock, ready to go on."""


class UserGate:
    """A bound per user. Holds an entry only for users with a claim on its way."""

    def __init__(self) -> None:
        """Begin empty."""
        self._waiting: defaultdict[str, int] = defaultdict(int)
        self._slots: dict[str, asyncio.Semaphore] = {}

    @asynccontextmanager
    async def pass_one(self, user_id: str) -> AsyncIterator[None]:
        """Wait for a turn of this user, and hold it."""
        slots = self._slots.setdefault(user_id, asyncio.Semaphore(CLAIMS_PER_USER_MAX))
        self._waiting[user_id] += 1
        try:
            async with slots:
                yield
        finally:
            self._waiting[user_id] -= 1
            if not self._waiting[user_id]:
                del self._waiting[user_id], self._slots[user_id]
