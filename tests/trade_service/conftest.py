"""A fresh trade database behind the pools the service uses, and a look at it past all of them."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest

from kernel.db import Database, Reasons
from tests.fixtures.database import Database as OwnDatabase
from tests.trade_service.given import Read
from trade_service import reasons

CONNECTIONS_MAX = 16


@pytest.fixture
async def database(trade_database: OwnDatabase) -> AsyncIterator[Database]:
    """The pool of the serving role."""
    made = Database(
        trade_database.service, connections_max=CONNECTIONS_MAX, reasons=Reasons(reasons.DATABASE_UNAVAILABLE)
    )
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def reconciler(trade_database: OwnDatabase) -> AsyncIterator[Database]:
    """The pool of the role that reads across users."""
    made = Database(trade_database.reconciler, connections_max=2, reasons=Reasons(reasons.DATABASE_UNAVAILABLE))
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def sql(trade_database: OwnDatabase) -> Iterator[Read]:
    """Run SQL as the superuser: to look, and to prepare what no use case would do."""
    with psycopg.connect(trade_database.admin, autocommit=True) as connection:

        def run(statement: str, *parameters: object) -> list[Any]:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

        yield run
