"""Transactions on a real server: batches, acknowledgements, doubts, and what a connection leaves behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from sqlalchemy import column, select, table

from kernel.db import CommitUnknownError, ConstraintError, Database, Reasons, Statement, built
from kernel.errors import Unavailable
from tests.fixtures.database import Database as OwnDatabase
from tests.fixtures.fault_proxy import FaultProxy

COMMIT = b"COMMIT\0"
ALICE = {"app.user_id": "alice"}
MAKE_ALICE = Statement("INSERT INTO users (user_id, created_by) VALUES ('alice', 'test')")
USERS = Statement("SELECT user_id FROM users ORDER BY user_id")
PID = Statement("SELECT pg_backend_pid() AS pid")
REASONS = Reasons("DATABASE_UNAVAILABLE")

# A deferred trigger runs inside COMMIT: it sees the settings under which the commit runs.
NOTE_TIMEOUTS = """
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    INSERT INTO alarms (code, subject, message)
    VALUES ('AT COMMIT', current_setting('statement_timeout'), current_setting('transaction_timeout'));
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER note AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION note();
"""


@asynccontextmanager
async def opened(url: str, connections_max: int = 1) -> AsyncIterator[Database]:
    database = Database(url, connections_max=connections_max, reasons=REASONS)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def proxied(trade_database: OwnDatabase) -> AsyncIterator[tuple[FaultProxy, Database]]:
    info = psycopg.conninfo.conninfo_to_dict(trade_database.service)
    async with FaultProxy(str(info["host"]), int(str(info["port"]))) as proxy:
        through = psycopg.conninfo.make_conninfo(trade_database.service, port=proxy.port)
        async with opened(through) as database:
            yield proxy, database


@pytest.fixture
async def database(trade_database: OwnDatabase) -> AsyncIterator[Database]:
    async with opened(trade_database.service) as made:
        yield made


async def make_alice(database: Database) -> None:
    async with database.transaction(ALICE) as transaction:
        await transaction.run_one(MAKE_ALICE)
        await transaction.commit()


def users_of(trade_database: OwnDatabase) -> list[str]:
    with psycopg.connect(trade_database.admin) as connection:
        return [row[0] for row in connection.execute("SELECT user_id FROM users ORDER BY user_id")]


def state_of(trade_database: OwnDatabase, pid: int) -> str | None:
    with psycopg.connect(trade_database.admin) as connection:
        found = connection.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone()
    return found[0] if found else None


async def test_a_batch_returns_the_rows_of_each_statement_in_order(database: Database) -> None:
    async with database.transaction(ALICE) as transaction:
        one, made, two = await transaction.run(
            Statement("SELECT %(n)s::int AS n", {"n": 1}), MAKE_ALICE, Statement("SELECT count(*) AS n FROM users")
        )
    assert (one, made, two) == ([{"n": 1}], [], [{"n": 1}])


async def test_the_statements_of_one_batch_have_snapshots_of_their_own(
    trade_database: OwnDatabase, database: Database
) -> None:
    await make_alice(database)
    with psycopg.connect(trade_database.admin) as holder:
        holder.execute("UPDATE users SET event_number = 7 WHERE user_id = 'alice'")
        holder.execute("INSERT INTO alarms (code, subject, message) VALUES ('A', '', '')")
        async with database.transaction(ALICE) as transaction:
            lock = Statement("SELECT user_id FROM users WHERE user_id = 'alice' FOR UPDATE")
            batch = asyncio.create_task(transaction.run(lock, Statement("SELECT event_number FROM users")))
            await asyncio.sleep(0.2)
            assert not batch.done()
            await asyncio.to_thread(holder.commit)
            _, seen = await batch
    assert seen == [{"event_number": 7}]


async def test_only_an_acknowledged_commit_keeps_what_was_written(
    trade_database: OwnDatabase, database: Database
) -> None:
    async with database.transaction(ALICE) as transaction:
        await transaction.run_one(MAKE_ALICE)
    assert users_of(trade_database) == []

    async def fail() -> None:
        async with database.transaction(ALICE) as transaction:
            await transaction.run_one(MAKE_ALICE)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert users_of(trade_database) == []
    await make_alice(database)
    assert users_of(trade_database) == ["alice"]


async def test_a_commit_that_answers_rollback_is_no_commit(trade_database: OwnDatabase, database: Database) -> None:
    async with database.transaction(ALICE) as transaction:
        await transaction.run_one(MAKE_ALICE)
        with pytest.raises(Unavailable):
            await transaction.run_one(Statement("SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(1)"))
        with pytest.raises(CommitUnknownError):
            await transaction.commit()
    assert users_of(trade_database) == []


async def test_a_commit_without_a_transaction_is_no_commit(database: Database) -> None:
    async with database.transaction() as transaction:
        await transaction.run_one(PID)
        await transaction.rollback()
        with pytest.raises(CommitUnknownError, match=r"tag COMMIT, [1-9] notices"):
            await transaction.commit()


@pytest.mark.parametrize(("answer_lost", "users"), [(False, []), (True, ["alice"])])
async def test_a_commit_without_an_answer_is_unknown_and_its_connection_is_not_used_again(
    trade_database: OwnDatabase, users: list[str], *, answer_lost: bool
) -> None:
    async with proxied(trade_database) as (proxy, database):
        async with database.transaction(ALICE) as transaction:
            (before,) = await transaction.run_one(PID)
        (proxy.lose_answer_to if answer_lost else proxy.cut_before)(COMMIT)
        with pytest.raises(CommitUnknownError) as unknown:
            await make_alice(database)
        assert unknown.value.reason == "DATABASE_UNAVAILABLE"
        assert proxy.cuts_done == 1
        async with database.transaction(ALICE) as transaction:
            (after,) = await transaction.run_one(PID)
    assert after != before
    assert users_of(trade_database) == users


async def test_a_connection_cut_under_a_statement_is_unavailable_and_not_used_again(
    trade_database: OwnDatabase,
) -> None:
    async with proxied(trade_database) as (proxy, database):
        proxy.cut_before(b"pg_backend_pid")
        with pytest.raises(Unavailable) as failure:
            async with database.transaction(ALICE) as transaction:
                await transaction.run(PID)
        assert failure.value.retry_after_seconds > 0
        assert proxy.cuts_done == 1
        async with database.transaction(ALICE) as transaction:
            assert await transaction.run_one(USERS) == []


async def test_a_database_that_is_away_is_unavailable_and_comes_back_by_itself(trade_database: OwnDatabase) -> None:
    async with proxied(trade_database) as (proxy, database):
        assert await database.answers()
        proxy.refusing = True
        proxy.reset_all()
        assert not await database.answers()
        proxy.heal()
        async with asyncio.timeout(20):
            while not await database.answers():  # noqa: ASYNC110 - the pool tells nobody that it is back
                await asyncio.sleep(0.1)


async def test_no_text_of_the_driver_leaves_with_a_failure(trade_database: OwnDatabase) -> None:
    wrong = trade_database.service.replace(":", ":wrong", 2).replace(":wrong", ":", 1)
    async with opened(wrong) as database:
        with pytest.raises(Unavailable) as failure:
            async with database.transaction() as transaction:
                await transaction.run_one(USERS)
    assert "password" not in str(failure.value)
    assert "trade_service" not in str(failure.value)


async def test_a_lock_held_elsewhere_makes_the_caller_unavailable_in_two_seconds(
    trade_database: OwnDatabase, database: Database
) -> None:
    await make_alice(database)
    with psycopg.connect(trade_database.admin) as holder:
        holder.execute("SELECT FROM users WHERE user_id = 'alice' FOR UPDATE")
        started = asyncio.get_running_loop().time()
        with pytest.raises(Unavailable, match="LockNotAvailable"):
            async with database.transaction(ALICE) as transaction:
                await transaction.run_one(Statement("SELECT FROM users FOR UPDATE"))
        assert 1.5 < asyncio.get_running_loop().time() - started < 4
    async with database.transaction(ALICE) as transaction:
        assert await transaction.run_one(Statement("SELECT user_id FROM users FOR UPDATE")) == [{"user_id": "alice"}]


async def test_settings_end_with_their_transaction(trade_database: OwnDatabase, database: Database) -> None:
    async with database.transaction(ALICE) as transaction:
        (before,) = await transaction.run_one(PID)
        await transaction.run_one(MAKE_ALICE)
        await transaction.commit()
    async with database.transaction() as transaction:
        (after,), rows = await transaction.run(PID, USERS)
    assert (after, rows) == (before, [])
    assert users_of(trade_database) == ["alice"]


async def test_a_refusing_constraint_is_known_by_its_name(trade_database: OwnDatabase, database: Database) -> None:
    with pytest.raises(ConstraintError) as refused:
        async with database.transaction(ALICE) as transaction:
            await transaction.run(MAKE_ALICE, MAKE_ALICE)
    assert refused.value.name == "users_pkey"
    assert users_of(trade_database) == []


async def test_a_cancelled_task_leaves_no_open_transaction(trade_database: OwnDatabase, database: Database) -> None:
    async with database.transaction(ALICE) as transaction:
        (row,) = await transaction.run_one(PID)
    pid = row["pid"]
    began = asyncio.Event()

    async def work() -> None:
        async with database.transaction(ALICE) as held:
            await held.run_one(MAKE_ALICE)
            began.set()
            await asyncio.sleep(30)

    task = asyncio.create_task(work())
    await began.wait()
    assert state_of(trade_database, pid) == "idle in transaction"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert state_of(trade_database, pid) in {"idle", None}
    async with database.transaction(ALICE) as transaction:
        assert await transaction.run_one(USERS) == []


async def test_a_task_cancelled_in_a_statement_leaves_no_open_transaction(
    trade_database: OwnDatabase, database: Database
) -> None:
    async def work() -> None:
        async with database.transaction(ALICE) as transaction:
            await transaction.run(MAKE_ALICE, Statement("SELECT pg_sleep(30)"))

    task = asyncio.create_task(work())
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with psycopg.connect(trade_database.admin) as connection:
        open_ones = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'trade_service' AND state <> 'idle'"
        assert connection.execute(open_ones).fetchone() == (0,)
    async with database.transaction(ALICE) as transaction:
        assert await transaction.run_one(USERS) == []


async def test_no_time_out_of_ours_can_cancel_a_commit(trade_database: OwnDatabase, database: Database) -> None:
    with psycopg.connect(trade_database.admin) as connection:
        connection.execute(NOTE_TIMEOUTS)
    await make_alice(database)
    with psycopg.connect(trade_database.admin) as connection:
        found = connection.execute("SELECT subject, message FROM alarms WHERE code = 'AT COMMIT'").fetchall()
    assert found == [("0", "0")]


def test_a_query_of_core_becomes_a_statement_with_its_parameters() -> None:
    users = table("users", column("user_id"))
    statement = built(select(users).where(users.c.user_id == "a'b"))
    assert "%(user_id_1)s" in statement.sql
    assert statement.parameters == {"user_id_1": "a'b"}


async def test_a_read_is_a_transaction_of_its_own_that_cannot_write(
    trade_database: OwnDatabase, database: Database
) -> None:
    await make_alice(database)
    assert await database.read(USERS, USERS, settings=ALICE) == [[{"user_id": "alice"}]] * 2
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        await database.read(Statement("INSERT INTO alarms (code, subject, message) VALUES ('A', '', '')"))
    assert await database.read(USERS) == [[]]
    with psycopg.connect(trade_database.admin) as connection:
        assert connection.execute("SELECT count(*) FROM alarms").fetchone() == (0,)


async def test_statements_stay_prepared_from_one_read_to_the_next(database: Database) -> None:
    prepared = Statement(
        "SELECT count(*) AS count FROM pg_prepared_statements WHERE statement LIKE '%users ORDER BY user_id'"
    )
    await database.read(USERS)
    assert await database.read(prepared) == [[{"count": 1}]]


async def test_a_commit_takes_a_last_batch_along_and_returns_its_rows(
    trade_database: OwnDatabase, database: Database
) -> None:
    async with database.transaction(ALICE) as transaction:
        assert await transaction.run_one(PID)
        assert await transaction.commit(MAKE_ALICE, USERS) == [[], [{"user_id": "alice"}]]
    assert users_of(trade_database) == ["alice"]


async def test_a_transaction_of_one_batch_needs_one_round_trip(trade_database: OwnDatabase, database: Database) -> None:
    async with database.transaction(ALICE) as transaction:
        assert await transaction.commit(MAKE_ALICE, USERS) == [[], [{"user_id": "alice"}]]
    assert users_of(trade_database) == ["alice"]


async def test_a_last_batch_that_a_constraint_refuses_commits_nothing(
    trade_database: OwnDatabase, database: Database
) -> None:
    async with database.transaction(ALICE) as transaction:
        await transaction.run_one(MAKE_ALICE)
        with pytest.raises(ConstraintError) as refused:
            await transaction.commit(MAKE_ALICE)
    assert refused.value.name == "users_pkey"
    assert users_of(trade_database) == []


async def test_a_last_batch_that_fails_otherwise_is_no_commit(trade_database: OwnDatabase, database: Database) -> None:
    async with database.transaction(ALICE) as transaction:
        await transaction.run_one(MAKE_ALICE)
        with pytest.raises(CommitUnknownError):
            await transaction.commit(Statement("SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(1)"))
    assert users_of(trade_database) == []
