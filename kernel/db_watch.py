"""Looks after the databases of a service: an unsafe one ends its start, and later stops its use until it is mended.

watch = DatabaseWatch(database, admin)
await watch.meet()                                # before anything is served
loops.start("databases", watch.forever)
await watch.until(stop)
"""

import asyncio
from typing import Final

from kernel.db import Database
from kernel.db_safety import UnsafeDatabaseError
from kernel.rotation import Secrets, Take

FIRST_SIGHT_SECONDS: Final = 2.0
"""How long a start waits for its databases; one that is away by then is judged when it comes."""
POLL_SECONDS: Final = 0.05
LOOK_SECONDS: Final = 5.0
"""How long a server whose settings were changed under open connections can go on unnoticed."""


class DatabaseWatch:
    """The databases of one service; each is judged with its own role."""

    def __init__(self, *databases: Database) -> None:
        """Take them; they are opened elsewhere."""
        self._databases = databases

    async def meet(self) -> None:
        """Wait until every database was judged, two seconds at most: one that is away does not stop a start.

        Raises:
            UnsafeDatabaseError: one that was never safe is refused.
        """
        try:
            async with asyncio.timeout(FIRST_SIGHT_SECONDS):
                while not all(each.ever_safe for each in self._databases):
                    self._refuse()
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            self._refuse()

    async def until(self, stop: asyncio.Event) -> None:
        """Wait until `stop` is set.

        Raises:
            UnsafeDatabaseError: a database that was away at the start is refused at first sight.
        """
        while not stop.is_set():
            self._refuse()
            try:
                async with asyncio.timeout(FIRST_SIGHT_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue

    async def forever(self) -> None:
        """Look at every database again and again: settings change under open connections, and servers change places."""
        while True:
            for database in self._databases:
                await database.judge()
            await asyncio.sleep(LOOK_SECONDS)

    def _refuse(self) -> None:
        for database in self._databases:
            if database.problems and not database.ever_safe:
                raise UnsafeDatabaseError(tuple(f"database {database.name}: {each}" for each in database.problems))


def taking_url(*databases: Database) -> Take:
    """Return how a changed URL is taken up: by all of these, or asked for again."""

    async def take(new: Secrets) -> bool:
        return all([await database.use_url(new[0]) for database in databases])

    return take
