"""What someone who runs SQL of his own as a serving role, in alice's session, gets: by hand, query by query.

Row security keyed on a setting is a seat belt against our own bugs, not a lock against injection: whoever may run any
SQL may name another user. So the last table says what such a session can do, and tests/contract/test_no_built_sql.py
holds the code to parameters.
"""

import psycopg
import pytest

from tests.fixtures.database import Database
from tests.migrations import rows

DENIED = "42501"
"""insufficient_privilege"""

REFUSED: dict[str, str] = {
    # rows
    "TRUNCATE trade_executions": DENIED,
    "DELETE FROM trade_executions": DENIED,
    "DELETE FROM execution_events": DENIED,
    "UPDATE trade_executions SET amount = 1": DENIED,
    "UPDATE trade_proposals SET content_hash = repeat('1', 64)": DENIED,
    "UPDATE decisions SET outcome = 'ALLOW'": DENIED,
    "UPDATE deployment SET deployment_id = gen_random_uuid()": DENIED,
    "UPDATE protocol SET min = 9": DENIED,
    "MERGE INTO trade_executions AS t USING (VALUES (1)) AS v ON true WHEN MATCHED THEN DELETE": DENIED,
    # row security and triggers
    "ALTER TABLE trade_executions DISABLE ROW LEVEL SECURITY": DENIED,
    "ALTER TABLE trade_executions NO FORCE ROW LEVEL SECURITY": DENIED,
    "ALTER TABLE trade_executions DISABLE TRIGGER ALL": DENIED,
    "DROP POLICY own_rows ON trade_executions": DENIED,
    "SET session_replication_role = replica": DENIED,
    "SET row_security = off; SELECT * FROM trade_executions": DENIED,
    # schema
    "CREATE TABLE x (y int)": DENIED,
    "CREATE TEMP TABLE x (y int)": DENIED,
    "CREATE SCHEMA x": DENIED,
    "CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT 1'": DENIED,
    "CREATE VIEW x AS SELECT 1": DENIED,
    "CREATE EXTENSION file_fdw": DENIED,
    "CREATE EXTENSION dblink": DENIED,
    "DROP TABLE trade_executions": DENIED,
    # roles
    "SET ROLE trade_owner": DENIED,
    "SET SESSION AUTHORIZATION trade_owner": DENIED,
    "ALTER ROLE trade_service BYPASSRLS": DENIED,
    "ALTER ROLE trade_service SUPERUSER": DENIED,
    "ALTER ROLE auditor PASSWORD 'x'": DENIED,
    "CREATE ROLE mallory": DENIED,
    "GRANT trade_owner TO trade_service": DENIED,
    "SELECT rolpassword FROM pg_authid": DENIED,
    # the server and its files
    "COPY (SELECT 1) TO PROGRAM 'id'": DENIED,
    "COPY (SELECT 1) TO '/tmp/x'": DENIED,
    "COPY trade_executions FROM '/etc/passwd'": DENIED,
    "SELECT pg_read_file('/etc/passwd')": DENIED,
    "SELECT pg_ls_dir('/')": DENIED,
    "SELECT lo_import('/etc/passwd')": DENIED,
    "SELECT lo_create(0)": DENIED,
    "SELECT lo_from_bytea(0, 'x')": DENIED,
    "SELECT pg_reload_conf()": DENIED,
    "ALTER DATABASE postgres SET statement_timeout = 0": DENIED,
    "LOCK TABLE users IN ACCESS EXCLUSIVE MODE": DENIED,
    "SELECT pg_create_physical_replication_slot('x')": DENIED,
    "DO $$ BEGIN EXECUTE 'SET ROLE trade_owner'; END $$": DENIED,
}
"""Query: the SQLSTATE it ends with."""

SEES_ONLY_ALICE: tuple[str, ...] = (
    "SELECT user_id FROM trade_executions",
    "SELECT user_id FROM trade_executions WHERE user_id = 'bob' OR true",
    "SELECT user_id FROM users UNION ALL SELECT user_id FROM trade_proposals",
    "SELECT user_id FROM trade_executions WHERE pg_column_size(user_id) > 0",
    "SELECT t.user_id FROM users u RIGHT JOIN trade_executions t ON t.user_id <> 'alice' OR u.user_id = t.user_id",
    "SELECT user_id FROM trade_executions TABLESAMPLE BERNOULLI (100)",
    "SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'trade_executions' AND attname = 'user_id'",
    "SELECT user_id FROM trade_executions WHERE 1 / (CASE WHEN user_id = 'bob' THEN 0 ELSE 1 END) = 1",
)
"""Row security stands before every condition: also one that would fail, and so tell, on bob's row."""

NOTHING_OF_OTHERS: tuple[str, ...] = (
    "SELECT query FROM pg_stat_activity WHERE usename <> current_user AND query NOT LIKE '<insufficient privilege>'",
    "SELECT application_name FROM pg_stat_activity WHERE usename <> current_user AND state IS NOT NULL",
)

IT_CAN: dict[str, object] = {
    # Naming another user inside one statement shows his rows: the documented limit of a seat belt.
    "WITH s AS MATERIALIZED (SELECT set_config('app.user_id', 'bob', true) AS u)"
    " SELECT t.user_id FROM s, LATERAL (SELECT user_id FROM trade_executions WHERE s.u IS NOT NULL) t": "bob",
    "SELECT pg_advisory_xact_lock(1) IS NULL": False,
    "SELECT set_config('statement_timeout', '1h', true)": "1h",
    "SELECT count(*) > 0 FROM pg_class WHERE relname = 'trade_executions'": True,
}
"""What such a session can do all the same; nothing of ours takes an advisory lock, so none starves us."""


@pytest.fixture
def two_users(trade_database: Database) -> Database:
    with psycopg.connect(trade_database.admin) as connection:
        for user_id in ("alice", "bob"):
            rows.whole_user(connection, user_id)
        connection.commit()
        connection.execute("ANALYZE")
    return trade_database


def as_alice(database: Database) -> rows.Connection:
    connection = psycopg.connect(database.service)
    connection.execute("SELECT set_config('app.user_id', 'alice', true)")
    return connection


@pytest.mark.parametrize("query", REFUSED)
def test_a_hostile_query_is_refused(trade_database: Database, query: str) -> None:
    with as_alice(trade_database) as connection, pytest.raises(psycopg.Error) as refused:
        connection.execute(query.encode())
    assert refused.value.sqlstate == REFUSED[query]


@pytest.mark.parametrize("query", SEES_ONLY_ALICE)
def test_no_way_of_asking_shows_a_row_of_bob(two_users: Database, query: str) -> None:
    with as_alice(two_users) as connection:
        assert {row[0] for row in connection.execute(query.encode())} <= {"alice"}


@pytest.mark.parametrize("query", NOTHING_OF_OTHERS)
def test_what_other_roles_run_is_hidden(two_users: Database, query: str) -> None:
    with psycopg.connect(two_users.owner) as other, as_alice(two_users) as connection:
        other.execute("SELECT 'a secret of the owner'")
        assert connection.execute(query.encode()).fetchall() == []


@pytest.mark.parametrize("query", IT_CAN)
def test_what_a_seat_belt_does_not_hold_is_known(two_users: Database, query: str) -> None:
    with as_alice(two_users) as connection:
        assert connection.execute(query.encode()).fetchone() == (IT_CAN[query],)


def test_a_session_of_another_role_cannot_be_ended(trade_database: Database) -> None:
    with (
        psycopg.connect(trade_database.owner) as other,
        as_alice(trade_database) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT pg_terminate_backend(%s)", (other.info.backend_pid,))


def test_a_right_that_may_not_be_passed_on_is_not(trade_database: Database) -> None:
    with as_alice(trade_database) as connection:
        connection.execute("GRANT SELECT ON trade_executions TO PUBLIC")  # a warning, and nothing granted
        given = "SELECT has_table_privilege('market_service', 'trade_executions', 'SELECT')"
        assert connection.execute(given).fetchone() == (False,)


def test_the_servers_settings_cannot_be_changed(trade_database: Database) -> None:
    with (
        psycopg.connect(trade_database.service, autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("ALTER SYSTEM SET fsync = off")


def test_no_function_of_ours_runs_with_its_owners_rights_and_no_view_hides_who_asks(trade_database: Database) -> None:
    definers = "SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace"
    views = "SELECT relname FROM pg_class WHERE relkind IN ('v', 'm') AND relnamespace = 'public'::regnamespace"
    with psycopg.connect(trade_database.admin) as connection:
        assert connection.execute(definers).fetchall() == []
        assert connection.execute(views).fetchall() == []


def test_a_setting_made_without_a_transaction_is_gone_after_a_reset(two_users: Database) -> None:
    with psycopg.connect(two_users.service, autocommit=True) as connection:
        connection.execute("SET app.user_id = 'alice'")
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (1,)
        connection.execute("RESET ALL")
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (0,)
