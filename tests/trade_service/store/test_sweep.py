"""What needs looking at, found across users with the reconciler's rights."""

from uuid import uuid4

import pytest

from kernel.db import Database
from policy.model import ExecutionStatus
from tests.trade_service import given
from tests.trade_service.given import Read
from trade_service.ports import Due
from trade_service.store.budget import BudgetRows
from trade_service.store.executions import ExecutionRows
from trade_service.store.sweep import LAPSE_AFTER_SECONDS, SweepRows

S = ExecutionStatus


def stand(sql: Read, status: S, ago: str = "0 s", **columns: str) -> None:
    sql("SET session_replication_role = replica")
    changes = "".join(f", {name} = {value}" for name, value in columns.items())
    moment = "claimed_at = clock_timestamp() - %s::interval"
    sql(f"UPDATE trade_executions SET status = %s, {moment}{changes}", status, ago)  # noqa: S608 - names of this file
    sql("SET session_replication_role = origin")


async def only_due(reconciler: Database) -> Due:
    (due,) = await SweepRows(reconciler).due(10)
    return due


async def test_what_is_not_final_is_due_across_users_oldest_first(
    database: Database, reconciler: Database, sql: Read
) -> None:
    made = [await given.claimed(database, given.content(user_id=user_id)) for user_id in ("alice", "bob", "carol")]
    final = given.settlement(S.FILLED, given.order(given.fill()))
    await ExecutionRows(database).settle("bob", made[1][1].execution_id, final)
    due = await SweepRows(reconciler).due(10)
    assert [each.target.user_id for each in due] == ["alice", "carol"]
    assert len(await SweepRows(reconciler).due(1)) == 1
    found = await ExecutionRows(database).execution("alice", made[0][0].content.proposal_id, events=False)
    assert found is not None
    assert due[0].target == found.target
    assert sql("SELECT count(*) FROM trade_executions") == [(3,)]


async def test_what_is_unresolved_and_then_what_is_to_be_cancelled_waits_behind_no_resting_order(
    database: Database, reconciler: Database, sql: Read
) -> None:
    for number in range(6):
        await given.claimed(database, given.content(user_id=f"u{number}"))
    stand(sql, S.SUBMITTED)
    sql("UPDATE trade_executions SET cancel_requested_at = clock_timestamp() WHERE user_id IN ('u2', 'u4')")
    sql("SET session_replication_role = replica")
    sql("UPDATE trade_executions SET status = 'UNKNOWN' WHERE user_id = 'u3'")
    sql("UPDATE trade_executions SET status = 'SUBMITTING' WHERE user_id = 'u5'")
    moment = "claimed_at = clock_timestamp() - interval '1 hour' + make_interval(secs => right(user_id, 1)::int)"
    sql(f"UPDATE trade_executions SET {moment}")  # noqa: S608 - no name from outside
    due = await SweepRows(reconciler).due(10)
    assert [each.target.user_id for each in due] == ["u3", "u5", "u2", "u4", "u0", "u1"]
    assert [each.target.user_id for each in await SweepRows(reconciler).due(2)] == ["u3", "u5"]


@pytest.mark.parametrize(
    ("status", "ago", "overdue"),
    [
        (S.SUBMITTING, "6.5 s", False),
        (S.SUBMITTING, "7.1 s", True),
        (S.UNKNOWN, "1 hour", False),
        (S.SUBMITTED, "1 hour", False),
    ],
)
async def test_a_send_is_overdue_two_seconds_after_its_window(
    database: Database, reconciler: Database, sql: Read, status: S, ago: str, *, overdue: bool
) -> None:
    await given.claimed(database)
    stand(sql, status, ago)
    due = await only_due(reconciler)
    assert (due.status, due.overdue, due.cancel) == (status, overdue, False)


@pytest.mark.parametrize("status", [S.SUBMITTING, S.UNKNOWN, S.SUBMITTED])
@pytest.mark.parametrize(
    ("column", "value", "cancel"),
    [
        ("cancel_requested_at", "clock_timestamp()", True),
        ("cancel_due_at", "clock_timestamp() - interval '1 s'", True),
        ("cancel_due_at", "clock_timestamp() + interval '1 hour'", False),
    ],
)
async def test_an_order_is_cancelled_when_asked_or_due_but_not_while_its_sender_works(
    database: Database, reconciler: Database, sql: Read, status: S, column: str, value: str, *, cancel: bool
) -> None:
    await given.claimed(database)
    stand(sql, status, **{column: value})
    assert (await only_due(reconciler)).cancel is (cancel and status is not S.SUBMITTING)


@pytest.mark.parametrize(
    ("scope", "subject", "cancels", "cancel"),
    [
        *(("GLOBAL", "", True, True), ("MARKET", "BTC-EUR", True, True), ("USER", "alice", True, True)),
        *(("MARKET", "ETH-EUR", True, False), ("USER", "bob", True, False), ("MARKET", "BTC-EUR", False, False)),
    ],
)
async def test_a_switch_that_cancels_open_orders_covers_what_it_names(
    database: Database, reconciler: Database, sql: Read, scope: str, subject: str, *, cancels: bool, cancel: bool
) -> None:
    await given.claimed(database)
    stand(sql, S.SUBMITTED)
    sql("DELETE FROM trading_state")
    insert = "INSERT INTO trading_state (scope, subject, state, cancel_open_orders, generation, reason, actor)"
    sql(f"{insert} VALUES (%s, %s, 'HALTED', %s, 1, 'r', 'a')", scope, subject, cancels)
    assert (await only_due(reconciler)).cancel is cancel


@pytest.mark.parametrize(
    ("status", "ago", "lapsed"), [("RESERVED", 1, True), ("RESERVED", -1, False), ("FAILED", 1, False)]
)
async def test_a_reservation_lapses_ten_minutes_after_its_time_to_call(
    database: Database, reconciler: Database, sql: Read, status: str, ago: int, *, lapsed: bool
) -> None:
    made, _ = await BudgetRows(database).reserve("alice", uuid4(), "scan", "bot", lambda _: True)
    assert made is not None
    sql(
        "UPDATE gpt_usage_log SET status = %s, call_before = clock_timestamp() - make_interval(secs => %s)",
        *(status, LAPSE_AFTER_SECONDS + ago),
    )
    assert await SweepRows(reconciler).lapsed(10) == ([("alice", made.reservation_id)] if lapsed else [])


@pytest.mark.parametrize(
    ("status", "left", "expired"),
    [
        ("PROPOSED", "-1 s", True),
        ("APPROVED", "-1 s", True),
        ("PROPOSED", "1 hour", False),
        ("EXECUTING", "-1 s", False),
    ],
)
async def test_a_proposal_nobody_executed_expires(
    database: Database, reconciler: Database, sql: Read, status: str, left: str, *, expired: bool
) -> None:
    proposal = await given.submitted(database)
    sql("SET session_replication_role = replica")
    sql(
        "UPDATE trade_proposals SET status = %s, submitted_at = submitted_at - interval '1 day',"
        " expires_at = clock_timestamp() + %s::interval",
        *(status, left),
    )
    assert await SweepRows(reconciler).expired(10) == ([("alice", proposal.content.proposal_id)] if expired else [])
