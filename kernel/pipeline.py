"""A pipeline of statements that leaves in one piece. `kernel/transaction.py` runs every batch through it.

psycopg flushes after every command that it takes from a pipeline's queue: a system call and a wake-up of the server for
each statement, although none waits for an answer. They were a quarter of what an execution cost trade_service
(docs/performance.md).
"""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.abc import PipelineCommand


@asynccontextmanager
async def sent_together(connection: psycopg.AsyncConnection[Any]) -> AsyncIterator[None]:
    """Open a pipeline whose statements are sent when it ends, together; their results are there once it has ended.

    Raises:
        psycopg.Error: on leaving, the first failure among the statements.
    """
    async with connection.pipeline() as pipeline:
        pipeline.command_queue = held = _Held()
        try:
            yield
        finally:
            held.released = True


class _Held(deque[PipelineCommand]):
    """What psycopg is to send, in order: it looks empty until it is released, then it is one command that gives all.

    Libpq collects what it is given and writes it out at the flush, or at 64 kB.
    """

    released = False

    def __bool__(self) -> bool:
        return self.released and len(self) > 0

    def popleft(self) -> PipelineCommand:
        commands = tuple(self)
        self.clear()

        def give_all() -> None:
            for command in commands:
                command()

        return give_all
