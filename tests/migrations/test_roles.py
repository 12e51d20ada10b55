"""What each role may do, read from the catalogue: the lists here are written by hand."""

import psycopg
import pytest

from migrations.roles import ROLES
from tests.fixtures.database import Cluster, Database
from tests.migrations import rows

SERVING = [role.name for role in ROLES if role.tree == "trade" and role.serves]

# Exactly the columns that may move. What is not here was promised and stays.
UPDATABLE = {
    "users": {"event_number"},
    "trading_state": {"state", "cancel_open_orders", "generation", "reason", "actor", "changed_at"},
    "trade_proposals": {
        *("status", "approver", "approved_hash", "approved_at", "overrides", "closed_by", "closed_reason"),
    },
    "trade_executions": {
        *("status", "order_id", "exchange_status", "filled_amount", "filled_quote", "fee_paid", "fee_currency"),
        *("last_fill_at", "reject_code", "cancel_requested_at", "cancel_requested_by", "settled_at"),
    },
    "trade_history": {"fee", "fee_currency"},
    "gpt_usage_log": {"status", "model", "input_tokens", "output_tokens", "cost", "cost_currency", "settled_at"},
}
INSERTABLE = {
    *("users", "trade_proposals", "decisions", "trade_executions", "execution_events", "trade_history"),
    *("gpt_usage_log", "policies", "policy_sets", "alarms", "trading_state"),
}
RECONCILER_READS = {
    "alembic_version": {"version_num"},
    "trade_executions": {
        *("user_id", "execution_id", "proposal_id", "market", "side", "order_type", "amount", "price"),
        *("quote_amount", "time_in_force", "post_only", "status", "claimed_at", "signed_timestamp_ms"),
        *("window_ms", "client_order_id", "order_id", "operator_id", "cancel_requested_at", "cancel_due_at"),
    },
    "trade_proposals": {"user_id", "proposal_id", "status", "expires_at"},
    "gpt_usage_log": {"user_id", "reservation_id", "status", "call_before"},
    "users": {"user_id"},
    "policies": {"canonical_json"},
    "trading_state": {
        *("scope", "subject", "state", "cancel_open_orders", "generation", "reason", "actor", "changed_at"),
    },
}

COLUMNS = """
SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
    AND has_column_privilege(%s, c.oid, a.attnum, %s)
"""
TABLES = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
    AND has_table_privilege(%s, oid, %s)
"""


def columns(database: Database, role: str, right: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    with psycopg.connect(database.admin) as connection:
        for table, column in connection.execute(COLUMNS, (role, right)):
            found.setdefault(table, set()).add(column)
    return found


def tables(database: Database, role: str, right: str) -> set[str]:
    with psycopg.connect(database.admin) as connection:
        return {row[0] for row in connection.execute(TABLES, (role, right))}


def test_no_role_of_ours_is_more_than_it_must_be(cluster: Cluster) -> None:
    attributes = "rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication OR rolinherit"
    with psycopg.connect(cluster.admin_url) as connection:
        found = connection.execute(
            f"SELECT rolname, {attributes} FROM pg_roles WHERE rolname = ANY(%s)",  # noqa: S608 - a constant
            ([role.name for role in ROLES],),
        ).fetchall()
        members = "SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = ANY(%s)"
        assert connection.execute(members, ([role.name for role in ROLES],)).fetchone() == (0,)
    assert sorted(found) == sorted((role.name, False) for role in ROLES)


@pytest.mark.parametrize("role", SERVING)
@pytest.mark.parametrize("right", ["DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"])
def test_nobody_who_serves_may_take_a_row_away_or_touch_the_schema(
    trade_database: Database, role: str, right: str
) -> None:
    assert tables(trade_database, role, right) == set()
    with psycopg.connect(trade_database.admin) as connection:
        create = "SELECT has_schema_privilege(%s, 'public', 'CREATE'), has_database_privilege(%s, %s, 'CREATE, TEMP')"
        assert connection.execute(create, (role, role, trade_database.name)).fetchone() == (False, False)


def test_the_service_updates_exactly_the_columns_that_may_move(trade_database: Database) -> None:
    assert columns(trade_database, "trade_service", "UPDATE") == UPDATABLE
    assert tables(trade_database, "trade_service", "INSERT") == INSERTABLE


@pytest.mark.parametrize(
    ("table", "column"),
    [
        *(("trade_executions", name) for name in ("amount", "body", "claimed_at", "proposal_id", "client_order_id")),
        *(("trade_proposals", name) for name in ("amount", "content_hash", "expires_at", "user_id")),
        *(("decisions", "outcome"), ("execution_events", "evidence"), ("policies", "canonical_json")),
        *(("trade_history", "amount"), ("gpt_usage_log", "reserved_at"), ("deployment", "deployment_id")),
    ],
)
def test_the_service_cannot_change_what_was_promised(trade_database: Database, table: str, column: str) -> None:
    with psycopg.connect(trade_database.service) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"UPDATE {table} SET {column} = {column}")  # noqa: S608


def test_the_reconciler_reads_its_columns_and_writes_nothing(trade_database: Database) -> None:
    assert columns(trade_database, "trade_reconciler", "SELECT") == RECONCILER_READS
    for right in ("INSERT", "UPDATE"):
        assert columns(trade_database, "trade_reconciler", right) == {}


def test_the_auditor_reads_every_table_and_writes_nothing(trade_database: Database) -> None:
    with psycopg.connect(trade_database.admin) as connection:
        every = {row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
        rows.whole_user(connection, "alice")
    assert tables(trade_database, "auditor", "SELECT") >= every - {"alembic_version"}
    for right in ("INSERT", "UPDATE"):
        assert columns(trade_database, "auditor", right) == {}
    with psycopg.connect(trade_database.auditor) as connection:
        assert connection.execute("SELECT user_id FROM trade_executions").fetchall() == [("alice",)]


@pytest.mark.parametrize("role", SERVING)
def test_a_serving_session_gives_up_on_a_dead_peer(trade_database: Database, role: str) -> None:
    expected = {
        "default_transaction_isolation": "read committed",
        "lock_timeout": "2s",
        "statement_timeout": "3s",
        "idle_in_transaction_session_timeout": "5s",
        "transaction_timeout": "10s",
        "client_connection_check_interval": "1s",
        "search_path": "public",
        "TimeZone": "UTC",
    }
    with psycopg.connect(trade_database.url(role)) as connection:
        found = {name: connection.execute("SELECT current_setting(%s)", (name,)).fetchone() for name in expected}
    assert found == {name: (value,) for name, value in expected.items()}


def test_each_side_has_no_right_in_the_other_database(market_database: Database, trade_database: Database) -> None:
    connect = "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) AND has_database_privilege(oid, %s, 'CONNECT')"
    with psycopg.connect(trade_database.admin) as connection:
        for database in (market_database, trade_database):
            found = connection.execute(connect, ([role.name for role in ROLES], database.name)).fetchall()
            assert sorted(found) == sorted((role.name,) for role in ROLES if role.tree == database.tree)
