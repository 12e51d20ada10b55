"""Scans through real processes: market_service, trade_service, PostgreSQL, and a model that counts its calls."""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest

from market_service.scan.job import AnalystKind, Pace
from market_service.scan.job_rows import JobRows
from market_service.scan.slot_run import proposal_id_of, reservation_id_of
from protos.market.v1 import market_pb2 as pb
from tests.market_service.scan import given
from tests.market_service.scan.campaign import Wish, run
from tests.market_service.scan.fake_model import KEY, PATH
from tests.market_service.scan.worker import STEPS
from tests.market_service.scan.world import World, running_world, stub_of, terms, wait_until

CALLERS = 32
PROPOSED = """
SELECT r.proposal_id FROM scan_runs r JOIN scan_jobs USING (job_id) WHERE r.status = 'PROPOSED' AND user_id = %s
"""
DAY = timedelta(days=1)
DAILY = Pace(DAY, DAY, DAY, None)
SPENT = """
SELECT count(*) FILTER (WHERE status <> 'NOT_SENT'), count(*) FILTER (WHERE status = 'NOT_SENT') FROM gpt_usage_log
WHERE user_id = 'dozen'
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("scan")) as running:
        yield running


def add_jobs(world: World, count: int) -> None:
    async def add() -> None:
        pool = given.database(world.system.database_url("market_service"))
        await pool.open()
        for _ in range(count):
            wanted = given.content(user_id="dozen", analyst=AnalystKind.MODEL, pace=DAILY)
            await JobRows(pool).create(wanted, "test", None)
        await pool.close()

    asyncio.run(add())


def start_worker(world: World, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.market_service.scan.worker", *words]
    return subprocess.Popen(command, env=world.environment("1s"))


def undecided(world: World) -> bool:
    return counted(world, "dozen")["DECIDED"] > 0


def counted(world: World, user: str) -> Counter[str]:
    query = "SELECT r.status FROM scan_runs r JOIN scan_jobs j USING (job_id) WHERE j.user_id = %s"
    return Counter(row[0] for row in world.market_rows(query, user))


@pytest.mark.timeout(90)
def test_g7_32_racing_callers_and_a_budget_of_5_call_the_model_exactly_5_times(world: World) -> None:
    before = world.model.calls
    with world.scanners(2) as scanners:
        stub = stub_of(scanners[0])
        for _ in range(CALLERS):
            wanted = pb.CreateScanJobRequest(
                job_id=str(uuid4()), terms=terms("five", pb.SCAN_ANALYST_MODEL, seconds=86_400)
            )
            stub.CreateScanJob(wanted, timeout=10)
        wait_until(lambda: counted(world, "five").total() == CALLERS, 40)
    assert world.model.calls - before == 5
    assert counted(world, "five") == {"PROPOSED": 5, "BUDGET_DENIED": CALLERS - 5}
    settled = world.trade_rows("SELECT status, input_tokens FROM gpt_usage_log WHERE user_id = 'five'")
    assert settled == [("SUCCEEDED", 120)] * 5
    proposals = world.trade_rows("SELECT proposal_id, status, quote_amount FROM trade_proposals WHERE user_id = 'five'")
    ours = "SELECT proposal_id, 'PROPOSED', 25 FROM scan_runs r JOIN scan_jobs j USING (job_id) WHERE user_id = 'five'"
    assert sorted(proposals) == sorted(world.market_rows(ours + " AND r.proposal_id IS NOT NULL"))
    assert {(each["path"], each["headers"]["authorization"]) for each in world.model.questions} == {
        (PATH, f"Bearer {KEY}")
    }


@pytest.mark.timeout(60)
def test_after_sigterm_another_instance_starts_within_a_second(world: World) -> None:
    with world.scanners(1, lease="60s") as (leaving,):
        stub = stub_of(leaving)
        wanted = pb.CreateScanJobRequest(job_id=str(uuid4()), terms=terms("handed", pb.SCAN_ANALYST_RULES, seconds=1))
        stub.CreateScanJob(wanted, timeout=10)
        wait_until(lambda: counted(world, "handed").total() >= 2, 20)
        with world.scanners(1, lease="60s"):
            leaving.process.popen.terminate()
            told = time.time()
            leaving.process.popen.wait(20)
            newest = "SELECT extract(epoch FROM min(claimed_at)) FROM scan_runs WHERE job_id = %s AND owner_name <> %s"
            left = f"%/{leaving.process.popen.pid}"
            others = newest.replace("<> %s", "NOT LIKE %s AND extract(epoch FROM claimed_at) > %s")
            wait_until(lambda: world.market_rows(others, wanted.job_id, left, told)[0][0] is not None, 10)
            (began,) = world.market_rows(others, wanted.job_id, left, told)[0]
            assert float(began) - told < 1 + 1, "a second after the slot was due"
        world.execute("UPDATE scan_jobs SET status = 'PAUSED' WHERE user_id = 'handed'")
    assert leaving.process.popen.returncode == 0
    assert leaving.logged("scans_handed_over") == 1


@pytest.mark.timeout(60)
def test_a_job_can_be_created_paused_resumed_run_and_looked_at(world: World) -> None:
    with world.scanners(1) as (scanner,):
        stub = stub_of(scanner)
        job_id = str(uuid4())
        wanted = pb.CreateScanJobRequest(job_id=job_id, terms=terms("ann", pb.SCAN_ANALYST_RULES, seconds=86_400))
        made = stub.CreateScanJob(wanted, timeout=10)
        assert (made.created, made.job.terms.user_id, made.job.status) == (True, "ann", pb.SCAN_JOB_STATUS_ACTIVE)
        assert not stub.CreateScanJob(wanted, timeout=10).created
        wait_until(lambda: counted(world, "ann").total() == 1, 10)
        asked = stub.RunScanJob(pb.RunScanJobRequest(job_id=job_id), timeout=10).job
        wait_until(lambda: counted(world, "ann").total() == 2, 10)
        newest, first = stub.ListScanRuns(pb.ListScanRunsRequest(job_id=job_id), timeout=10).runs
        assert (newest.requested, newest.slot, first.requested) == (True, asked.requested_slot, False)
        page = stub.ListScanRuns(pb.ListScanRunsRequest(job_id=job_id, page_size=1), timeout=10)
        assert list(page.runs) == [newest]
        rest = pb.ListScanRunsRequest(job_id=job_id, page_size=1, page_token=page.next_page_token)
        assert list(stub.ListScanRuns(rest, timeout=10).runs) == [first]
        snapshot = stub.GetMarketSnapshot(pb.GetMarketSnapshotRequest(job_id=job_id, slot=first.slot), timeout=10)
        assert snapshot.snapshot.slot == first.slot
        assert float(snapshot.snapshot.price) > 0
        paused = stub.PauseScanJob(pb.PauseScanJobRequest(job_id=job_id), timeout=10).job
        assert paused.status == pb.SCAN_JOB_STATUS_PAUSED
        listed = stub.ListScanJobs(pb.ListScanJobsRequest(status=paused.status, user_id="ann"), timeout=10).jobs
        assert list(listed) == [paused]
        resumed = stub.ResumeScanJob(pb.ResumeScanJobRequest(job_id=job_id), timeout=10).job
        assert (resumed.status, resumed.next_slot) == (pb.SCAN_JOB_STATUS_ACTIVE, paused.next_slot)


@pytest.mark.timeout(90)
def test_g2_killed_and_paused_scanners_run_no_slot_twice_write_nothing_late_and_lose_no_job(world: World) -> None:
    outcome = run(world, Wish(seconds=6, jobs=30, every_seconds=1))
    assert outcome.verdict.violations == {what: [] for what in outcome.verdict.violations}
    assert (outcome.kills >= 3, outcome.pauses >= 1, outcome.verdict.slots > 60) == (True, True, True)
    world.execute("UPDATE scan_jobs SET status = 'PAUSED' WHERE user_id = 'campaign'")


@pytest.mark.timeout(90)
def test_g7_killed_at_any_step_a_scanner_spends_no_call_twice(world: World) -> None:
    """One worker for each step kills itself there, then a healthy one goes on; twelve calls are allowed to fifteen."""
    before = world.model.calls
    add_jobs(world, len(STEPS))
    assert start_worker(world, "--die").wait(40) == 0, "each was killed at its step"
    healthy = start_worker(world)
    try:
        wait_until(lambda: counted(world, "dozen").total() == len(STEPS) and not undecided(world), 40)
    finally:
        healthy.terminate()
        healthy.wait(20)
    ((reserved, unsent),) = world.trade_rows(SPENT)
    assert world.model.calls - before <= reserved <= 12
    assert unsent == 0
    proposals = world.trade_rows("SELECT proposal_id FROM trade_proposals WHERE user_id = 'dozen'")
    assert sorted(proposals) == sorted(world.market_rows(PROPOSED, "dozen"))
    # What was paid for before the kill is not lost once it is kept, and not bought again when it was not.
    assert counted(world, "dozen")["PROPOSED"] >= 6


def test_ids_follow_from_job_and_slot_alone(world: World) -> None:
    rows = world.market_rows("SELECT job_id, slot, proposal_id FROM scan_runs WHERE status = 'PROPOSED'")
    assert rows
    assert all(proposal_id_of(job_id, slot) == proposal for job_id, slot, proposal in rows)
    every = world.market_rows("SELECT job_id, slot FROM scan_runs")
    reserved = {row[0] for row in world.trade_rows("SELECT reservation_id FROM gpt_usage_log WHERE user_id = 'five'")}
    assert reserved <= {reservation_id_of(job_id, slot) for job_id, slot in every}
