"""Reservations on a real database: made once, counted in every outcome but one, exact under racers."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from kernel.db import Database
from kernel.errors import NotFound, NotNow
from policy.model import VerdictOutcome
from policy.policy import MissingReason, Policy
from policy.rules.budget import MAX_CALLS
from tests.policy import given as rules
from tests.trade_service import given
from tests.trade_service.given import Read
from trade_service.budget import Budget
from trade_service.policies import PolicyBook
from trade_service.ports import BudgetView
from trade_service.reload import Reload
from trade_service.reservation import Outcome, Reservation, ReservationStatus
from trade_service.store.admin import AdminRows
from trade_service.store.budget import CALL_BEFORE_SECONDS, BudgetRows

R = ReservationStatus
DONE = Outcome(R.SUCCEEDED, "model", 1000, 200, Decimal("0.0123"), "USD")
FAILED = Outcome(R.FAILED, "model", 1000, 0, Decimal("0.01"), "USD")
UNSENT = Outcome(R.NOT_SENT, "", 0, 0, None, "")
LAPSED = Outcome(R.LAPSED, "", 0, 0, None, "")
OPEN = Outcome(R.RESERVED, "", 0, 0, None, "")


async def reserve(database: Database, user_id: str = "alice", reservation_id: UUID | None = None) -> Reservation | None:
    reservation, _ = await BudgetRows(database).reserve(
        user_id, reservation_id or uuid4(), "scan", "bot", lambda view: len(view.reserved_at) < 3
    )
    return reservation


async def test_thirty_two_racers_get_exactly_what_is_admitted(database: Database, sql: Read) -> None:
    """Also the very first of a user, whose row is made by the same call."""
    for user_id in ("new", "other"):
        results = await given.together(*(reserve(database, user_id) for _ in range(32)))
        assert sum(isinstance(each, Reservation) for each in results) == 3, results
        assert sql("SELECT count(*) FROM gpt_usage_log WHERE user_id = %s", user_id) == [(3,)]


async def test_a_repeat_is_answered_and_created_once(database: Database, sql: Read) -> None:
    wanted, rows = uuid4(), BudgetRows(database)
    results = await given.together(*(rows.reserve("alice", wanted, "scan", "bot", lambda _: True) for _ in range(16)))
    answers = [each for each in results if not isinstance(each, Exception)]
    assert len(answers) == 16
    assert [created for _, created in answers].count(True) == 1
    assert {each and each.reservation_id for each, _ in answers} == {wanted}
    assert sql("SELECT count(*) FROM gpt_usage_log") == [(1,)]


async def test_a_reservation_is_called_within_thirty_seconds_or_not_at_all(database: Database) -> None:
    made = await reserve(database)
    assert made is not None
    assert made.call_before - made.reserved_at == timedelta(seconds=CALL_BEFORE_SECONDS) == timedelta(seconds=30)
    assert (made.outcome, made.settled_at, made.purpose) == (OPEN, None, "scan")


async def test_what_is_not_admitted_leaves_no_row(database: Database, sql: Read) -> None:
    rows = BudgetRows(database)
    assert await rows.reserve("alice", uuid4(), "scan", "bot", lambda _: False) == (None, False)
    assert sql("SELECT count(*) FROM gpt_usage_log") == [(0,)]


@pytest.mark.parametrize(
    ("first", "second", "expected", "changed"),
    [
        (OPEN, DONE, DONE, True),
        (OPEN, UNSENT, UNSENT, True),
        (OPEN, LAPSED, LAPSED, True),
        (DONE, DONE, DONE, False),
        (DONE, FAILED, DONE, False),
        (DONE, LAPSED, DONE, False),
        (UNSENT, DONE, UNSENT, False),
        (LAPSED, DONE, DONE, True),
        (LAPSED, FAILED, FAILED, True),
        (LAPSED, UNSENT, LAPSED, False),
    ],
)
async def test_a_reservation_is_settled_once_and_a_late_truth_replaces_a_lapse(
    database: Database, first: Outcome, second: Outcome, expected: Outcome, *, changed: bool
) -> None:
    made, rows = await reserve(database), BudgetRows(database)
    assert made is not None
    if first is not OPEN:
        await rows.settle("alice", made.reservation_id, first)
    settled = await rows.settle("alice", made.reservation_id, second)
    assert settled is not None
    assert (settled[0].outcome, settled[1]) == (expected, changed)
    assert settled[0].settled_at is not None


@pytest.mark.parametrize(("outcome", "counts"), [(OPEN, 1), (DONE, 1), (FAILED, 1), (LAPSED, 1), (UNSENT, 0)])
async def test_every_outcome_but_not_sent_counts(database: Database, outcome: Outcome, counts: int) -> None:
    made, rows = await reserve(database), BudgetRows(database)
    assert made is not None
    if outcome is not OPEN:
        await rows.settle("alice", made.reservation_id, outcome)
    assert len((await rows.budget("alice")).reserved_at) == counts


async def test_a_call_counts_for_the_hour_and_for_its_utc_day(database: Database, sql: Read) -> None:
    ages = ("30 minutes", "60 minutes 30 seconds", "62 minutes", "25 hours")
    for age in ages:
        made, _ = await BudgetRows(database).reserve("alice", uuid4(), "scan", "bot", lambda _: True)
        assert made is not None
        sql(
            "UPDATE gpt_usage_log SET reserved_at = clock_timestamp() - %s::interval WHERE reservation_id = %s",
            *(age, made.reservation_id),
        )
    view = await BudgetRows(database).budget("alice")
    midnight = view.now.replace(hour=0, minute=0, second=0, microsecond=0)
    since = min(view.now - timedelta(minutes=61), midnight)
    found = sql("SELECT reserved_at FROM gpt_usage_log ORDER BY reserved_at DESC")
    assert list(view.reserved_at) == [row[0] for row in found if row[0] > since]
    assert 2 <= len(view.reserved_at) <= 3


async def test_nobody_settles_or_sees_what_is_not_his(database: Database) -> None:
    made, rows = await reserve(database), BudgetRows(database)
    await reserve(database, "bob")
    assert made is not None
    assert await rows.settle("bob", made.reservation_id, DONE) is None
    assert len((await rows.budget("bob")).reserved_at) == 1


async def budget_of(database: Database, policy: Policy | None = None) -> Budget:
    book = PolicyBook(AdminRows(database))
    await Reload(AdminRows(database), book, lambda: (policy or rules.policy(),)).reload("carol")
    return Budget(BudgetRows(database), book)


async def test_a_repeat_is_told_that_the_first_answer_allowed_the_call(database: Database) -> None:
    budget, wanted = await budget_of(database), uuid4()
    first = await budget.reserve("alice", wanted, "scan", "bot")
    again = await budget.reserve("alice", wanted, "scan", "bot")
    assert (first[0], first[1], again[1]) == (again[0], True, False)
    assert (again[2].outcome, again[2].code) == (VerdictOutcome.PASS, "ALREADY_RESERVED")


async def test_no_policy_reserves_nothing(database: Database) -> None:
    reservation, created, verdict = await (await budget_of(database)).reserve("mallory", uuid4(), "scan", "bot")
    assert (reservation, created, verdict.code) == (None, False, MissingReason.NO_POLICY)


async def test_a_replica_with_old_policies_takes_the_new_ones_before_it_reserves(database: Database) -> None:
    budget = await budget_of(database)
    other = Reload(AdminRows(database), PolicyBook(AdminRows(database)), lambda: (rules.policy(name="newer"),))
    tight = {"budget": {"gpt_calls": {"per_hour": "0", "per_day": "0"}, "order_value": {"per_day": "1"}}}
    await Reload(AdminRows(database), PolicyBook(AdminRows(database)), lambda: (rules.policy(tight),)).reload("carol")
    reservation, _, verdict = await budget.reserve("alice", uuid4(), "scan", "bot")
    assert (reservation, verdict.code) == (None, "BUDGET_GPT_CALLS")
    await other.reload("carol")
    assert (await budget.reserve("alice", uuid4(), "scan", "bot"))[1]


@pytest.mark.parametrize("window", ["per_hour", "per_day"])
async def test_g7_the_largest_budget_a_policy_can_state_admits_exactly_that(
    database: Database, sql: Read, window: str
) -> None:
    """Of the day, what was reserved at its very first moment counts too."""
    calls = {"per_hour": str(MAX_CALLS), "per_day": str(MAX_CALLS)}
    policy = rules.policy({"budget": {"gpt_calls": calls, "order_value": {"per_day": "1"}}})
    budget = await budget_of(database, policy)
    await budget.reserve("alice", uuid4(), "scan", "bot")
    moment = "clock_timestamp()" if window == "per_hour" else "date_trunc('day', clock_timestamp(), 'UTC')"
    sql(
        "INSERT INTO gpt_usage_log (user_id, reservation_id, purpose, status, reserved_at, reserved_by, call_before)"  # noqa: S608
        f" SELECT 'alice', gen_random_uuid(), 'scan', 'SUCCEEDED', {moment}, 'bot', {moment}"
        " FROM generate_series(1, %s)",
        MAX_CALLS - 2,
    )
    results = [await budget.reserve("alice", uuid4(), "scan", "bot") for _ in range(2)]
    assert [created for _, created, _ in results] == [True, False]
    assert results[-1][2].code == "BUDGET_GPT_CALLS"


async def test_settling_says_what_is_wrong(database: Database) -> None:
    budget, wanted = await budget_of(database), uuid4()
    with pytest.raises(NotFound):
        await budget.settle("alice", wanted, DONE)
    await budget.reserve("alice", wanted, "scan", "bot")
    settled = await budget.settle("alice", wanted, DONE)
    assert await budget.settle("alice", wanted, DONE) == settled
    with pytest.raises(NotNow, match="SUCCEEDED already"):
        await budget.settle("alice", wanted, FAILED)


async def test_what_is_left_is_the_limit_less_what_counts(database: Database) -> None:
    budget = await budget_of(database)
    await budget.reserve("alice", uuid4(), "scan", "bot")
    await given.claimed(database)
    windows, name, now = await budget.left("alice")
    assert name == "tested"
    assert [(each.name, int(each.limit), int(each.used), int(each.left)) for each in windows] == [
        ("gpt_calls per_hour", 3, 1, 2),
        ("gpt_calls per_day", 10, 1, 9),
        ("order_value per_day", 500, 50, 450),
    ]
    assert all(each.next_free_at is not None and each.next_free_at > now for each in windows)
    assert (await budget.left("mallory"))[:2] == ((), "")


async def test_a_view_of_the_budget_carries_the_users_executions(database: Database) -> None:
    proposal, _ = await given.claimed(database)
    await given.claimed(database, given.content(user_id="bob"))
    view: BudgetView = await BudgetRows(database).budget("alice")
    assert [each.proposal_id for each in view.executions] == [proposal.content.proposal_id]
