"""Ends gather into turns, each run is told about its own, and a turn claims what else is due. The rows are real."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from kernel.db import ConstraintError
from kernel.errors import Unavailable
from market_service.scan.job import Claim, End, RunStatus, Turn
from market_service.scan.job_rows import JobRows
from market_service.scan.turns import Turns
from tests.market_service.scan import given
from tests.market_service.scan.given import LEASE, MINUTE, OneAtATime, found
from tests.market_service.scan.test_fence import ended

DOWN = Unavailable("DATABASE_UNAVAILABLE", "no answer")
SHORT = timedelta(microseconds=1)
WAIT_SECONDS = 20.0


class Seen:
    """Rows that remember how many ends each turn wrote, and that answer when they are let, or fail."""

    def __init__(self, holds: OneAtATime) -> None:
        self._holds = holds
        self.ends: list[int] = []
        self.open = asyncio.Event()
        self.open.set()
        self.failure: Exception | None = None

    async def turn(self, ends: Sequence[End], lease: timedelta, limit: int) -> Turn:
        self.ends.append(len(ends))
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        return await self._holds.turn(ends, lease, limit)


@pytest.fixture
def seen(first: OneAtATime) -> Seen:
    return Seen(first)


@pytest.fixture
def turns(seen: Seen) -> Turns:
    return Turns(seen, LEASE)  # type: ignore[arg-type]  # it takes turns and nothing else


async def due(jobs: JobRows, count: int) -> None:
    for _ in range(count):
        await jobs.create(given.content(), "test", None)


async def leave(turns: Turns, claims: Sequence[Claim], **changes: Any) -> list[asyncio.Task[bool]]:  # noqa: ANN401
    tasks = [asyncio.create_task(turns.end(ended(claim, **changes))) for claim in claims]
    await asyncio.sleep(0)
    return tasks


async def test_ends_that_come_during_a_turn_are_written_together_by_the_next(
    jobs: JobRows, turns: Turns, seen: Seen
) -> None:
    await due(jobs, 3)
    claims = await turns.take(5)
    seen.open.clear()
    early = await leave(turns, claims[:1])
    turn = asyncio.create_task(turns.take(0))
    await asyncio.sleep(0)
    late = await leave(turns, claims[1:])
    assert turns.waiting == 2
    seen.open.set()
    await turn
    assert [each.done() for each in late] == [False, False]
    await turns.take(0)
    assert await asyncio.gather(*early, *late) == [True, True, True]
    assert seen.ends == [0, 1, 2]


async def test_a_turn_claims_what_else_is_due_and_the_next_one_what_it_ended(jobs: JobRows, turns: Turns) -> None:
    await due(jobs, 1)
    (claim,) = await turns.take(5)
    await due(jobs, 1)
    tasks = await leave(turns, [claim], next_slot=given.NOON - MINUTE)
    (other,) = await turns.take(5)
    assert await tasks[0]
    assert other.job_id != claim.job_id
    assert [each.key for each in await turns.take(5)] == [(claim.job_id, claim.fence + 1)]


async def test_a_job_whose_lease_lapsed_while_its_end_waited_is_ended_and_not_claimed(
    jobs: JobRows, first: OneAtATime, turns: Turns
) -> None:
    await due(jobs, 1)
    (claim,) = await first.claim(SHORT, 1)
    tasks = await leave(turns, [claim])
    assert await turns.take(5) == []
    assert await tasks[0]
    assert [run.fence for run in await jobs.runs(claim.job_id, None, 5)] == [claim.fence]


async def test_g2_an_end_whose_job_is_anothers_is_told_so_and_those_beside_it_count(
    jobs: JobRows, first: OneAtATime, second: OneAtATime, turns: Turns
) -> None:
    await due(jobs, 1)
    (late,) = await first.claim(SHORT, 1)
    (rightful,) = await second.claim(LEASE, 1)
    await due(jobs, 1)
    claims = await turns.take(5)
    tasks = await leave(turns, [late, *claims])
    await turns.take(0)
    assert await asyncio.gather(*tasks) == [False, True]
    assert rightful.fence == late.fence + 1


async def test_g2_of_two_claims_of_one_job_by_one_process_only_the_later_one_is_told_that_its_end_counts(
    jobs: JobRows, first: OneAtATime, turns: Turns
) -> None:
    await due(jobs, 1)
    (late,) = await first.claim(SHORT, 1)
    (rightful,) = await first.claim(LEASE, 1)
    tasks = await leave(turns, [late, rightful])
    await turns.take(0)
    assert await asyncio.gather(*tasks) == [False, True]


async def test_an_end_that_the_database_refuses_fails_alone(jobs: JobRows, turns: Turns, seen: Seen) -> None:
    await due(jobs, 3)
    one, two, three = await turns.take(5)
    tasks = [
        *await leave(turns, [one]),
        *await leave(turns, [two], status=RunStatus.FAILED),
        *await leave(turns, [three]),
    ]
    assert await turns.take(5) == []
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert (outcomes[0], outcomes[2]) == (True, True)
    assert isinstance(outcomes[1], ConstraintError)
    assert outcomes[1].name == "failed_says_why"
    assert seen.ends == [0, 3, 1, 1, 1]
    assert [found(await jobs.job(each.job_id)).hold is None for each in (one, two, three)] == [True, False, True]


async def test_a_database_that_does_not_answer_is_told_to_every_run_and_to_the_scheduler(
    jobs: JobRows, turns: Turns, seen: Seen
) -> None:
    await due(jobs, 2)
    tasks = await leave(turns, await turns.take(5))
    seen.failure = DOWN
    with pytest.raises(Unavailable):
        await turns.take(5)
    assert await asyncio.gather(*tasks, return_exceptions=True) == [DOWN, DOWN]
    assert turns.waiting == 0


async def test_a_run_that_is_cancelled_while_its_end_waits_harms_no_turn(jobs: JobRows, turns: Turns) -> None:
    await due(jobs, 2)
    tasks = await leave(turns, await turns.take(5))
    tasks[0].cancel()
    await turns.take(5)
    assert await tasks[1]


async def test_a_pause_ends_when_an_end_is_left_and_a_turn_lets_the_next_pause_last(
    jobs: JobRows, turns: Turns
) -> None:
    await due(jobs, 1)
    (claim,) = await turns.take(5)
    tasks = await leave(turns, [claim])
    async with asyncio.timeout(WAIT_SECONDS):
        await turns.pause(WAIT_SECONDS * 2)
    await turns.take(0)
    assert await tasks[0]
    began = asyncio.get_running_loop().time()
    await turns.pause(0.05)
    assert asyncio.get_running_loop().time() - began >= 0.04
