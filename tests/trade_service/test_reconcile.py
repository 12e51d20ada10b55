"""Reconciliation with parties written by hand: whom it asks about, when, and when claims may begin."""

import asyncio
from uuid import UUID

import pytest

from kernel.alarms import Alarm, add_sink
from policy.model import ExecutionStatus
from tests.policy import given as rules
from tests.trade_service import fakes, given
from trade_service.execution import Target
from trade_service.ports import Due, LookUp
from trade_service.readiness import Condition, Readiness
from trade_service.reconcile import (
    ATTENDED_AT_ONCE_MAX,
    DUE_MAX,
    FIRST_PAUSE_SECONDS,
    LAPSED,
    LOST_PAUSE_MAX_SECONDS,
    NEEDS_REVIEW,
    NO_ANSWER,
    PAUSE_MAX_SECONDS,
    Reconcile,
)

S = ExecutionStatus
FOUND = given.settlement(S.FILLED, given.order(given.fill()), event="FOUND")
NOWHERE = LookUp(answered=True, settlement=None)
SILENT = LookUp(answered=False, settlement=None)


def due(number: int, status: S, *, overdue: bool = False, cancel: bool = False) -> Due:
    target = Target("alice", UUID(int=number), UUID(int=100 + number), 7, given.SIGNED_MS, rules.limit())
    return Due(target, status, overdue=overdue, cancel=cancel)


class Stage:
    """A Reconcile between parties of a test's own, and its clock."""

    def __init__(self, *work: Due) -> None:
        self.now = 1000.0
        self.sweep, self.executions = fakes.Sweep(work), fakes.Executions()
        self.proposals, self.budget = fakes.Proposals([None]), fakes.Budget()
        self.exchange, self.readiness = fakes.Exchange(), Readiness()
        self.reconcile = Reconcile(
            self.sweep,
            self.executions,
            self.proposals,
            self.budget,  # type: ignore[arg-type]  # only what reconciliation asks
            self.exchange,
            self.readiness,
            lambda: self.now,
        )

    async def round(self, seconds: float = 0.0) -> list[int]:
        """Run a round that much later; returns whom it asked about."""
        self.now += seconds
        self.exchange.looked_up.clear()
        await self.reconcile.round()
        return [each.execution_id.int for each in self.exchange.looked_up]


async def test_with_nothing_to_look_for_claims_may_begin_after_one_round() -> None:
    stage = Stage()
    assert not stage.readiness.holds(Condition.RECONCILED)
    await stage.round()
    assert stage.readiness.holds(Condition.RECONCILED)


async def test_a_sender_still_at_work_is_left_alone() -> None:
    stage = Stage(due(1, S.SUBMITTING))
    assert await stage.round() == []
    assert stage.executions.settled == []
    assert stage.readiness.holds(Condition.RECONCILED)


async def test_a_send_nobody_settled_becomes_unknown_and_is_asked_about() -> None:
    stage = Stage(due(1, S.SUBMITTING, overdue=True))
    assert await stage.round() == [1]
    assert stage.executions.settled == [(UUID(int=1), NO_ANSWER)]
    assert (NO_ANSWER.status, NO_ANSWER.from_statuses) == (S.UNKNOWN, given.SENDER)


async def test_what_the_exchange_shows_is_settled() -> None:
    stage = Stage(due(1, S.UNKNOWN))
    stage.exchange.found = lambda _: LookUp(answered=True, settlement=FOUND)
    await stage.round()
    assert stage.executions.settled == [(UUID(int=1), FOUND)]


async def test_not_there_changes_nothing_and_is_asked_again_ever_more_seldom() -> None:
    stage = Stage(due(1, S.UNKNOWN))
    assert await stage.round() == [1]
    pause, asked_at = FIRST_PAUSE_SECONDS, [stage.now]
    for _ in range(12):
        assert await stage.round(pause - 0.01) == []
        assert await stage.round(0.02) == [1]
        asked_at.append(stage.now)
        pause = min(pause * 2, LOST_PAUSE_MAX_SECONDS)
    assert pause == LOST_PAUSE_MAX_SECONDS
    assert stage.executions.settled == []


async def test_a_person_is_told_of_an_order_the_exchange_goes_on_not_having() -> None:
    told: list[Alarm] = []
    remove = add_sink(told.append)
    try:
        stage = Stage(due(901, S.UNKNOWN), due(902, S.UNKNOWN), due(903, S.SUBMITTED))  # named by no other test
        stage.exchange.found = lambda target: SILENT if target.execution_id.int == 902 else NOWHERE
        minutes: list[float] = []
        for second in range(1200):
            await stage.round(1.0)
            if told and not minutes:
                minutes.append(second / 60)
    finally:
        remove()
    assert {(each.code, each.subject) for each in told} == {(NEEDS_REVIEW, str(UUID(int=1001)))}
    assert 8 < minutes[0] < 10


async def test_an_exchange_that_was_silent_is_asked_again_within_half_a_minute_of_its_return() -> None:
    stage = Stage(due(1, S.UNKNOWN))
    for _ in range(20):
        await stage.round(LOST_PAUSE_MAX_SECONDS)
    stage.exchange.found = lambda _: SILENT
    assert await stage.round(LOST_PAUSE_MAX_SECONDS) == [1]
    assert await stage.round(PAUSE_MAX_SECONDS) == [1]


async def test_an_order_found_at_last_is_followed_as_closely_as_any() -> None:
    stage = Stage(due(1, S.UNKNOWN))
    for _ in range(20):
        await stage.round(LOST_PAUSE_MAX_SECONDS)
    stage.exchange.found = lambda _: LookUp(answered=True, settlement=given.settlement(S.SUBMITTED, given.order()))
    assert await stage.round(LOST_PAUSE_MAX_SECONDS) == [1]
    stage.sweep.due_now = (due(1, S.SUBMITTED),)
    assert await stage.round(PAUSE_MAX_SECONDS) == [1]


async def test_many_orders_the_exchange_never_had_leave_points_for_cancels() -> None:
    """As `RateBudget` shares them: 250 points a minute for look-ups and cancels, six for a look that finds nothing."""
    stage = Stage(*(due(number, S.UNKNOWN) for number in range(1, 101)))
    points = 0
    for second in range(3600):
        looks = await stage.round(1.0)
        points += 6 * len(looks) if second >= 3000 else 0
    assert points / 10 <= 100


async def test_claims_wait_until_the_exchange_has_answered_about_every_unresolved_row() -> None:
    stage = Stage(due(1, S.UNKNOWN), due(2, S.UNKNOWN))
    stage.exchange.found = lambda target: SILENT if target.execution_id.int == 2 else NOWHERE
    await stage.round()
    assert not stage.readiness.holds(Condition.RECONCILED)
    stage.exchange.found = lambda _: NOWHERE
    await stage.round(FIRST_PAUSE_SECONDS)
    assert stage.readiness.holds(Condition.RECONCILED)


async def test_answers_at_different_moments_count_together() -> None:
    """A row that became unknown later keeps another rhythm: the two are never asked about in one round."""
    stage = Stage(due(1, S.UNKNOWN))
    stage.exchange.found = lambda _: SILENT
    await stage.round()
    await stage.round(0.3)
    stage.sweep.due_now = (due(1, S.UNKNOWN), due(2, S.UNKNOWN))
    assert await stage.round() == [2]
    stage.exchange.found = lambda _: NOWHERE
    assert await stage.round(0.2) == [1]
    assert not stage.readiness.holds(Condition.RECONCILED)
    assert await stage.round(0.3) == [2]
    assert stage.readiness.holds(Condition.RECONCILED)


async def test_a_resting_order_keeps_nobody_from_claiming() -> None:
    stage = Stage(due(1, S.SUBMITTED))
    stage.exchange.found = lambda _: SILENT
    assert await stage.round() == [1]
    assert stage.readiness.holds(Condition.RECONCILED)


@pytest.mark.parametrize("status", [S.UNKNOWN, S.SUBMITTED])
async def test_a_wished_cancel_is_repeated_and_the_order_read_after_it(status: S) -> None:
    stage = Stage(due(1, status, cancel=True))
    for seconds in (0.0, FIRST_PAUSE_SECONDS):
        assert await stage.round(seconds) == [1]
    assert [each.execution_id.int for each in stage.exchange.cancelled] == [1, 1]


async def test_a_wish_to_cancel_ends_the_pause_of_a_resting_order_and_begins_a_short_one() -> None:
    stage = Stage(due(1, S.SUBMITTED))
    for _ in range(10):
        await stage.round(PAUSE_MAX_SECONDS)
    assert await stage.round(PAUSE_MAX_SECONDS - 1) == []
    stage.sweep.due_now = (due(1, S.SUBMITTED, cancel=True),)
    assert await stage.round() == [1]
    assert await stage.round(FIRST_PAUSE_SECONDS - 0.01) == []
    assert await stage.round(0.01) == [1]
    assert len(stage.exchange.cancelled) == 2


async def test_eight_are_attended_at_once_and_one_that_hangs_holds_up_no_other() -> None:
    stage = Stage(*(due(number, S.UNKNOWN) for number in range(1, 31)))
    hangs, under_way, most = asyncio.Event(), 0, 0

    async def look_up(target: Target) -> LookUp:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        stage.exchange.looked_up.append(target)
        await (hangs.wait() if target.execution_id.int == 1 else asyncio.sleep(0))
        under_way -= 1
        return NOWHERE

    stage.exchange.look_up = look_up  # type: ignore[method-assign]  # a party of this test's own
    round_ = asyncio.create_task(stage.reconcile.round())
    async with asyncio.timeout(10):
        while len(stage.exchange.looked_up) < 30:  # noqa: ASYNC110 - the round tells nobody how far it is
            await asyncio.sleep(0)
    assert (most, round_.done()) == (ATTENDED_AT_ONCE_MAX, False)
    hangs.set()
    await round_


@pytest.mark.parametrize(("more", "ready"), [(-1, True), (0, False), (1, False)])
async def test_claims_wait_for_unresolved_rows_that_are_more_than_one_round_takes(more: int, *, ready: bool) -> None:
    work = tuple(due(number, S.UNKNOWN) for number in range(DUE_MAX + more))
    stage = Stage(*work[:DUE_MAX])
    await stage.round()
    assert stage.readiness.holds(Condition.RECONCILED) is ready
    stage.sweep.due_now = (*work[: DUE_MAX - 1], due(DUE_MAX - 1, S.SUBMITTED))
    await stage.round()
    assert stage.readiness.holds(Condition.RECONCILED)


@pytest.mark.parametrize("failure", [fakes.DOWN, RuntimeError("nobody foresaw it")])
async def test_an_execution_that_cannot_be_settled_holds_up_nobody_else(failure: Exception) -> None:
    stage = Stage(*(due(number, S.UNKNOWN) for number in range(1, 4)))
    stage.sweep.expired_now = (("bob", UUID(int=6)),)

    def found(target: Target) -> LookUp:
        if target.execution_id.int == 1:
            raise failure
        return LookUp(answered=True, settlement=FOUND)

    stage.exchange.found = found
    with pytest.raises(type(failure)):
        await stage.round()
    assert [execution_id.int for execution_id, _ in stage.executions.settled] == [2, 3]
    assert stage.proposals.expired == [("bob", UUID(int=6))]
    assert not stage.readiness.holds(Condition.RECONCILED)


async def test_reconciliation_never_sends() -> None:
    stage = Stage(*(due(number, status, overdue=True, cancel=True) for number, status in enumerate(S)))
    await stage.round()
    assert stage.exchange.created == []
    assert stage.exchange.permits == []


async def test_what_lapsed_or_expired_is_said_so() -> None:
    stage = Stage()
    stage.sweep.lapsed_now = (("alice", UUID(int=5)),)
    stage.sweep.expired_now = (("bob", UUID(int=6)),)
    await stage.round()
    assert stage.budget.settled == [(UUID(int=5), LAPSED)]
    assert stage.proposals.expired == [("bob", UUID(int=6))]


async def test_it_forgets_what_is_no_longer_due() -> None:
    stage = Stage(due(1, S.UNKNOWN))
    await stage.round()
    stage.sweep.due_now = ()
    await stage.round()
    assert stage.reconcile._patience == {}
