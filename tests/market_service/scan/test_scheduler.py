"""What the scheduler counts, and when it calls a person: real rows, fakes on the other side of the ports."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from kernel import alarms
from kernel.errors import Unavailable
from kernel.telemetry import REGISTRY
from market_service.scan.holds import HoldRows
from market_service.scan.job import Claim, End, MissedPolicy, RunStatus, Turn
from market_service.scan.job_rows import JobRows
from market_service.scan.ports import Change, Ends
from market_service.scan.scheduler import SCAN_DATABASE_DOWN, SCAN_RUN_CRASHED, Scheduler
from market_service.scan.slot_run import FAILURES_ALARMED, SCAN_JOB_FAILING, SlotRun
from tests.fixtures.database import Database
from tests.market_service.scan import given
from tests.market_service.scan.given import LEASE, MINUTE, AnalystOf, DeskOf, MarketAt, found

DOWN = Unavailable("DATABASE_UNAVAILABLE", "no answer")
WAIT_SECONDS = 20.0
SHORT = timedelta(milliseconds=900)
STEAL = "UPDATE scan_jobs SET fence = fence + 1, owner = %s, owner_name = 'thief', lease_until = 'infinity'"


class Counted:
    """How far the figures have moved since this was made."""

    def __init__(self) -> None:
        self._before = self._now()

    def __call__(self, name: str, **labels: str) -> float:
        key = name, tuple(sorted(labels.items()))
        return self._now().get(key, 0.0) - self._before.get(key, 0.0)

    @staticmethod
    def _now() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for metric in REGISTRY.collect()
            for sample in metric.samples
        }


class DownAtFirst:
    """Rows whose database answers the first turn with nothing but a failure."""

    def __init__(self, holds: HoldRows) -> None:
        self._holds = holds
        self.failures = 1

    async def turn(self, ends: Sequence[End], lease: timedelta, limit: int) -> Turn:
        self.failures -= 1
        if self.failures >= 0:
            raise DOWN
        return await self._holds.turn(ends, lease, limit)

    async def renew(self, lease: timedelta, claims: Collection[Claim]) -> Any:  # noqa: ANN401
        return await self._holds.renew(lease, claims)

    async def release(self, claims: Collection[Claim], delay: timedelta) -> Any:  # noqa: ANN401
        return await self._holds.release(claims, delay)


class SlowToEnd(DownAtFirst):
    """Rows that take an end only when they are let."""

    def __init__(self, holds: HoldRows) -> None:
        super().__init__(holds)
        self.failures = 0
        self.asked, self.open = asyncio.Event(), asyncio.Event()

    async def turn(self, ends: Sequence[End], lease: timedelta, limit: int) -> Turn:
        if ends:
            self.asked.set()
            await self.open.wait()
        return await super().turn(ends, lease, limit)


class Parties:
    """Who a slot's run deals with."""

    def __init__(self, holds: HoldRows) -> None:
        self.holds = holds
        self.market, self.desk, self.analyst = MarketAt(), DeskOf(), AnalystOf()
        self.gate = asyncio.Event()
        self.gate.set()

    def begin(self, claim: Claim, ends: Ends) -> SlotRun:
        analysts = {self.analyst.kind: self.analyst}
        return SlotRun(claim, holds=self.holds, ends=ends, market=self, desk=self.desk, analysts=analysts)

    async def snapshot(self, market: str) -> Any:  # noqa: ANN401
        await self.gate.wait()
        return await self.market.snapshot(market)


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def told() -> Iterator[list[alarms.Alarm]]:
    alarms._told.clear()
    heard: list[alarms.Alarm] = []
    remove = alarms.add_sink(heard.append)
    yield heard
    remove()


@pytest.fixture
def parties(first: HoldRows) -> Parties:
    return Parties(first)


@asynccontextmanager
async def running(holds: Any, parties: Parties, lease: timedelta = LEASE) -> AsyncIterator[Scheduler]:  # noqa: ANN401
    scheduler = Scheduler(holds, parties.begin, lease)
    loops = [asyncio.create_task(each()) for each in (scheduler.take_turns, scheduler.renew_forever)]
    try:
        yield scheduler
    finally:
        await scheduler.hand_over()
        for each in loops:
            each.cancel()
        await asyncio.gather(*loops, return_exceptions=True)


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not done():  # noqa: ASYNC110 - what is awaited is a figure, and tells nobody
            await asyncio.sleep(0.02)


async def test_a_slot_is_counted_at_its_claim_while_it_runs_and_at_its_end(
    jobs: JobRows, first: HoldRows, parties: Parties, counted: Counted
) -> None:
    parties.gate.clear()
    await jobs.create(given.content(), "test", None)
    async with running(first, parties):
        await until(lambda: counted("scan_running") == 1)
        assert counted("scan_claims_total") == 1
        assert counted("scan_slots_total", status="PROPOSED") == 0
        parties.gate.set()
        await until(lambda: counted("scan_slots_total", status="PROPOSED") == 1)
        await until(lambda: counted("scan_running") == 0)
    assert counted("scan_lateness_seconds_count") == 1
    assert counted("scan_lateness_seconds_sum") < WAIT_SECONDS


async def test_slots_that_the_policy_drops_are_counted_as_missed(
    jobs: JobRows, first: HoldRows, parties: Parties, counted: Counted
) -> None:
    long_ago = datetime.now(UTC) - 10 * MINUTE
    await jobs.create(given.content(missed=MissedPolicy.LATEST_ONCE), "test", long_ago)
    async with running(first, parties):
        await until(lambda: counted("scan_slots_total", status="PROPOSED") == 1)
    assert counted("scan_slots_missed_total") == 10


@pytest.mark.parametrize("renewing", [False, True])
async def test_a_run_whose_job_became_anothers_is_counted_as_lost_by_its_next_write_or_its_next_renewal(
    jobs: JobRows, first: HoldRows, parties: Parties, counted: Counted, market_database: Database, *, renewing: bool
) -> None:
    parties.gate.clear()
    made, _ = await jobs.create(given.content(), "test", None)
    async with running(first, parties, SHORT if renewing else LEASE):
        await until(lambda: counted("scan_running") == 1)
        with psycopg.connect(market_database.admin) as thief:
            thief.execute(STEAL, (uuid4(),))
        if not renewing:  # the run comes to its next write long before a third of its lease is over
            parties.gate.set()
        await until(lambda: counted("scan_leases_lost_total") == 1)
        await until(lambda: counted("scan_running") == 0)
    assert await jobs.runs(made.content.job_id, None, 10) == []
    assert parties.desk.proposals == {}


async def test_a_run_that_trade_service_does_not_answer_is_put_off_and_no_alarm(
    jobs: JobRows, first: HoldRows, parties: Parties, counted: Counted, told: list[alarms.Alarm]
) -> None:
    parties.desk.submit_fails = Unavailable("TRADE_UNAVAILABLE", "no answer")
    made, _ = await jobs.create(given.content(), "test", None)
    async with running(first, parties):
        await until(lambda: counted("scan_slots_put_off_total") == 1)
    assert found(await jobs.job(made.content.job_id)).hold is None
    assert told == []


async def test_a_database_that_does_not_answer_a_claim_calls_a_person_and_claims_go_on_when_it_does(
    jobs: JobRows, first: HoldRows, parties: Parties, counted: Counted, told: list[alarms.Alarm]
) -> None:
    await jobs.create(given.content(), "test", None)
    async with running(DownAtFirst(first), parties):
        await until(lambda: counted("scan_slots_total", status="PROPOSED") == 1)
    assert [alarm.code for alarm in told] == [SCAN_DATABASE_DOWN]
    assert counted("interlock_alarms_total", code=SCAN_DATABASE_DOWN) == 1


@pytest.mark.parametrize("renewing", [False, True])
async def test_a_run_whose_end_is_on_its_way_is_neither_given_back_nor_taken_for_lost(
    jobs: JobRows, first: HoldRows, parties: Parties, counted: Counted, *, renewing: bool
) -> None:
    rows = SlowToEnd(first)
    made, _ = await jobs.create(given.content(), "test", None)
    async with running(rows, parties, SHORT) as scheduler:
        await asyncio.wait_for(rows.asked.wait(), WAIT_SECONDS)
        if renewing:  # what the database would say had the end been written meanwhile
            rows.renew = nothing_held  # type: ignore[assignment, method-assign]
            await asyncio.sleep(SHORT.total_seconds())
        asyncio.get_running_loop().call_later(0.1, rows.open.set)
        await scheduler.hand_over()
        assert counted("scan_slots_total", status="PROPOSED") == 1
    assert counted("scan_leases_lost_total") == 0
    assert [run.status for run in await jobs.runs(made.content.job_id, None, 10)] == [RunStatus.PROPOSED]


async def nothing_held(_lease: timedelta, _claims: Collection[Claim]) -> set[Any]:
    return set()


async def test_a_run_that_crashes_calls_a_person_names_its_job_and_leaves_its_slot_due(
    jobs: JobRows, first: HoldRows, parties: Parties, counted: Counted, told: list[alarms.Alarm]
) -> None:
    parties.market.answer = None  # type: ignore[assignment]  # a defect
    made, _ = await jobs.create(given.content(), "test", None)
    async with running(first, parties):
        await until(lambda: bool(told) and counted("scan_running") == 0)
    assert [(alarm.code, alarm.subject) for alarm in told] == [(SCAN_RUN_CRASHED, str(made.content.job_id))]
    job = found(await jobs.job(made.content.job_id))
    assert (job.hold, job.next_slot) == (None, made.next_slot)
    assert await jobs.runs(made.content.job_id, None, 10) == []


async def test_a_job_calls_a_person_at_its_fifth_failure_in_a_row_and_not_before(
    jobs: JobRows, first: HoldRows, parties: Parties, counted: Counted, told: list[alarms.Alarm]
) -> None:
    parties.market.answer = Unavailable("EXCHANGE_UNAVAILABLE", "down")
    long_ago = datetime.now(UTC) - 10 * MINUTE
    content = given.content(missed=MissedPolicy.BACKFILL, backfill_max=FAILURES_ALARMED - 1)
    await jobs.create(content, "test", long_ago)
    async with running(first, parties):
        await until(lambda: counted("scan_slots_total", status="FAILED") == FAILURES_ALARMED - 1)
        assert told == []
        await jobs.change(content.job_id, lambda _, now: Change(requested_slot=now))
        await until(lambda: counted("scan_slots_total", status="FAILED") == FAILURES_ALARMED)
    assert [(alarm.code, alarm.subject) for alarm in told] == [(SCAN_JOB_FAILING, str(content.job_id))]
