"""Where a connection leads: told before its first use, and another one after a restart or a restore."""

import psycopg
from psycopg import sql

from kernel.db import Database, Reasons, Statement
from kernel.errors import Unavailable
from tests.fixtures.database import Cluster
from tests.fixtures.database import Database as OwnDatabase

REASONS = Reasons("DATABASE_UNAVAILABLE")
ONE = Statement("SELECT 1 AS one")


async def test_the_origin_is_told_before_a_connection_is_used_and_to_whoever_asks_later(
    trade_database: OwnDatabase,
) -> None:
    database, first, later = (
        Database(trade_database.service, connections_max=2, reasons=REASONS),
        list[str](),
        list[str](),
    )
    database.on_connect(first.append)
    await database.open()
    try:
        await database.read(ONE)
        assert len(set(first)) == 1
        database.on_connect(later.append)
        assert later == first[:1]
    finally:
        await database.close()


async def test_a_database_put_in_anothers_place_has_another_origin(
    cluster: Cluster, trade_database: OwnDatabase, trade_template: str
) -> None:
    database, told = Database(trade_database.service, connections_max=1, reasons=REASONS), list[str]()
    database.on_connect(told.append)
    await database.open()
    try:
        await database.read(ONE)
        name, template = sql.Identifier(trade_database.name), sql.Identifier(trade_template)
        with psycopg.connect(cluster.admin_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, template))
            connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO trade_service").format(name))
        await reached(database)
        assert len(set(told)) == 2
    finally:
        await database.close()


async def reached(database: Database) -> None:
    """Read until it answers."""
    for _ in range(10):
        try:
            await database.read(ONE)
        except Unavailable:
            continue
        return
    raise AssertionError("it never answered again")
