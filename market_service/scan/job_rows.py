"""Jobs and their history as people ask for them; a change of a job holds its row."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from kernel.db import Database, Row, Statement
from market_service.scan.job import Content, Job, JobStatus, Run, TakenSnapshot
from market_service.scan.ports import Change
from market_service.scan.rows import content_parameters, job_of, run_of, snapshot_of

# Idempotent by id: a repeat inserts nothing and reads what is there.
CREATE: Final[LiteralString] = """
INSERT INTO scan_jobs (job_id, user_id, market, analyst, every, least_every, most_every, reference_volatility,
    missed_policy, backfill_max, scans_per_day, min_volatility, min_move_1h, min_volume_z, buy_quote_amount,
    sell_amount, valid_for, content_hash, created_by, pace, next_slot)
VALUES (%(job_id)s, %(user_id)s, %(market)s, %(analyst)s, %(every)s, %(least_every)s, %(most_every)s,
    %(reference_volatility)s, %(missed_policy)s, %(backfill_max)s, %(scans_per_day)s, %(min_volatility)s,
    %(min_move_1h)s, %(min_volume_z)s, %(buy_quote_amount)s, %(sell_amount)s, %(valid_for)s, %(content_hash)s,
    %(actor)s, %(every)s, coalesce(%(first_slot)s, clock_timestamp()))
ON CONFLICT (job_id) DO NOTHING
RETURNING job_id
"""

READ: Final[LiteralString] = "SELECT * FROM scan_jobs WHERE job_id = %(job_id)s"
LOCK: Final[LiteralString] = "SELECT * FROM scan_jobs WHERE job_id = %(job_id)s FOR UPDATE"
CLOCK: Final[LiteralString] = "SELECT clock_timestamp() AS now"

CHANGE: Final[LiteralString] = """
UPDATE scan_jobs SET status = coalesce(%(status)s, status), next_slot = coalesce(%(next_slot)s, next_slot),
    requested_slot = coalesce(%(requested_slot)s, requested_slot)
WHERE job_id = %(job_id)s
RETURNING *
"""

JOBS: Final[LiteralString] = """
SELECT * FROM scan_jobs
WHERE (%(user_id)s = '' OR user_id = %(user_id)s) AND (%(status)s::text IS NULL OR status = %(status)s)
    AND job_id > %(after)s
ORDER BY job_id LIMIT %(limit)s
"""

RUNS: Final[LiteralString] = """
SELECT * FROM scan_runs WHERE job_id = %(job_id)s AND slot < %(before)s ORDER BY slot DESC LIMIT %(limit)s
"""

SNAPSHOT: Final[LiteralString] = """
SELECT * FROM market_snapshots WHERE job_id = %(job_id)s AND slot <= %(to)s AND slot >= %(since)s
ORDER BY slot DESC LIMIT 1
"""

FIRST_ID: Final = UUID(int=0)


class JobRows:
    """Reads, creates and changes."""

    def __init__(self, database: Database) -> None:
        """Use the pool of the serving role."""
        self._database = database

    async def create(self, content: Content, actor: str, first_slot: datetime | None) -> tuple[Job, bool]:
        """Store a job, or answer the one of that id; say whether this call made it."""
        parameters = content_parameters(content) | {"actor": actor, "first_slot": first_slot}
        async with self._database.transaction() as transaction:
            made, stored = await transaction.run(
                Statement(CREATE, parameters), Statement(READ, {"job_id": content.job_id})
            )
            await transaction.commit()
        return job_of(stored[0]), bool(made)

    async def job(self, job_id: UUID) -> Job | None:
        """Read a job."""
        rows = await self._read(Statement(READ, {"job_id": job_id}))
        return job_of(rows[0]) if rows else None

    async def change(self, job_id: UUID, change: Callable[[Job, datetime], Change | None]) -> Job | None:
        """Hold the job's row, let `change` look at it and the database clock, and write what it returns."""
        async with self._database.transaction() as transaction:
            found, clock = await transaction.run(Statement(LOCK, {"job_id": job_id}), Statement(CLOCK))
            if not found:
                return None
            job = job_of(found[0])
            wanted = change(job, clock[0]["now"])
            if wanted is None:
                return job
            changed = await transaction.run_one(_change(job_id, wanted))
            await transaction.commit()
            return job_of(changed[0])

    async def jobs(self, user_id: str, status: JobStatus | None, after: UUID | None, limit: int) -> list[Job]:
        """List jobs in the order of their ids."""
        parameters = {"user_id": user_id, "status": status, "after": after or FIRST_ID, "limit": limit}
        return [job_of(row) for row in await self._read(Statement(JOBS, parameters))]

    async def runs(self, job_id: UUID, before: datetime | None, limit: int) -> list[Run]:
        """List what became of slots, newest first."""
        parameters = {"job_id": job_id, "before": before or "infinity", "limit": limit}
        return [run_of(row) for row in await self._read(Statement(RUNS, parameters))]

    async def snapshot(self, job_id: UUID, slot: datetime | None) -> TakenSnapshot | None:
        """Read the snapshot of a slot, or the newest of the job."""
        parameters = {"job_id": job_id, "since": slot or "-infinity", "to": slot or "infinity"}
        rows = await self._read(Statement(SNAPSHOT, parameters))
        return snapshot_of(rows[0]) if rows else None

    async def _read(self, statement: Statement) -> list[Row]:
        async with self._database.transaction() as transaction:
            return await transaction.run_one(statement)


def _change(job_id: UUID, wanted: Change) -> Statement:
    parameters = {
        "job_id": job_id,
        "status": wanted.status,
        "next_slot": wanted.next_slot,
        "requested_slot": wanted.requested_slot,
    }
    return Statement(CHANGE, parameters)
