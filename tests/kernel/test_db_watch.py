"""An unsafe database is refused at first sight and as long as it is unsafe, over every connection."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from kernel import alarms, db_watch, logs
from kernel.db import Database, Reasons, Statement
from kernel.db_safety import UnsafeDatabaseError
from kernel.db_watch import DatabaseWatch
from kernel.errors import Unavailable
from kernel.secret import Secret
from tests.fixtures.database import Database as OwnDatabase
from tests.fixtures.fault_proxy import FaultProxy

REASONS = Reasons("DATABASE_UNAVAILABLE")
SCHEMA = "0001_ground"
ONE = Statement("SELECT 1 AS one")
WHO = Statement("SELECT current_user::text AS name")
PID = Statement("SELECT pg_backend_pid() AS pid")
PATIENCE_SECONDS = 10.0


@pytest.fixture(autouse=True)
def _no_alarm_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "_told", type(alarms._told)())


def set_for_all(database: OwnDatabase, value: str | None) -> None:
    """Change what new sessions of trade_service find in this database; None: as it was."""
    change = (
        sql.SQL("RESET synchronous_commit") if value is None else sql.SQL("SET synchronous_commit = {}").format(value)
    )
    statement = sql.SQL("ALTER ROLE trade_service IN DATABASE {} ").format(sql.Identifier(database.name))
    with psycopg.connect(database.admin) as connection:
        connection.execute(statement + change)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(url, connections_max=2, reasons=REASONS, revision_min=SCHEMA)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def proxied(trade_database: OwnDatabase, *, refusing: bool = False) -> AsyncIterator[tuple[FaultProxy, Database]]:
    info = conninfo_to_dict(trade_database.service)
    proxy = FaultProxy(str(info["host"]), int(str(info["port"])))
    proxy.refusing = refusing
    async with proxy, opened(make_conninfo(trade_database.service, port=proxy.port)) as database:
        yield proxy, database


async def until(true: Callable[[], bool]) -> None:
    ends = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while not true():
        assert asyncio.get_running_loop().time() < ends
        await asyncio.sleep(0.02)


async def test_a_safe_database_is_met_and_used(trade_database: OwnDatabase) -> None:
    async with opened(trade_database.service) as database:
        await DatabaseWatch(database).meet()
        assert database.ever_safe
        assert await database.read(ONE) == [[{"one": 1}]]


async def test_an_unsafe_database_ends_the_start_and_is_never_read(trade_database: OwnDatabase) -> None:
    set_for_all(trade_database, "off")
    async with opened(trade_database.service) as database:
        with pytest.raises(UnsafeDatabaseError, match="synchronous_commit: found off") as refused:
            await DatabaseWatch(database).meet()
        assert f"database trade_service@{trade_database.name}: " in str(refused.value)
        with pytest.raises(Unavailable, match="refused as unsafe"):
            await database.read(ONE)
        with pytest.raises(Unavailable, match="refused as unsafe"):
            await database.once(ONE)


async def test_one_unsafe_role_of_two_ends_the_start(trade_database: OwnDatabase) -> None:
    async with opened(trade_database.service) as one, opened(trade_database.owner) as other:
        with pytest.raises(UnsafeDatabaseError, match="role trade_owner: found the owner of "):
            await DatabaseWatch(one, other).meet()


async def test_a_database_that_is_away_stops_no_start_and_is_judged_when_it_comes(
    trade_database: OwnDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db_watch, "FIRST_SIGHT_SECONDS", 0.2)
    set_for_all(trade_database, "off")
    async with proxied(trade_database, refusing=True) as (proxy, database):
        watch = DatabaseWatch(database)
        await watch.meet()
        served = asyncio.create_task(watch.until(asyncio.Event()))
        await asyncio.sleep(0.5)
        assert not served.done()
        proxy.refusing = False
        with pytest.raises(UnsafeDatabaseError, match="synchronous_commit: found off"):
            await asyncio.wait_for(served, PATIENCE_SECONDS)


async def test_until_ends_with_the_stop(trade_database: OwnDatabase) -> None:
    stop = asyncio.Event()
    async with opened(trade_database.service) as database:
        watch = DatabaseWatch(database)
        await watch.meet()
        stop.set()
        await asyncio.wait_for(watch.until(stop), PATIENCE_SECONDS)


async def test_a_database_that_turns_unsafe_is_alarmed_and_refused_until_it_is_mended(
    trade_database: OwnDatabase, monkeypatch: pytest.MonkeyPatch, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    monkeypatch.setattr(db_watch, "LOOK_SECONDS", 0.1)
    async with opened(trade_database.service) as database:
        watch = DatabaseWatch(database)
        await watch.meet()
        assert await database.read(ONE)
        looking = asyncio.create_task(watch.forever())
        set_for_all(trade_database, "local")
        await until(lambda: bool(database.problems))
        with pytest.raises(Unavailable, match="refused as unsafe"):
            await database.read(ONE)
        assert not await database.answers()
        set_for_all(trade_database, None)
        await until(lambda: not database.problems)
        assert await database.read(ONE)
        stop = asyncio.Event()
        still_served = asyncio.create_task(watch.until(stop))
        await asyncio.sleep(0.1)
        assert not still_served.done(), "a running service is not ended"
        for task in (looking, still_served):
            task.cancel()
    alarms = [line for line in lines() if line.get("code") == "DATABASE_UNSAFE"]
    assert alarms
    assert alarms[0]["message"].startswith("synchronous_commit: found local; expected on or remote_apply")
    assert alarms[0]["subject"] == f"trade_service@{trade_database.name}"


async def test_after_a_failover_to_an_unsafe_server_no_connection_to_it_is_used(trade_database: OwnDatabase) -> None:
    # Between two looks of the watch: what a new connection finds is judged before its first use.
    async with proxied(trade_database) as (proxy, database):
        assert await database.read(ONE)
        set_for_all(trade_database, "off")
        proxy.reset_all()
        with pytest.raises(Unavailable):
            await database.read(ONE)
        await until(lambda: bool(database.problems))
        with pytest.raises(Unavailable, match="refused as unsafe"):
            await database.read(ONE)


async def test_a_changed_url_is_used_by_new_connections_and_the_old_ones_end(trade_database: OwnDatabase) -> None:
    async with opened(trade_database.service) as database:
        assert await database.read(WHO) == [[{"name": "trade_service"}]]
        assert await database.use_url(Secret(trade_database.reconciler))
        assert await database.read(WHO) == [[{"name": "trade_reconciler"}]]


async def test_a_transaction_under_way_ends_on_the_connection_it_began_on(trade_database: OwnDatabase) -> None:
    async with opened(trade_database.service) as database:
        async with database.transaction() as transaction:
            before = await transaction.run_one(PID)
            assert await database.use_url(Secret(trade_database.reconciler))
            assert await transaction.run_one(PID) == before
            await transaction.commit()
        for _ in range(4):
            assert await database.read(WHO) == [[{"name": "trade_reconciler"}]]


@pytest.mark.parametrize("change", ["password", "role", "host", "database", "port", "text"])
async def test_a_url_that_does_not_work_or_leads_elsewhere_changes_nothing(
    trade_database: OwnDatabase, change: str, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    changed = {
        "password": {"password": "canary-of-the-url"},
        "role": {"user": "trade_owner", "password": trade_database.cluster.password("trade_owner")},
        "host": {"host": "localhost"},
        "database": {"dbname": "postgres"},
        "port": {"port": "1"},
    }
    url = "no url" if change == "text" else make_conninfo(trade_database.service, **changed[change])
    async with opened(trade_database.service) as database:
        assert await database.read(WHO)
        assert not await database.use_url(Secret(url))
        assert await database.read(WHO) == [[{"name": "trade_service"}]], "not even the unsafe role is held against it"
    elsewhere = [line for line in lines() if line.get("code") == "DATABASE_URL_LEADS_ELSEWHERE"]
    assert bool(elsewhere) == (change in {"host", "database", "port", "text"})


async def test_the_password_of_a_new_url_is_masked_before_it_is_used(
    trade_database: OwnDatabase, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    async with opened(trade_database.service) as database:
        url = make_conninfo(trade_database.service, password="canary-of-the-password")
        assert not await database.use_url(Secret(url))
    logs.log("event", note="the canary-of-the-password is here")
    assert lines()[-1]["note"] == "the *** is here"
