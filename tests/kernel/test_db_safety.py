"""Every way in which a database can be unsafe is seen on a real server, and told with what to do about it."""

from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from kernel.db_safety import BOUNDED, EXPECTED, Seen, judge, look
from tests.fixtures.database import Database

SCHEMA = "0001_ground"
SAFE = Seen(
    role="trade_service",
    version=180_004,
    in_recovery=False,
    server_process=7,
    session_process=7,
    settings={
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "data_sync_retry": "off",
        "default_transaction_isolation": "read committed",
        "default_transaction_read_only": "off",
        "session_replication_role": "origin",
        "row_security": "on",
        "lock_timeout": "2s",
        "statement_timeout": "3s",
        "idle_in_transaction_session_timeout": "5s",
        "transaction_timeout": "10s",
    },
    powers=(),
    owned=(),
    unsecured=(),
    revision="0001_ground",
)


async def seen_by(url: str, *before: str) -> Seen:
    async with await psycopg.AsyncConnection.connect(
        url, autocommit=True, row_factory=psycopg.rows.dict_row
    ) as session:
        for statement in before:
            await session.execute(statement)
        return await look(session)


def refused(seen: Seen) -> list[str]:
    """Return what each problem is about."""
    return [problem.partition(":")[0] for problem in judge(seen, SCHEMA)]


@pytest.mark.parametrize("role", ["trade_service", "trade_reconciler"])
async def test_the_roles_that_serve_on_the_database_that_was_migrated_are_safe(
    trade_database: Database, role: str
) -> None:
    assert judge(await seen_by(trade_database.url(role)), SCHEMA) == ()


async def test_the_market_database_is_safe(market_database: Database) -> None:
    assert judge(await seen_by(market_database.service), "0002_scans") == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fsync", "off"),
        ("full_page_writes", "off"),
        *(("synchronous_commit", value) for value in ("off", "local", "remote_write")),
        ("data_sync_retry", "on"),
        *(
            ("default_transaction_isolation", value)
            for value in ("read uncommitted", "repeatable read", "serializable")
        ),
        ("default_transaction_read_only", "on"),
        *(("session_replication_role", value) for value in ("replica", "local")),
        ("row_security", "off"),
        *((name, "0") for name in BOUNDED),
    ],
)
def test_a_setting_that_is_not_safe_is_named_with_what_was_found(name: str, value: str) -> None:
    problems = judge(replace(SAFE, settings={**SAFE.settings, name: value}), SCHEMA)
    assert len(problems) == 1
    assert problems[0].startswith(f"{name}: found {value}")
    assert "; expected " in problems[0]


def test_every_setting_that_is_asked_for_has_a_case_here() -> None:
    assert set(SAFE.settings) == {*EXPECTED, *BOUNDED}
    assert judge(SAFE, SCHEMA) == ()
    assert judge(replace(SAFE, settings={**SAFE.settings, "synchronous_commit": "remote_apply"}), SCHEMA) == ()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"version": 180_003}, "server_version: found 18.3; expected 18.4 or later: update the server"),
        ({"version": 170_011}, "server_version: found 17.11; expected 18.4 or later: update the server"),
        (
            {"in_recovery": True},
            "pg_is_in_recovery: found a standby; expected the primary: name the primary's address",
        ),
        ({"revision": None}, "schema revision: found none that this role may read; expected 0001_ground or later"),
        ({"revision": "0000_before"}, "schema revision: found 0000_before; expected 0001_ground or later"),
        ({"revision": "fe12"}, "schema revision: found fe12; expected 0001_ground or later"),
        ({"server_process": 8}, "backend process: found a connection pooler in between"),
        (
            {"powers": ("a", "b", "c", "d")},
            "role trade_service: found the powers of a, b, c and 1 more; expected none",
        ),
    ],
)
def test_what_is_no_setting_is_judged_too(changes: dict[str, object], problem: str) -> None:
    problems = judge(replace(SAFE, **changes), SCHEMA)  # type: ignore[arg-type]
    assert len(problems) == 1
    assert problems[0].startswith(problem)


@pytest.mark.parametrize("changes", [{"version": 180_004}, {"version": 190_000}, {"revision": "0007_later"}])
def test_a_newer_server_or_schema_is_fine(changes: dict[str, object]) -> None:
    assert judge(replace(SAFE, **changes), SCHEMA) == ()  # type: ignore[arg-type]


async def test_the_superuser_is_refused(trade_database: Database) -> None:
    found = refused(await seen_by(trade_database.admin))
    assert found[-3:] == ["role postgres", "role postgres", "row security"]


async def test_the_owner_is_refused(trade_database: Database) -> None:
    assert refused(await seen_by(trade_database.owner))[-1] == "role trade_owner"


async def test_a_database_without_our_tables_is_refused(market_database: Database, trade_database: Database) -> None:
    with psycopg.connect(trade_database.admin) as connection:
        connection.execute("REVOKE SELECT ON alembic_version FROM trade_service")
    assert refused(await seen_by(trade_database.service)) == ["schema revision"]
    with psycopg.connect(market_database.admin) as connection:
        connection.execute("DROP TABLE alembic_version")
    assert refused(await seen_by(market_database.service)) == ["schema revision"]


@pytest.mark.parametrize("how", ["DISABLE ROW LEVEL SECURITY", "NO FORCE ROW LEVEL SECURITY"])
async def test_row_security_that_somebody_loosened_is_refused(trade_database: Database, how: str) -> None:
    with psycopg.connect(trade_database.admin) as connection:
        connection.execute(sql.SQL("ALTER TABLE trade_executions {}").format(sql.SQL(how)))
    (problem,) = judge(await seen_by(trade_database.service), SCHEMA)
    assert problem.startswith("row security: found not in force for trade_service on trade_executions")


@pytest.mark.parametrize(
    "setting",
    ["synchronous_commit = off", "row_security = off", "lock_timeout = 0", "default_transaction_read_only = on"],
)
async def test_a_setting_is_judged_as_the_role_itself_has_it(trade_database: Database, setting: str) -> None:
    name = setting.partition(" ")[0]
    assert refused(await seen_by(trade_database.service, f"SET {setting}")) == [name]
