"""One statement as a transaction of its own: what returning says, and what is unknown without it."""

from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from kernel.db import CommitUnknownError, ConstraintError, Database, Reasons, Statement
from kernel.errors import Unavailable
from tests.fixtures.database import Database as Clone
from tests.fixtures.fault_proxy import FaultProxy

REASONS = Reasons("DATABASE_UNAVAILABLE")
TABLE = "CREATE TABLE mark (n integer PRIMARY KEY); GRANT SELECT, INSERT ON mark TO market_service"
INSERT = "INSERT INTO mark VALUES (%(n)s) RETURNING n"


def rows(clone: Clone) -> list[int]:
    with psycopg.connect(clone.admin) as connection:
        return [row[0] for row in connection.execute("SELECT n FROM mark ORDER BY n")]


@pytest.fixture
def clone(market_database: Clone) -> Clone:
    with psycopg.connect(market_database.owner) as connection:
        connection.execute(TABLE)
    return market_database


def pool(url: str) -> Database:
    return Database(url, connections_max=1, reasons=REASONS)


async def test_returning_is_the_acknowledgement_and_a_refusal_leaves_the_pool_whole(clone: Clone) -> None:
    database = pool(clone.service)
    await database.open()
    assert await database.once(Statement(INSERT, {"n": 1})) == [{"n": 1}]
    assert rows(clone) == [1]
    with pytest.raises(ConstraintError, match="mark_pkey"):
        await database.once(Statement(INSERT, {"n": 1}))
    assert await database.once(Statement(INSERT, {"n": 2})) == [{"n": 2}]
    await database.close()


async def test_an_answer_that_is_lost_leaves_the_outcome_unknown(clone: Clone) -> None:
    parts = urlsplit(clone.service)
    async with FaultProxy(str(parts.hostname), int(parts.port or 0)) as proxy:
        database = pool(make_conninfo(clone.service, port=proxy.port))
        await database.open()
        assert await database.once(Statement(INSERT, {"n": 1})) == [{"n": 1}]
        proxy.lose_answer_to(b"S\0\0\0\4")  # the message after which the server answers
        with pytest.raises(CommitUnknownError):
            await database.once(Statement(INSERT, {"n": 2}))
        await database.close()
    assert rows(clone) == [1, 2]


async def test_without_a_server_nothing_was_sent() -> None:
    database = pool("postgresql://nobody@127.0.0.1:1/none")
    await database.open()
    with pytest.raises(Unavailable) as refused:
        await database.once(Statement("SELECT 1"))
    assert not isinstance(refused.value, CommitUnknownError)
    await database.close()
