"""An hour of scans on a clock moved by hand: `python -m tests.market_service.scan.hour` plays it in some minutes.

Three instances of the scheduler on one real database run jobs of every kind while the market, trade_service and the
model fail now and then. Every few minutes one instance hands over, another dies with its leases held; new ones come.
Watched: memory, tasks, connections, that no job is left behind and none is held in the end.
"""

import argparse
import asyncio
import gc
import random
import sys
import tracemalloc
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, LiteralString
from uuid import UUID

import psycopg

from kernel.db import Database as Pool
from kernel.errors import Unavailable
from market_service.scan import figures
from market_service.scan.holds import HoldRows
from market_service.scan.job import AnalystKind, Claim, Content, MissedPolicy, Opinion, Pace, Side, Snapshot
from market_service.scan.job_rows import JobRows
from market_service.scan.ports import AnalystError, Ends, Permission, Reserved, SettledAs, Usage
from market_service.scan.scheduler import Scheduler
from market_service.scan.slot_run import SlotRun
from migrations.roles import ROLE_NAMES, ensure_roles
from tests.fixtures.database import Cluster, Database, running_server
from tests.market_service.scan import given
from tests.market_service.scan.hand_clock import BEGINS, HandClock, HandLoop

HOUR_SECONDS = 3_600.0
INSTANCES = 3
JOBS = 30
LEASE = timedelta(seconds=15)
SAMPLES = 12
SHIFT_SECONDS = 45.0
"""So long after one instance went the next goes, by turns with a hand-over and without."""
BEHIND_SECONDS = 60.0
"""No active job is due for longer than this in the end: a lease, its successor's claim, a slot put off."""

HELD = "SELECT count(*) FROM scan_jobs WHERE owner IS NOT NULL"
BEHIND = "SELECT count(*) FROM scan_jobs WHERE due_at < (SELECT now FROM hand.clock) - %s * interval '1 second'"
ENDED = "SELECT count(*), count(DISTINCT (job_id, slot)), count(DISTINCT status), count(DISTINCT owner) FROM scan_runs"
CONNECTED = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'market_service'"


@dataclass
class Hour:
    """What was seen: bytes in use at each sample, and what was left in the end."""

    memory: list[int] = field(default_factory=list)
    tasks_left: list[str] = field(default_factory=list)
    slots: int = 0
    distinct_slots: int = 0
    statuses: int = 0
    owners: int = 0
    handed_over: int = 0
    died: int = 0
    behind: int = 0
    held_left: int = 0
    running_left: float = 0.0
    connections_left: int = 0

    def growth(self) -> float:
        """The last quarter's memory over the second quarter's: caches are full by then."""
        quarter = len(self.memory) // 4
        early, late = self.memory[quarter : 2 * quarter], self.memory[-quarter:]
        return (sum(late) / len(late)) / (sum(early) / len(early))


class Others:
    """The market, trade_service and an analyst, which take their time and now and then fail; they remember nothing."""

    def __init__(self, chance: random.Random, kind: AnalystKind = AnalystKind.RULES) -> None:
        self.kind = kind
        self._chance = chance

    async def snapshot(self, market: str) -> Snapshot:
        await self._take(0.5, "EXCHANGE_UNAVAILABLE")
        volatility = Decimal(self._chance.randint(1, 40)) / 10_000
        return replace(given.SNAPSHOT, market=market, volatility=volatility)

    async def reserve(self, _user_id: str, _reservation_id: UUID, _purpose: str) -> Permission:
        await self._take(0.2, "TRADE_UNAVAILABLE")
        created = self._chance.random() < 0.8
        return Permission(Reserved.CREATED, 30) if created else Permission(Reserved.DENIED, 0)

    async def settle(self, _user_id: str, _reservation_id: UUID, _outcome: SettledAs, _usage: Usage) -> None:
        await self._take(0.2, "TRADE_UNAVAILABLE")

    async def submit(self, _content: Content, _proposal_id: UUID, _opinion: Opinion, _rationale: str) -> None:
        await self._take(0.2, "TRADE_UNAVAILABLE")

    async def judge(self, _content: Content, _snapshot: Snapshot) -> tuple[Opinion, Usage]:
        await asyncio.sleep(self._chance.uniform(0, 20) if self.kind is AnalystKind.MODEL else 0)
        chosen = self._chance.random()
        if chosen < 0.1:
            raise AnalystError("MODEL_TOO_SLOW", sent=True)
        return (given.OPINION if chosen < 0.6 else Opinion(Side.HOLD, 10, None, "quiet")), Usage()

    async def _take(self, seconds: float, reason: str) -> None:
        await asyncio.sleep(self._chance.uniform(0, seconds))
        if self._chance.random() < 0.03:
            raise Unavailable(reason, "no answer")


class Instance:
    """One process's scheduler, as `assembly` joins it."""

    def __init__(self, url: str, number: int, chance: random.Random) -> None:
        self._pool = Pool(url, connections_max=4, reasons=given.REASONS)
        self._holds = HoldRows(self._pool, given.boot(f"instance/{number}"))
        self._parts: dict[str, Any] = {
            "holds": self._holds,
            "market": Others(chance),
            "desk": Others(chance),
            "analysts": {kind: Others(chance, kind) for kind in AnalystKind},
        }
        self._scheduler = Scheduler(self._holds, self._begin, LEASE)
        self._loops: list[asyncio.Task[None]] = []

    def _begin(self, claim: Claim, ends: Ends) -> SlotRun:
        return SlotRun(claim, ends=ends, **self._parts, monotonic=asyncio.get_running_loop().time)

    async def start(self) -> None:
        await self._pool.open()
        work = (self._scheduler.take_turns(), self._scheduler.renew_forever())
        self._loops = [asyncio.create_task(each) for each in work]

    async def hand_over(self) -> None:
        await self._scheduler.hand_over()
        await self._end(self._loops)

    async def die(self) -> None:
        """Stop in the middle of everything: its leases stay."""
        await self._end([*self._loops, *(each.task for each in self._scheduler._running.values())])

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended
        await self._pool.close()


async def play(database: Database, seconds: float) -> Hour:
    """Play so much of an hour."""
    hour, chance, before = Hour(), random.Random(7), asyncio.all_tasks()
    await _add_jobs(database.service, chance)
    instances = [Instance(database.service, number, chance) for number in range(INSTANCES)]
    for each in instances:
        await each.start()
    shifts = asyncio.create_task(_shifts(hour, instances, database.service, chance))
    for _ in range(SAMPLES):
        await asyncio.sleep(seconds / SAMPLES)
        gc.collect()
        hour.memory.append(tracemalloc.get_traced_memory()[0])
    shifts.cancel()
    await asyncio.gather(shifts, return_exceptions=True)
    with psycopg.connect(database.admin) as connection:
        hour.behind = _number(connection, BEHIND, BEHIND_SECONDS)
    for each in instances:
        await each.hand_over()
    hour.tasks_left = [task.get_name() for task in asyncio.all_tasks() - before]
    hour.running_left = figures.RUNNING._value.get()
    _count(hour, database.admin)
    return hour


async def _shifts(hour: Hour, instances: list[Instance], url: str, chance: random.Random) -> None:
    """Let one instance go and another come, over and over."""
    number = INSTANCES
    while True:
        await asyncio.sleep(SHIFT_SECONDS)
        leaving = instances.pop(0)
        # Whole: the shift may be ended while it waits, and an instance must not be left half gone.
        if number % 2:
            hour.handed_over += 1
            await asyncio.shield(leaving.hand_over())
        else:
            hour.died += 1
            await asyncio.shield(leaving.die())
        instances.append(Instance(url, number, chance))
        await instances[-1].start()
        number += 1


async def _add_jobs(url: str, chance: random.Random) -> None:
    pool = Pool(url, connections_max=1, reasons=given.REASONS)
    await pool.open()
    for number in range(JOBS):
        every = timedelta(seconds=chance.choice([10, 20, 60]))
        content = given.content(
            analyst=AnalystKind.MODEL if number % 3 == 0 else AnalystKind.RULES,
            pace=Pace(every, every / 2, every * 2, Decimal("0.002")),
            missed=list(MissedPolicy)[number % len(MissedPolicy)],
            backfill_max=2 if list(MissedPolicy)[number % len(MissedPolicy)] is MissedPolicy.BACKFILL else 0,
            scans_per_day=86_400,
        )
        await JobRows(pool).create(content, "hour", BEGINS + every * chance.random())
    await pool.close()


def _count(hour: Hour, admin_url: str) -> None:
    with psycopg.connect(admin_url) as connection:
        counted = connection.execute(ENDED).fetchone() or (0,) * 4
        hour.slots, hour.distinct_slots, hour.statuses, hour.owners = counted
        hour.held_left = _number(connection, HELD)
        hour.connections_left = _number(connection, CONNECTED)


def _number(connection: psycopg.Connection, query: LiteralString, *parameters: object) -> int:
    (found,) = connection.execute(query, parameters).fetchone() or (0,)
    return int(found)


def run(database: Database, seconds: float) -> Hour:
    """Play on a loop and a database of one clock, with memory traced."""
    clock = HandClock(database.admin)
    tracemalloc.start()
    try:
        with asyncio.Runner(loop_factory=lambda: HandLoop(clock)) as runner:
            return runner.run(play(database, seconds))
    finally:
        tracemalloc.stop()
        clock.close()


def main() -> None:
    """Play a whole hour."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=HOUR_SECONDS)
    seconds = parser.parse_args().seconds
    with running_server() as url:
        cluster = Cluster(url)
        ensure_roles(url, {role: cluster.password(role) for role in ROLE_NAMES})
        with cluster.migrated("market") as template, cluster.clone(template, "market") as database:
            hour = run(database, seconds)
    left = {
        "tasks": hour.tasks_left,
        "held": hour.held_left,
        "behind": hour.behind,
        "running": hour.running_left,
        "connections": hour.connections_left,
    }
    lines = (
        f"memory, KiB: {[round(each / 1024) for each in hour.memory]}; late over early {hour.growth():.2f}",
        f"slots {hour.slots}, {hour.distinct_slots} distinct, {hour.statuses} kinds of end, {hour.owners} instances",
        f"handed over {hour.handed_over}, died {hour.died}; left {left}",
    )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
