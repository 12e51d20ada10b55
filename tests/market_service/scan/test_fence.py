"""Claims, leases and fences on a real server: of two holders, only the later one writes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from market_service.scan.holds import TURN
from market_service.scan.job import Claim, End, Job, JobStatus, RunStatus
from market_service.scan.job_rows import JobRows
from market_service.scan.ports import Change
from market_service.scan.schedule import Plan, plan
from tests.fixtures.database import Database
from tests.market_service.scan import given
from tests.market_service.scan.given import LEASE, MINUTE, NO_DELAY, OneAtATime, found

LAPSED = timedelta(milliseconds=1)
EVENT = "SELECT fence FROM scan_runs WHERE job_id = %s ORDER BY slot"


def ended(claim: Claim, status: RunStatus = RunStatus.GATED, **changes: object) -> End:
    planned = plan(claim)
    end = End(
        job_id=claim.job_id,
        fence=claim.fence,
        slot=found(planned.slot),
        requested=planned.requested,
        status=status,
        failure="",
        proposal_id=None,
        opinion=None,
        missed=planned.missed,
        next_slot=planned.next_slot,
        pace=claim.pace,
        failures=0,
    )
    return replace(end, **changes)  # type: ignore[arg-type]


async def one_claim(holds: OneAtATime, lease: timedelta = LEASE) -> Claim:
    (claim,) = await holds.claim(lease, 10)
    return claim


async def stolen(jobs: JobRows, first: OneAtATime, second: OneAtATime) -> tuple[Claim, Claim]:
    """A job whose first holder slept past his lease, claimed again by the second."""
    await jobs.create(given.content(), "test", None)
    late = await one_claim(first, LAPSED)
    await asyncio.sleep(0.02)
    return late, await one_claim(second)


async def test_g2_a_holder_that_slept_past_his_lease_writes_nothing(
    jobs: JobRows, first: OneAtATime, second: OneAtATime, market_database: Database
) -> None:
    late, rightful = await stolen(jobs, first, second)
    assert (late.job_id, late.fence, rightful.fence) == (rightful.job_id, 1, 2)
    slot = found(plan(late).slot)
    planned = Plan(slot, requested=False, missed=0, next_slot=slot + MINUTE)
    assert not await first.keep_snapshot(late, slot, given.SNAPSHOT)
    assert not await first.keep_opinion(late, planned, given.OPINION)
    assert await first.end([ended(late)]) == set()
    assert await first.renew(LEASE, [late]) == set()
    assert await first.release([late], NO_DELAY) == set()
    assert await jobs.runs(late.job_id, None, 10) == []
    assert await jobs.snapshot(late.job_id, None) is None
    assert await second.keep_snapshot(rightful, slot, given.SNAPSHOT)
    assert await second.end([ended(rightful)]) == {rightful.job_id}
    with psycopg.connect(market_database.admin) as connection:
        assert connection.execute(EVENT, (late.job_id,)).fetchall() == [(2,)]


async def test_g2_even_the_same_process_is_late_under_its_old_fence(jobs: JobRows, first: OneAtATime) -> None:
    late, rightful = await stolen(jobs, first, first)
    assert await first.end([ended(late)]) == set()
    assert await first.renew(LEASE, [late, rightful]) == {rightful.key}
    assert await first.renew(LEASE, [late]) == set()
    assert await first.release([late], NO_DELAY) == set()
    assert await first.end([ended(rightful)]) == {rightful.job_id}
    assert await first.end([ended(rightful)]) == set(), "an end counts once"


async def late_end(holds: OneAtATime, claim: Claim) -> bool:
    return bool(await holds.end([ended(claim)]))


async def late_snapshot(holds: OneAtATime, claim: Claim) -> bool:
    return await holds.keep_snapshot(claim, claim.next_slot, given.SNAPSHOT)


async def late_opinion(holds: OneAtATime, claim: Claim) -> bool:
    return await holds.keep_opinion(claim, plan(claim), given.OPINION)


@pytest.mark.parametrize("write", [late_end, late_snapshot, late_opinion])
async def test_g2_a_late_write_that_was_under_way_waits_for_the_claim_and_then_counts_for_nothing(
    jobs: JobRows, first: OneAtATime, market_database: Database, write: Callable[[OneAtATime, Claim], Awaitable[bool]]
) -> None:
    await jobs.create(given.content(), "test", None)
    late = await one_claim(first, LAPSED)
    with psycopg.connect(market_database.admin) as thief:
        thief.execute("UPDATE scan_jobs SET fence = fence + 1, owner = %s, lease_until = 'infinity'", (uuid4(),))
        writing = asyncio.ensure_future(write(first, late))
        await asyncio.sleep(0.2)
        assert not writing.done(), "the write did not wait for the row"
        thief.commit()
    assert not await writing
    assert await jobs.runs(late.job_id, None, 10) == []
    assert await jobs.snapshot(late.job_id, None) is None


async def test_g2_a_claim_does_not_wait_for_a_row_that_another_transaction_holds(
    jobs: JobRows, first: OneAtATime, market_database: Database
) -> None:
    held, _ = await jobs.create(given.content(), "test", given.NOON)
    free, _ = await jobs.create(given.content(), "test", None)
    with psycopg.connect(market_database.admin) as other:
        other.execute("SELECT FROM scan_jobs WHERE job_id = %s FOR UPDATE", (held.content.job_id,))
        (claimed,) = await asyncio.gather(first.claim(LEASE, 5), return_exceptions=True)
    assert isinstance(claimed, list), f"the claim waited for the row until the database gave up: {claimed}"
    assert [claim.job_id for claim in claimed] == [free.content.job_id]


async def test_g2_a_job_whose_claim_is_under_way_is_not_claimed_again_when_that_commits(
    jobs: JobRows, first: OneAtATime, market_database: Database
) -> None:
    await jobs.create(given.content(), "test", None)
    other = given.boot("other/1")
    with psycopg.connect(market_database.admin) as connection:
        claim = {"owner": other.id, "owner_name": other.name, "lease": LEASE, "limit": 5, "ends": "[]"}
        assert len(connection.execute(TURN, claim).fetchall()) == 1
        claiming = asyncio.ensure_future(first.claim(LEASE, 5))
        await asyncio.sleep(0.2)
        connection.commit()
    assert await claiming == []


async def test_g2_a_claim_takes_what_is_due_once_and_passes_by_what_others_hold(
    jobs: JobRows, first: OneAtATime, second: OneAtATime
) -> None:
    for _ in range(12):
        await jobs.create(given.content(), "test", None)
    batches = await asyncio.gather(*(holds.claim(LEASE, 5) for holds in (first, second, first, second)))
    claimed = [claim.job_id for batch in batches for claim in batch]
    assert len(claimed) == len(set(claimed)) == 12
    assert await first.claim(LEASE, 5) == []


async def test_g2_a_lease_that_lapses_is_claimed_by_the_same_statement_and_a_renewed_one_is_not(
    jobs: JobRows, first: OneAtATime, second: OneAtATime
) -> None:
    await jobs.create(given.content(), "test", None)
    claim = await one_claim(first, timedelta(milliseconds=300))
    assert await first.renew(LEASE, [claim]) == {claim.key}
    await asyncio.sleep(0.4)
    assert await second.claim(LEASE, 5) == []


async def test_a_released_job_is_claimed_at_once_and_one_put_off_later(
    jobs: JobRows, first: OneAtATime, second: OneAtATime
) -> None:
    await jobs.create(given.content(), "test", None)
    claim = await one_claim(first)
    assert await first.release([claim], NO_DELAY) == {claim.job_id}
    again = await one_claim(second)
    assert (again.fence, again.attempt) == (2, 1), "what was given back was no attempt"
    assert await second.release([again], timedelta(milliseconds=300)) == {claim.job_id}
    assert await first.claim(LEASE, 5) == []
    await asyncio.sleep(0.4)
    assert (await one_claim(first)).attempt == 2


async def test_g2_a_slot_has_one_row_whoever_ends_it_again(jobs: JobRows, first: OneAtATime) -> None:
    made, _ = await jobs.create(given.content(), "test", None)
    claim = await one_claim(first)
    await first.end([ended(claim, next_slot=made.next_slot)])  # the schedule is set back to the slot just run
    again = await one_claim(first)
    assert await first.end([ended(again, RunStatus.HELD, slot=made.next_slot)]) == {again.job_id}
    runs = await jobs.runs(claim.job_id, None, 10)
    assert [(run.status, run.fence) for run in runs] == [(RunStatus.GATED, claim.fence)]


async def test_an_opinion_is_kept_until_it_is_proposed(jobs: JobRows, first: OneAtATime) -> None:
    await jobs.create(given.content(), "test", None)
    claim = await one_claim(first)
    planned = plan(claim)
    slot = found(planned.slot)
    assert await first.keep_opinion(claim, planned, given.OPINION)
    assert found(await first.run(claim.job_id, slot)).opinion == given.OPINION
    proposal = uuid4()
    await first.end([ended(claim, RunStatus.PROPOSED, proposal_id=proposal)])
    run = found(await first.run(claim.job_id, slot))
    assert (run.status, run.opinion, run.proposal_id) == (RunStatus.PROPOSED, given.OPINION, proposal)


async def test_the_cap_of_a_day_is_kept_by_the_claim(jobs: JobRows, first: OneAtATime) -> None:
    made, _ = await jobs.create(given.content(scans_per_day=2), "test", given.NOON)
    for number in range(2):
        claim = await one_claim(first)
        await first.end([ended(claim, slot=made.next_slot + number * MINUTE, next_slot=given.NOON)])
    assert found(await jobs.job(made.content.job_id)).counted == 2
    assert await first.claim(LEASE, 5) == []


async def test_a_slot_asked_for_goes_first_and_leaves_the_schedule_alone(jobs: JobRows, first: OneAtATime) -> None:
    ahead = given.NOON.replace(year=2099)
    made, _ = await jobs.create(given.content(), "test", ahead)
    assert await first.claim(LEASE, 5) == []
    asked = found(await jobs.change(made.content.job_id, lambda _, now: Change(requested_slot=now)))
    claim = await one_claim(first)
    end = ended(claim)
    assert (end.slot, end.requested, end.next_slot) == (asked.requested_slot, True, ahead)
    await first.end([end])
    after = found(await jobs.job(made.content.job_id))
    assert (after.requested_slot, after.next_slot, after.hold) == (None, ahead, None)
    assert await first.claim(LEASE, 5) == []


async def test_a_paused_job_is_not_claimed(jobs: JobRows, first: OneAtATime) -> None:
    made, _ = await jobs.create(given.content(), "test", None)
    await jobs.change(made.content.job_id, lambda _job, _now: Change(status=JobStatus.PAUSED))
    assert await first.claim(LEASE, 5) == []


async def test_a_job_reads_back_as_it_was_created(jobs: JobRows) -> None:
    for content in (given.content(), given.content(valid_for=MINUTE, sell_amount=None)):
        made, created = await jobs.create(content, "ann", given.NOON)
        assert created
        assert (made.content, made.content.content_hash()) == (content, content.content_hash())
        assert (made.next_slot, made.created_by, made.hold) == (given.NOON, "ann", None)
        again, created = await jobs.create(content, "bob", None)
        assert (again, created) == (made, False)


@pytest.mark.parametrize("change", ["fence = fence - 1", "fence = 0"])
async def test_the_database_itself_lets_no_fence_fall(
    jobs: JobRows, first: OneAtATime, market_database: Database, change: str
) -> None:
    await jobs.create(given.content(), "test", None)
    await one_claim(first)
    with psycopg.connect(market_database.owner) as connection, pytest.raises(psycopg.errors.CheckViolation) as refused:
        connection.execute(f"UPDATE scan_jobs SET {change}")  # noqa: S608
    assert refused.value.diag.constraint_name == "fence_never_falls"


def held_by(job: Job) -> str:
    return found(job.hold).owner_name


async def test_who_holds_a_job_can_be_read(jobs: JobRows, first: OneAtATime) -> None:
    made, _ = await jobs.create(given.content(), "test", None)
    await one_claim(first)
    assert held_by(found(await jobs.job(made.content.job_id))) == "first/1"
