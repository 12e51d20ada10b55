"""Gathers how runs ended and takes it to the database together with the next claim, for the scheduler.

While one turn is under way more ends gather for the next, so a busy process commits less often than slots end.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from kernel.errors import Unavailable
from market_service.scan.job import Claim, End, Turn
from market_service.scan.ports import Holds


class Turns:
    """What one process has to tell the database, and what it gets for it."""

    def __init__(self, holds: Holds, lease: timedelta) -> None:
        """Take the store, and how long a claim holds without renewal."""
        self._holds = holds
        self._lease = lease
        self._waiting: list[_Waiting] = []
        self._ending: set[tuple[UUID, int]] = set()
        self._left = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many ends the next turn takes along."""
        return len(self._waiting)

    async def end(self, end: End) -> bool:
        """Leave an end for the next turn and wait for it; False: the job is another's now.

        Raises:
            Unavailable: the database did not answer; the end may have counted.
        """
        waiting = _Waiting(end)
        self._waiting.append(waiting)
        self._ending.add(end.key)
        self._left.set()
        try:
            return await waiting.counted
        finally:
            self._ending.discard(end.key)

    def ending(self, claim: Claim) -> bool:
        """Say whether a claim's end is on its way, and the database will say what it counts for."""
        return claim.key in self._ending

    async def take(self, limit: int) -> Sequence[Claim]:
        """Write the ends that wait, claim at most `limit` due jobs, and return those.

        Raises:
            Unavailable: the database did not answer; the runs whose ends waited are told the same.
        """
        waiting, self._waiting = self._waiting, []
        self._left.clear()
        try:
            turn = await self._holds.turn([each.end for each in waiting], self._lease, limit)
        except Unavailable as failure:
            for each in waiting:
                each.fail(failure)
            raise
        except Exception:
            if not waiting:
                raise
            await self._take_each(waiting)
            return []
        for each in waiting:
            each.tell(turn)
        return turn.claims

    async def pause(self, seconds: float) -> None:
        """Wait until an end waits, at most so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._left.wait()
        except TimeoutError:
            return

    async def _take_each(self, waiting: Sequence["_Waiting"]) -> None:
        """Write each end by itself: one of them is refused for what it is, and the others do not pay for it."""
        for each in waiting:
            try:
                each.tell(await self._holds.turn([each.end], self._lease, 0))
            except Exception as failure:  # noqa: BLE001 - the run that left it is told
                each.fail(failure)


class _Waiting:
    """An end, and what its run is told; a run that was cancelled hears nothing."""

    def __init__(self, end: End) -> None:
        self.end = end
        self.counted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def tell(self, turn: Turn) -> None:
        if not self.counted.done():
            self.counted.set_result(self.end.key in turn.ended)

    def fail(self, failure: Exception) -> None:
        if not self.counted.done():
            self.counted.set_exception(failure)
