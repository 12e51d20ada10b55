"""A user's rows are his: the policies are forced, and no foreign key can point at another user's row."""

from collections.abc import Callable
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from tests.fixtures.database import Database
from tests.migrations import rows

OWNED = """
SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attname = 'user_id'
"""
FOREIGN_KEYS = """
SELECT conname, pg_get_constraintdef(f.oid) FROM pg_constraint f
JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attname = 'user_id'
WHERE f.contype = 'f' AND f.connamespace = 'public'::regnamespace
"""


@pytest.fixture
def two_users(trade_database: Database) -> Database:
    with psycopg.connect(trade_database.admin) as connection:
        for user_id in ("alice", "bob"):
            rows.whole_user(connection, user_id)
    return trade_database


def owned_tables(database: Database) -> list[str]:
    with psycopg.connect(database.admin) as connection:
        return [row[0] for row in connection.execute(OWNED)]


def users_seen(connection: rows.Connection, table: str) -> list[str]:
    query = sql.SQL("SELECT user_id FROM {} ORDER BY user_id").format(sql.Identifier(table))
    return [row[0] for row in connection.execute(query)]


def become(connection: rows.Connection, user_id: str) -> None:
    connection.execute("SELECT set_config('app.user_id', %s, true)", (user_id,))


def test_every_table_with_a_user_has_forced_row_security(trade_database: Database) -> None:
    with psycopg.connect(trade_database.admin) as connection:
        found = connection.execute(OWNED).fetchall()
    assert len(found) == 7
    assert [row for row in found if not (row[1] and row[2])] == []


@pytest.mark.parametrize("setting", [None, "", "mallory", "ALICE", "alice "])
def test_without_its_user_a_session_sees_no_row(two_users: Database, setting: str | None) -> None:
    with psycopg.connect(two_users.service) as connection:
        if setting is not None:
            become(connection, setting)
        assert {table: users_seen(connection, table) for table in owned_tables(two_users)} == {
            table: [] for table in owned_tables(two_users)
        }


def test_the_owner_of_the_tables_sees_no_row_either(two_users: Database) -> None:
    with psycopg.connect(two_users.owner) as connection:
        assert [table for table in owned_tables(two_users) if users_seen(connection, table)] == []


def test_as_alice_a_session_sees_hers_and_changes_nothing_of_bobs(two_users: Database) -> None:
    with psycopg.connect(two_users.service) as connection:
        become(connection, "alice")
        for table in owned_tables(two_users):
            assert users_seen(connection, table) == ["alice"], table
        for statement in (
            "UPDATE trade_executions SET order_id = 'x' WHERE user_id = 'bob'",
            "UPDATE trade_proposals SET closed_by = 'x' WHERE user_id = 'bob'",
            "UPDATE users SET event_number = 9 WHERE user_id = 'bob'",
        ):
            assert connection.execute(statement).rowcount == 0


def test_as_alice_a_session_cannot_insert_for_bob(two_users: Database) -> None:
    with psycopg.connect(two_users.admin) as connection:
        execution_id = connection.execute("SELECT execution_id FROM trade_executions WHERE user_id = 'bob'").fetchone()
        proposal_id = connection.execute("SELECT proposal_id FROM trade_proposals WHERE user_id = 'bob'").fetchone()
    assert execution_id
    assert proposal_id
    attempts: dict[str, Callable[[rows.Connection], object]] = {
        "users": lambda connection: rows.user(connection, "bobby"),
        "trade_proposals": lambda connection: rows.proposal(connection, "bob"),
        "decisions": lambda connection: rows.decision(connection, proposal_id[0], "bob", "DENY"),
        "trade_executions": lambda connection: rows.execution(connection, proposal_id[0], uuid4(), "bob"),
        "execution_events": lambda connection: rows.event(connection, execution_id[0], "bob", 2),
        "trade_history": lambda connection: rows.fill(connection, execution_id[0], "bob", "f2"),
        "gpt_usage_log": lambda connection: rows.reservation(connection, "bob"),
    }
    assert sorted(attempts) == sorted(owned_tables(two_users))
    for table, attempt in attempts.items():
        with psycopg.connect(two_users.service) as connection:
            become(connection, "alice")
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match=f'row-level security .* "{table}"'):
                attempt(connection)


def test_every_foreign_key_to_a_users_row_carries_the_user(trade_database: Database) -> None:
    with psycopg.connect(trade_database.admin) as connection:
        keys = connection.execute(FOREIGN_KEYS).fetchall()
    assert len(keys) == 7
    assert [text for _, text in keys if not text.startswith("FOREIGN KEY (user_id")] == []


@pytest.mark.parametrize("what", ["decision", "execution", "its decision", "event", "fill"])
def test_a_row_cannot_point_at_another_users_row(two_users: Database, what: str) -> None:
    with psycopg.connect(two_users.admin) as connection:
        found = connection.execute(
            "SELECT execution_id, proposal_id, decision_id FROM trade_executions WHERE user_id = 'bob'"
        ).fetchone()
        assert found
        bobs_execution, bobs_proposal, bobs_decision = found
        own = rows.proposal(connection, "alice")
        attempts: dict[str, Callable[[], object]] = {
            "decision": lambda: rows.decision(connection, bobs_proposal, "alice", "DENY"),
            "execution": lambda: rows.execution(connection, bobs_proposal, rows.decision(connection, own), "alice"),
            "its decision": lambda: rows.execution(connection, own, bobs_decision, "alice"),
            "event": lambda: rows.event(connection, bobs_execution, "alice", 2),
            "fill": lambda: rows.fill(connection, bobs_execution, "alice", "f2"),
        }
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            attempts[what]()


def test_one_fill_belongs_to_one_user(two_users: Database) -> None:
    with psycopg.connect(two_users.admin) as connection:
        found = connection.execute("SELECT execution_id FROM trade_executions WHERE user_id = 'alice'").fetchone()
        assert found
        with pytest.raises(psycopg.errors.UniqueViolation, match="trade_history_fill"):
            rows.fill(connection, found[0], "alice", "fill of bob")
