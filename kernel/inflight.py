"""Work that belongs to the server and not to the call that began it: a cancelled call does not cancel it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

FINISH_SECONDS: Final = 10.0


class InFlight:
    """Owns tasks until they end; a drain waits for them."""

    def __init__(self) -> None:
        """Own nothing yet."""
        self._tasks: set[asyncio.Task[Any]] = set()

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` to its end and return what it returns; when the caller is cancelled, the work goes on."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return await asyncio.shield(task)

    async def drain(self) -> int:
        """Wait for all work, at most ten seconds; return how much is left."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=FINISH_SECONDS)
        return len(self._tasks)

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # looked at here, so that work nobody waits for any more is not reported as forgotten
