"""The way of one slot: each end it can come to, and what it spent on the way. The rows are real, the parties fakes."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from kernel.errors import NotNow, Unavailable
from market_service.scan.job import AnalystKind, Claim, Content, Gate, Opinion, Run, RunStatus, Side
from market_service.scan.job_rows import JobRows
from market_service.scan.ports import AnalystError, SettledAs
from market_service.scan.slot_run import LostError, SlotRun, proposal_id_of, reservation_id_of
from tests.market_service.scan import given
from tests.market_service.scan.given import (
    LEASE,
    NO_DELAY,
    OPINION,
    AnalystOf,
    AtOnce,
    DeskOf,
    MarketAt,
    OneAtATime,
    found,
)

MODEL = AnalystKind.MODEL
DOWN = Unavailable("TRADE_UNAVAILABLE", "no answer")


class Scan:
    """One job and the parties of its runs."""

    def __init__(self, jobs: JobRows, holds: OneAtATime) -> None:
        self.jobs, self.holds = jobs, holds
        self.market, self.desk, self.analyst = MarketAt(), DeskOf(), AnalystOf()
        self.clock = [0.0]

    async def add(self, **changes: Any) -> Content:  # noqa: ANN401
        content = given.content(**changes)
        self.analyst.kind = content.analyst
        await self.jobs.create(content, "test", None)
        return content

    async def claim(self, lease: timedelta = LEASE) -> Claim:
        (claim,) = await self.holds.claim(lease, 10)
        return claim

    def slot_run(self, claim: Claim) -> SlotRun:
        analysts = {self.analyst.kind: self.analyst}
        return SlotRun(
            claim,
            holds=self.holds,
            ends=AtOnce(self.holds),
            market=self.market,
            desk=self.desk,
            analysts=analysts,
            monotonic=lambda: self.clock[0],
        )

    async def once(self, **changes: Any) -> Run:  # noqa: ANN401
        content = await self.add(**changes)
        await self.slot_run(await self.claim()).run()
        (run,) = await self.jobs.runs(content.job_id, None, 10)
        return run


@pytest.fixture
def scan(jobs: JobRows, first: OneAtATime) -> Scan:
    return Scan(jobs, first)


async def test_g2_a_slot_becomes_a_proposal_with_the_id_of_job_and_slot(scan: Scan) -> None:
    run = await scan.once()
    assert (run.status, run.opinion) == (RunStatus.PROPOSED, OPINION)
    assert scan.desk.proposals == {proposal_id_of(run.job_id, run.slot): OPINION}
    assert run.proposal_id in scan.desk.proposals
    assert scan.desk.reserved == set(), "rules cost nothing"
    job = found(await scan.jobs.job(run.job_id))
    assert (job.next_slot, job.counted, job.hold) == (run.slot + given.MINUTE, 1, None)


@pytest.mark.parametrize("least", ["0.001", "0.0010000001"])
async def test_the_gate_admits_exactly_its_minimum(scan: Scan, least: str) -> None:
    run = await scan.once(gate=Gate(min_volatility=Decimal(least)))
    assert run.status is (RunStatus.PROPOSED if least == "0.001" else RunStatus.GATED)
    assert scan.analyst.calls == (run.status is RunStatus.PROPOSED)


@pytest.mark.parametrize("field", ["volatility", "move_1h", "volume_z"])
async def test_a_measure_that_is_missing_passes_no_gate(scan: Scan, field: str) -> None:
    scan.market.answer = replace(given.SNAPSHOT, **{field: None})  # type: ignore[arg-type]
    minimum: dict[str, Any] = {f"min_{field}": Decimal(0)}
    assert (await scan.once(gate=Gate(**minimum))).status is RunStatus.GATED


async def test_g2_a_call_is_reserved_made_and_settled(scan: Scan) -> None:
    run = await scan.once(analyst=MODEL)
    assert scan.desk.settled == {reservation_id_of(run.job_id, run.slot): SettledAs.SUCCEEDED}
    assert (run.status, scan.analyst.calls) == (RunStatus.PROPOSED, 1)


async def test_without_budget_the_model_is_not_asked(scan: Scan) -> None:
    scan.desk.budget = 0
    assert (await scan.once(analyst=MODEL)).status is RunStatus.BUDGET_DENIED
    assert scan.analyst.calls == 0


async def test_g2_a_reservation_of_an_earlier_attempt_allows_no_call(scan: Scan) -> None:
    content = await scan.add(analyst=MODEL)
    claim = await scan.claim()
    scan.desk.reserved.add(reservation_id_of(content.job_id, claim.next_slot))
    await scan.slot_run(claim).run()
    (run,) = await scan.jobs.runs(content.job_id, None, 10)
    assert (run.status, run.failure, scan.analyst.calls) == (RunStatus.FAILED, "RESERVED_BEFORE", 0)


@pytest.mark.parametrize(("late", "calls"), [(29.0, 1), (29.1, 0)])
async def test_a_permission_that_is_nearly_over_is_given_back(scan: Scan, late: float, calls: int) -> None:
    reserve = scan.desk.reserve

    async def slowly(*arguments: Any) -> Any:  # noqa: ANN401
        answer = await reserve(*arguments)
        scan.clock[0] += late
        return answer

    scan.desk.reserve = slowly  # type: ignore[assignment, method-assign]  # a fake of ours takes its time
    await scan.once(analyst=MODEL)
    assert scan.analyst.calls == calls
    assert list(scan.desk.settled.values()) == [SettledAs.SUCCEEDED if calls else SettledAs.NOT_SENT]


@pytest.mark.parametrize("sent", [True, False])
async def test_a_model_that_fails_is_counted_exactly_when_the_call_left(scan: Scan, *, sent: bool) -> None:
    scan.analyst.answer = AnalystError("MODEL_TOO_SLOW", sent=sent)
    run = await scan.once(analyst=MODEL)
    assert (run.status, run.failure) == (RunStatus.FAILED, "MODEL_TOO_SLOW")
    assert list(scan.desk.settled.values()) == [SettledAs.FAILED if sent else SettledAs.NOT_SENT]
    assert scan.desk.proposals == {}


async def test_nothing_is_proposed_when_the_analyst_holds(scan: Scan) -> None:
    scan.analyst.answer = Opinion(Side.HOLD, 10, None, "quiet")
    run = await scan.once()
    assert (run.status, found(run.opinion).rationale, scan.desk.proposals) == (RunStatus.HELD, "quiet", {})


async def test_a_market_that_cannot_be_read_fails_the_slot_and_slows_the_job(scan: Scan) -> None:
    scan.market.answer = Unavailable("EXCHANGE_UNAVAILABLE", "down")
    pace = replace(given.CONTENT.pace, most=10 * given.MINUTE)
    run = await scan.once(pace=pace)
    job = found(await scan.jobs.job(run.job_id))
    assert (run.failure, job.failures, job.pace) == ("EXCHANGE_UNAVAILABLE", 1, 2 * given.MINUTE)


async def test_a_budget_that_does_not_answer_fails_the_slot_without_a_call(scan: Scan) -> None:
    scan.desk.reserve_fails = DOWN
    assert (await scan.once(analyst=MODEL)).failure == "TRADE_UNAVAILABLE"
    assert scan.analyst.calls == 0


async def test_a_proposal_that_was_refused_fails_the_slot(scan: Scan) -> None:
    scan.desk.submit_fails = NotNow("TRADE_INVALID_REQUEST", "refused")
    assert (await scan.once()).failure == "TRADE_INVALID_REQUEST"


async def test_g2_an_opinion_that_could_not_be_proposed_is_proposed_later_and_not_bought_again(scan: Scan) -> None:
    content = await scan.add(analyst=MODEL)
    scan.desk.submit_fails = DOWN
    claim = await scan.claim()
    with pytest.raises(Unavailable):
        await scan.slot_run(claim).run()
    await scan.holds.release([claim], NO_DELAY)
    scan.desk.submit_fails = None
    await scan.slot_run(await scan.claim()).run()
    (run,) = await scan.jobs.runs(content.job_id, None, 10)
    assert (run.status, scan.analyst.calls, len(scan.desk.proposals)) == (RunStatus.PROPOSED, 1, 1)


@pytest.mark.parametrize(("decided", "failure"), [(False, "ATTEMPTS_USED"), (True, "PROPOSAL_UNKNOWN")])
async def test_a_slot_tried_too_often_is_given_up_and_says_whether_a_proposal_may_exist(
    scan: Scan, *, decided: bool, failure: str
) -> None:
    content = await scan.add()
    claim = await scan.claim()
    if decided:
        scan.desk.submit_fails = DOWN
        with pytest.raises(Unavailable):
            await scan.slot_run(claim).run()
    await scan.slot_run(replace(claim, attempt=6)).run()
    (run,) = await scan.jobs.runs(content.job_id, None, 10)
    assert (run.failure, run.proposal_id is not None) == (failure, decided)


async def test_g2_whoever_lost_the_job_stops_before_he_proposes(scan: Scan, second: OneAtATime) -> None:
    await scan.add()
    late = await scan.claim(timedelta(microseconds=1))
    (rightful,) = await second.claim(LEASE, 10)
    with pytest.raises(LostError):
        await scan.slot_run(late).run()
    assert scan.desk.proposals == {}
    assert rightful.fence == late.fence + 1
