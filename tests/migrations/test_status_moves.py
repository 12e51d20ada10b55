"""The moves of proposals and executions: each that is allowed, and every other one refused by the database itself."""

from itertools import product
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.fixtures.database import Database
from tests.migrations import rows

PROPOSAL = ("PROPOSED", "APPROVED", "DECLINED", "EXPIRED", "EXECUTING", "EXECUTED", "FAILED")
EXECUTION = ("SUBMITTING", "UNKNOWN", "SUBMITTED", "FILLED", "CANCELED", "REJECTED", "NOT_PLACED")

PROPOSAL_MOVES = {
    "PROPOSED": {"APPROVED", "DECLINED", "EXPIRED", "EXECUTING"},
    "APPROVED": {"DECLINED", "EXPIRED", "EXECUTING"},
    "EXECUTING": {"EXECUTED", "FAILED"},
    "FAILED": {"EXECUTING", "EXECUTED"},
}
EXECUTION_MOVES = {
    "SUBMITTING": {"SUBMITTED", "FILLED", "CANCELED", "REJECTED", "UNKNOWN", "NOT_PLACED"},
    "UNKNOWN": {"SUBMITTED", "FILLED", "CANCELED", "REJECTED", "NOT_PLACED"},
    "SUBMITTED": {"FILLED", "CANCELED"},
    "NOT_PLACED": {"SUBMITTED", "FILLED", "CANCELED"},
    "REJECTED": {"SUBMITTED", "FILLED", "CANCELED"},
}


def put(connection: rows.Connection, table: str, status: str) -> None:
    """Stand a row where a test begins, past the trigger."""
    connection.execute("SET LOCAL session_replication_role = replica")
    connection.execute(sql.SQL("UPDATE {} SET status = %s").format(sql.Identifier(table)), (status,))
    connection.execute("SET LOCAL session_replication_role = origin")


def moves(connection: rows.Connection, table: str, before: str, after: str) -> bool:
    put(connection, table, before)
    try:
        with connection.transaction():
            connection.execute(sql.SQL("UPDATE {} SET status = %s").format(sql.Identifier(table)), (after,))
    except psycopg.errors.CheckViolation as refused:
        assert refused.diag.constraint_name == "status_moves"  # noqa: PT017 - which check refused is the point
        return False
    return True


@pytest.mark.parametrize(
    ("table", "statuses", "allowed"),
    [("trade_proposals", PROPOSAL, PROPOSAL_MOVES), ("trade_executions", EXECUTION, EXECUTION_MOVES)],
)
def test_a_status_makes_exactly_these_moves(
    trade_database: Database, table: str, statuses: tuple[str, ...], allowed: dict[str, set[str]]
) -> None:
    with psycopg.connect(trade_database.admin) as connection:
        rows.whole_user(connection, "alice")
        for before, after in product(statuses, statuses):
            expected = before == after or after in allowed.get(before, set())
            assert moves(connection, table, before, after) is expected, f"{before} -> {after}"


@pytest.mark.parametrize("status", [*PROPOSAL, "", "proposed", "CLAIMED"])
def test_a_proposal_begins_as_proposed(trade_database: Database, status: str) -> None:
    with psycopg.connect(trade_database.admin) as connection:
        rows.user(connection)
        if status == "PROPOSED":
            rows.proposal(connection, status=status)
        else:
            with pytest.raises(psycopg.errors.CheckViolation):
                rows.proposal(connection, status=status)


@pytest.mark.parametrize("status", [*EXECUTION, "", "submitting", "CLAIMED"])
def test_an_execution_begins_as_submitting(trade_database: Database, status: str) -> None:
    with psycopg.connect(trade_database.admin) as connection:
        rows.user(connection)
        proposal_id = rows.proposal(connection)
        decision_id = rows.decision(connection, proposal_id)
        if status == "SUBMITTING":
            rows.execution(connection, proposal_id, decision_id, status=status)
        else:
            with pytest.raises(psycopg.errors.CheckViolation):
                rows.execution(connection, proposal_id, decision_id, status=status)


@pytest.mark.parametrize(("later", "kept"), [("o2", False), (None, False), ("o1", True)])
def test_an_order_id_once_known_is_kept(trade_database: Database, later: str | None, *, kept: bool) -> None:
    with psycopg.connect(trade_database.admin) as connection:
        rows.whole_user(connection, "alice")
        connection.execute("UPDATE trade_executions SET order_id = 'o1'")
        if kept:
            connection.execute("UPDATE trade_executions SET order_id = %s", (later,))
        else:
            with pytest.raises(psycopg.errors.CheckViolation, match="cannot take"):
                connection.execute("UPDATE trade_executions SET order_id = %s", (later,))


def test_one_order_of_the_exchange_belongs_to_one_execution(trade_database: Database) -> None:
    with psycopg.connect(trade_database.admin) as connection:
        for user_id in ("alice", "bob"):
            rows.whole_user(connection, user_id)
        with pytest.raises(psycopg.errors.UniqueViolation, match="trade_executions_order"):
            connection.execute("UPDATE trade_executions SET order_id = 'o1'")


@pytest.mark.parametrize(
    "changes",
    [
        {"price": None},
        {"amount": None},
        {"quote_amount": 5},
        {"time_in_force": None},
        {"order_type": "MARKET"},
        {"order_type": "MARKET", "price": None, "time_in_force": None},
        {"amount": 0},
        {"price": -1},
        {"side": "buy"},
        {"confidence": 101},
        {"approver": "carol"},
        {"expires_at": rows.NOW},
    ],
)
def test_a_proposal_has_one_of_three_shapes(trade_database: Database, changes: dict[str, Any]) -> None:
    with psycopg.connect(trade_database.admin) as connection:
        rows.user(connection)
        rows.proposal(connection)
        with pytest.raises(psycopg.errors.CheckViolation):
            rows.proposal(connection, **changes)


def test_a_body_is_stored_with_its_own_hash_whoever_writes_it(trade_database: Database) -> None:
    with psycopg.connect(trade_database.admin) as connection:
        rows.user(connection)
        proposal_id = rows.proposal(connection)
        decision_id = rows.decision(connection, proposal_id)
        with pytest.raises(psycopg.errors.GeneratedAlways), connection.transaction():
            rows.execution(connection, proposal_id, decision_id, body_sha256=rows.BODY_SHA256)
        rows.execution(connection, proposal_id, decision_id)
        (stored,) = connection.execute("SELECT body_sha256 FROM trade_executions").fetchone() or ()
    assert stored == rows.BODY_SHA256


def test_g1_a_second_execution_of_a_proposal_is_refused_by_the_database(trade_database: Database) -> None:
    with psycopg.connect(trade_database.admin) as connection:
        rows.user(connection)
        proposal_id = rows.proposal(connection)
        decision_id = rows.decision(connection, proposal_id)
        rows.execution(connection, proposal_id, decision_id)
        refused = None
        try:
            with connection.transaction():
                rows.execution(connection, proposal_id, decision_id)
        except psycopg.errors.UniqueViolation as violation:
            refused = violation.diag.constraint_name
        assert refused == "trade_executions_one_per_proposal"
        assert connection.execute("SELECT count(*) FROM trade_executions").fetchone() == (1,)


def test_a_second_allowing_decision_of_a_proposal_is_refused_by_the_database(trade_database: Database) -> None:
    with psycopg.connect(trade_database.admin) as connection:
        rows.user(connection)
        proposal_id = rows.proposal(connection)
        rows.decision(connection, proposal_id)
        rows.decision(connection, proposal_id, outcome="DENY")
        rows.decision(connection, proposal_id, outcome="DENY")
        with pytest.raises(psycopg.errors.UniqueViolation, match="decisions_one_allow"):
            rows.decision(connection, proposal_id)
