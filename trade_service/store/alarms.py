"""Alarms as rows: the same as the log line, for someone who looks at the database later."""

import asyncio
from typing import Final, LiteralString

from kernel import logs
from kernel.alarms import Alarm
from kernel.db import Database, Statement
from kernel.errors import Unavailable

WAITING_MAX: Final = 1_000
RETRY_SECONDS: Final = 1.0

STORE: Final[LiteralString] = """
INSERT INTO alarms (code, subject, message) VALUES (%(code)s, %(subject)s, %(message)s)
"""


class AlarmRows:
    """Stores alarms one by one, behind whoever raised them."""

    def __init__(self, database: Database) -> None:
        """Use the pool of the serving role."""
        self._database = database
        self._waiting: asyncio.Queue[Alarm] = asyncio.Queue(WAITING_MAX)

    def offer(self, alarm: Alarm) -> None:
        """Take an alarm to be stored; one too many is in the log only."""
        try:
            self._waiting.put_nowait(alarm)
        except asyncio.QueueFull:
            logs.log("alarm_not_stored", code=alarm.code, subject=alarm.subject)

    async def forever(self) -> None:
        """Store what was offered; a database that is away is waited for."""
        while True:
            await self._store(await self._waiting.get())

    async def _store(self, alarm: Alarm) -> None:
        row = {"code": alarm.code, "subject": alarm.subject, "message": alarm.message}
        while True:
            try:
                async with self._database.transaction() as transaction:
                    await transaction.run_one(Statement(STORE, row))
                    await transaction.commit()
                    return
            except Unavailable:
                await asyncio.sleep(RETRY_SECONDS)
