"""`make scan-fencing`: whose late holder can end a job that another runs by now? Prints a table; exits 1 if ours can.

The same five steps for each: one job; a first holder claims it and goes silent past its lease; a second one claims it;
the first one wakes up and says "done"; then the second one says how it really ended ("failed"). What is stored must
be the second one's word, and the first one must be told.
"""

import asyncio
import sys
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psycopg

from benchmarks.scan_candidates import JOBS, gated
from kernel.db import Database, Reasons
from market_service.scan.holds import HoldRows
from market_service.scan.job import RunStatus
from market_service.scan.ports import Boot
from migrations.apply import upgrade
from migrations.roles import ROLE_NAMES, create_database, ensure_roles
from standalone.postgres import EmbeddedPostgres

PASSWORD: Final = "bench"  # noqa: S105 - of a server that lives for this run
DATABASE: Final = "bench_fencing"
SHORT: Final = timedelta(milliseconds=50)
LONG: Final = timedelta(seconds=30)
SLEEP_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the late word and of the rightful one."""

    late_refused: bool
    late_told: bool
    rightful_stored: bool


async def interlock(admin_url: str, service_url: str) -> Outcome:
    """Ours."""
    with psycopg.connect(admin_url) as connection:
        connection.execute(JOBS, (1,))
    database = Database(service_url, connections_max=2, reasons=Reasons("DOWN"))
    await database.open()
    first, second = (HoldRows(database, Boot(uuid4(), name)) for name in ("first", "second"))
    (late,) = (await first.turn((), SHORT, 1)).claims
    await asyncio.sleep(SLEEP_SECONDS)
    (rightful,) = (await second.turn((), LONG, 1)).claims
    told = not (await first.turn([replace(gated(late), status=RunStatus.HELD)], SHORT, 0)).ended
    before = await first.run(late.job_id, late.next_slot)
    await second.turn([gated(rightful)], LONG, 0)
    after = await first.run(late.job_id, late.next_slot)
    await database.close()
    stored = after is not None and after.status is RunStatus.GATED
    return Outcome(before is None, told, stored)


async def pgqueuer(admin_url: str, _: str) -> Outcome:
    """pgqueuer: a job whose heartbeat is stale is dequeued again."""
    import asyncpg  # noqa: PLC0415 - in the bench extra only
    from pgqueuer.db import AsyncpgDriver  # noqa: PLC0415
    from pgqueuer.ports.repository import EntrypointExecutionParameter  # noqa: PLC0415
    from pgqueuer.queries import Queries  # noqa: PLC0415

    connection: Any = await asyncpg.connect(admin_url)
    queries: Any = Queries(AsyncpgDriver(connection))
    await queries.install()
    await queries.enqueue("scan", None)
    entrypoints = {"scan": EntrypointExecutionParameter(0)}
    (late,) = await queries.dequeue(1, entrypoints, uuid4(), None, LONG)
    await asyncio.sleep(SLEEP_SECONDS)
    (rightful,) = await queries.dequeue(1, entrypoints, uuid4(), None, SHORT)
    told = await _refuses(queries.log_jobs([(late, "successful", None)]))
    status = "SELECT array_agg(status::text) FROM pgqueuer_log WHERE job_id = $1 AND status::text = ANY($2)"
    final = ["successful", "exception", "failed"]
    before = await connection.fetchval(status, late.id, final)
    await _refuses(queries.log_jobs([(rightful, "exception", None)]))
    after = await connection.fetchval(status, late.id, final)
    await connection.close()
    return Outcome(not before, told, after == ["exception"])


async def procrastinate(admin_url: str, _: str) -> Outcome:
    """procrastinate: a job of a worker without a heartbeat is retried as its manual says, and fetched again."""
    import procrastinate as library  # noqa: PLC0415 - in the bench extra only
    from procrastinate.jobs import Status  # noqa: PLC0415

    app: Any = library.App(connector=library.PsycopgConnector(conninfo=admin_url, min_size=1, max_size=2))
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        manager = app.job_manager
        await app.configure_task("scan").defer_async()
        workers = [await manager.register_worker() for _ in range(2)]
        late = await manager.fetch_job(queues=None, worker_id=workers[0])
        await asyncio.sleep(SLEEP_SECONDS)
        (stalled,) = await manager.get_stalled_jobs(seconds_since_heartbeat=SLEEP_SECONDS / 2)
        await manager.retry_job(stalled)
        rightful = await manager.fetch_job(queues=None, worker_id=workers[1])
        told = await _refuses(manager.finish_job(late, Status.SUCCEEDED, delete_job=False))
        before = await manager.get_job_status_async(late.id)
        await _refuses(manager.finish_job(rightful, Status.FAILED, delete_job=False))
        after = await manager.get_job_status_async(late.id)
    return Outcome(before is Status.DOING, told, after is Status.FAILED)


async def _refuses(call: Coroutine[Any, Any, object]) -> bool:
    """Say whether the library refuses; each has its own exceptions for it."""
    try:
        await call
    except Exception:  # noqa: BLE001 - whichever the library has
        return True
    return False


CANDIDATES: Final[dict[str, Callable[[str, str], Coroutine[Any, Any, Outcome]]]] = {
    "interlock": interlock,
    "pgqueuer": pgqueuer,
    "procrastinate": procrastinate,
}


def table(outcomes: dict[str, Outcome]) -> str:
    """Write a row for each."""
    lines = [f"{'':16}{'late word refused':>20}{'late holder told':>20}{'rightful word kept':>20}"]
    for name, each in outcomes.items():
        cells = (each.late_refused, each.late_told, each.rightful_stored)
        lines.append(f"{name:16}" + "".join(f"{'yes' if cell else 'NO':>20}" for cell in cells))
    return "\n".join(lines)


async def run(url: str, service_url: str) -> dict[str, Outcome]:
    """Try all."""
    return {name: await candidate(url, service_url) for name, candidate in CANDIDATES.items()}


def main() -> None:
    """Start a server, try, print."""
    with tempfile.TemporaryDirectory(prefix="interlock-bench-") as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedPostgres.start(Path(folder) / "postgres")
        try:
            ensure_roles(server.url(), dict.fromkeys(ROLE_NAMES, PASSWORD))
            create_database(server.url(), DATABASE, "market")
            base = server.url().rpartition("/")[0]
            host = base.rpartition("@")[2]
            upgrade(f"postgresql://market_owner:{PASSWORD}@{host}/{DATABASE}", "market")
            service_url = f"postgresql://market_service:{PASSWORD}@{host}/{DATABASE}"
            outcomes = asyncio.run(run(f"{base}/{DATABASE}", service_url))
        finally:
            server.stop()
    print(table(outcomes))
    if outcomes["interlock"] != Outcome(late_refused=True, late_told=True, rightful_stored=True):
        sys.exit(1)


if __name__ == "__main__":
    main()
