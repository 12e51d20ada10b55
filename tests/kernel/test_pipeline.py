"""Statements sent together: how many segments of TCP a batch is, and the failures of a batch as without it."""

import socket
import struct
from collections.abc import AsyncIterator
from typing import LiteralString

import psycopg
import pytest

from kernel.pipeline import sent_together
from tests.fixtures.database import Database as OwnDatabase

DATA_SEGMENTS_OUT = struct.Struct("=156xI")
"""Where Linux's tcp_info has its count of segments that carried data: sends, as libpq lets none wait for the next."""


@pytest.fixture
async def connection(trade_database: OwnDatabase) -> AsyncIterator[psycopg.AsyncConnection]:
    made = await psycopg.AsyncConnection.connect(trade_database.service, autocommit=True, prepare_threshold=0)
    async with made:
        yield made


def segments_out(connection: psycopg.AsyncConnection) -> int:
    with socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as same:
        told = same.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, DATA_SEGMENTS_OUT.size)
    (count,) = DATA_SEGMENTS_OUT.unpack(told)
    assert isinstance(count, int)
    return count


async def run(connection: psycopg.AsyncConnection, *statements: LiteralString) -> None:
    async with sent_together(connection):
        for statement in statements:
            await connection.execute(statement, {"m": 1} if "%" in statement else None)


async def test_a_batch_leaves_at_its_end_in_one_piece_however_many_statements_it_has(
    connection: psycopg.AsyncConnection,
) -> None:
    for statements in (2, 8):
        before = segments_out(connection)
        async with sent_together(connection):
            cursors = [await connection.execute("SELECT %s::int", (number,)) for number in range(statements)]
            assert segments_out(connection) == before
        assert [await cursor.fetchone() for cursor in cursors] == [(number,) for number in range(statements)]
        assert segments_out(connection) - before <= 2  # psycopg may ask the server to flush behind it


async def test_more_than_one_segment_of_statements_is_sent_and_answered_in_order(
    connection: psycopg.AsyncConnection,
) -> None:
    """Both directions hold more than any buffer between: whoever only wrote would wait for ever."""
    async with sent_together(connection):
        cursors = [await connection.execute("SELECT %s::int, %s", (n, "x" * 1_000_000)) for n in range(30)]
    assert [row[0] for cursor in cursors if (row := await cursor.fetchone())] == list(range(30))


async def test_a_failing_statement_is_the_failure_of_its_batch(connection: psycopg.AsyncConnection) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        await run(connection, "SELECT 1", "SELECT 1 / 0", "SELECT 2")
    assert await (await connection.execute("SELECT 3")).fetchone() == (3,)


async def test_a_statement_that_cannot_be_written_leaves_the_connection_whole(
    connection: psycopg.AsyncConnection,
) -> None:
    with pytest.raises(psycopg.ProgrammingError, match="parameter missing: n"):
        await run(connection, "SELECT %(m)s::int", "SELECT %(n)s::int")
    assert await (await connection.execute("SELECT 3")).fetchone() == (3,)
