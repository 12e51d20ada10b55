"""What `benchmarks.scan` compares: each fills its queue, then claims and completes until nothing is left.

interlock   `HoldRows` in turns, as a busy scheduler takes them: ends with history, next slot and day's count, under a
            fence, and the next claim in the same statement
floor       two statements by hand: claim with SKIP LOCKED, complete under a fence number; no history, no notification
pgqueuer    on asyncpg, claiming and completing in batches; it keeps a log, and fences nothing
procrastinate  on psycopg; it keeps events, claims and completes one by one, and fences nothing
"""

from abc import ABC, abstractmethod
from datetime import timedelta
from typing import Any, ClassVar, Final
from uuid import uuid4

import psycopg

from kernel.db import Database, Reasons
from market_service.scan.holds import HoldRows
from market_service.scan.job import Claim, End, RunStatus
from market_service.scan.ports import Boot
from market_service.scan.schedule import plan

LEASE: Final = timedelta(seconds=30)

FLOOR: Final = """
CREATE TABLE floor_jobs (
    job_id uuid PRIMARY KEY DEFAULT gen_random_uuid(), due_at timestamptz NOT NULL, fence bigint NOT NULL DEFAULT 0,
    owner uuid
) WITH (fillfactor = 50);
CREATE INDEX floor_jobs_due ON floor_jobs (due_at);
"""
FLOOR_CLAIM: Final = """
UPDATE floor_jobs j SET fence = j.fence + 1, owner = %(owner)s, due_at = now() + interval '30 seconds'
FROM (SELECT job_id FROM floor_jobs WHERE due_at <= now() ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED) due
WHERE j.job_id = due.job_id RETURNING j.job_id, j.fence
"""
FLOOR_COMPLETE: Final = """
UPDATE floor_jobs j SET due_at = now() + interval '1 day', owner = NULL
FROM unnest(%(ids)s::uuid[], %(fences)s::bigint[]) AS held(job_id, fence)
WHERE j.job_id = held.job_id AND j.fence = held.fence
"""
JOBS: Final = """
INSERT INTO scan_jobs (job_id, user_id, market, analyst, every, least_every, most_every, missed_policy, backfill_max,
    scans_per_day, buy_quote_amount, content_hash, created_by, pace, next_slot)
SELECT gen_random_uuid(), 'bench', 'BTC-EUR', 'RULES', '1 day', '1 day', '1 day', 'LATEST_ONCE', 0, 86400, 25,
    repeat('0', 64), 'bench', '1 day', clock_timestamp() FROM generate_series(1, %s)
"""
DUE: Final = """
UPDATE scan_jobs SET counted = 0, next_slot = clock_timestamp() + CASE WHEN n <= %(jobs)s THEN '0' ELSE '1 year' END
    ::interval
FROM (SELECT job_id, row_number() OVER () AS n FROM scan_jobs) numbered WHERE numbered.job_id = scan_jobs.job_id
"""


class Candidate(ABC):
    """One way to work off a queue with one worker."""

    name: ClassVar[str]

    @abstractmethod
    async def fill(self, jobs: int) -> None:
        """Make so many jobs due and nothing else; not timed."""

    @abstractmethod
    async def drain(self, batch: int) -> int:
        """Claim and complete in batches until nothing is due; return how many were completed."""

    async def close(self) -> None:
        """Close what was opened."""
        return


class Interlock(Candidate):
    """Ours."""

    name = "interlock"

    def __init__(self, admin_url: str, service_url: str) -> None:
        self._admin_url = admin_url
        self._database = Database(service_url, connections_max=2, reasons=Reasons("DOWN"))
        self._holds = HoldRows(self._database, Boot(uuid4(), "bench/1"))

    async def fill(self, jobs: int) -> None:
        """Make the same jobs due again, as a schedule does; begin with an empty history."""
        await self._database.open()
        with psycopg.connect(self._admin_url, autocommit=True) as connection:
            connection.execute("TRUNCATE scan_runs, market_snapshots")
            (known,) = connection.execute("SELECT count(*) FROM scan_jobs").fetchone() or (0,)
            connection.execute(JOBS, (max(0, jobs - known),))
            connection.execute(DUE, {"jobs": jobs})
            connection.execute("VACUUM ANALYZE scan_jobs")

    async def drain(self, batch: int) -> int:
        """Take turns: end what the one before claimed, and claim more."""
        turn, done = await self._holds.turn((), LEASE, batch), 0
        while turn.claims:
            turn = await self._holds.turn([gated(claim) for claim in turn.claims], LEASE, batch)
            done += len(turn.ended)
        return done

    async def close(self) -> None:
        """Close the pool."""
        await self._database.close()


class Floor(Candidate):
    """By hand."""

    name = "floor"

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url
        self._owner = uuid4()
        self._connection: psycopg.AsyncConnection[Any] | None = None

    async def fill(self, jobs: int) -> None:
        """Begin with a fresh table."""
        with psycopg.connect(self._admin_url, autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS floor_jobs")
            connection.execute(FLOOR)
            connection.execute("INSERT INTO floor_jobs (due_at) SELECT now() FROM generate_series(1, %s)", (jobs,))
            connection.execute("VACUUM ANALYZE floor_jobs")
        await self.close()
        self._connection = await psycopg.AsyncConnection.connect(self._admin_url, autocommit=True, prepare_threshold=0)

    async def drain(self, batch: int) -> int:
        """Claim and complete, each one statement in a transaction of its own."""
        if self._connection is None:
            raise RuntimeError("fill comes first")
        done = 0
        while True:
            claim = await self._connection.execute(FLOOR_CLAIM, {"owner": self._owner, "limit": batch})
            rows = await claim.fetchall()
            if not rows:
                return done
            values = {"ids": [row[0] for row in rows], "fences": [row[1] for row in rows]}
            done += (await self._connection.execute(FLOOR_COMPLETE, values)).rowcount

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()


class PgQueuer(Candidate):
    """pgqueuer's own queries on asyncpg, without its worker loop, which would only add to them."""

    name = "pgqueuer"

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url
        self._connection: Any = None
        self._queries: Any = None

    async def fill(self, jobs: int) -> None:
        """Install once, empty it, enqueue."""
        import asyncpg  # noqa: PLC0415 - in the bench extra only
        from pgqueuer.db import AsyncpgDriver  # noqa: PLC0415
        from pgqueuer.queries import Queries  # noqa: PLC0415

        if self._queries is None:
            self._connection = await asyncpg.connect(self._admin_url)
            self._queries = Queries(AsyncpgDriver(self._connection))
            if not await self._queries.schema_is_installed():
                await self._queries.install()
        await self._connection.execute("TRUNCATE pgqueuer, pgqueuer_log")
        await self._queries.enqueue(["scan"] * jobs, [None] * jobs, [0] * jobs)
        await self._connection.execute("VACUUM ANALYZE pgqueuer")

    async def drain(self, batch: int) -> int:
        """Dequeue and log."""
        from pgqueuer.ports.repository import EntrypointExecutionParameter  # noqa: PLC0415

        done, me = 0, uuid4()
        entrypoints = {"scan": EntrypointExecutionParameter(0)}
        while jobs := await self._queries.dequeue(batch, entrypoints, me, None, LEASE):
            await self._queries.log_jobs([(job, "successful", None) for job in jobs])
            done += len(jobs)
        return done

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()


class Procrastinate(Candidate):
    """procrastinate's own job manager; it has no batch claim."""

    name = "procrastinate"

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url
        self._app: Any = None
        self._worker = 0

    async def fill(self, jobs: int) -> None:
        """Install once, empty it, defer."""
        import procrastinate  # noqa: PLC0415 - in the bench extra only

        if self._app is None:
            connector = procrastinate.PsycopgConnector(conninfo=self._admin_url, min_size=1, max_size=2)
            self._app = procrastinate.App(connector=connector)
            await self._app.open_async()
            await self._app.schema_manager.apply_schema_async()
            self._worker = await self._app.job_manager.register_worker()
        with psycopg.connect(self._admin_url, autocommit=True) as connection:
            connection.execute("TRUNCATE procrastinate_jobs, procrastinate_events CASCADE")
            await self._app.configure_task("scan").batch_defer_async(*({} for _ in range(jobs)))
            connection.execute("VACUUM ANALYZE procrastinate_jobs")

    async def drain(self, batch: int) -> int:
        """Fetch `batch` jobs one by one, then finish them one by one."""
        from procrastinate.jobs import Status  # noqa: PLC0415

        manager, done = self._app.job_manager, 0
        while True:
            jobs: list[Any] = []
            while len(jobs) < batch and (job := await manager.fetch_job(queues=None, worker_id=self._worker)):
                jobs.append(job)
            for each in jobs:
                await manager.finish_job(each, Status.SUCCEEDED, delete_job=False)
            done += len(jobs)
            if len(jobs) < batch:
                return done

    async def close(self) -> None:
        """Close the pool."""
        if self._app is not None:
            await self._app.close_async()


def gated(claim: Claim) -> End:
    """Return the end of a slot that came to nothing."""
    planned = plan(claim)
    return End(
        job_id=claim.job_id,
        fence=claim.fence,
        slot=planned.slot,
        requested=False,
        status=RunStatus.GATED,
        failure="",
        proposal_id=None,
        opinion=None,
        missed=planned.missed,
        next_slot=planned.next_slot,
        pace=claim.pace,
        failures=0,
    )
