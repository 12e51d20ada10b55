"""Two boots on one market database."""

from collections.abc import AsyncIterator

import pytest

import kernel.db
from market_service.scan.holds import HoldRows
from market_service.scan.job_rows import JobRows
from tests.fixtures.database import Database
from tests.market_service.scan import given


@pytest.fixture
async def rows(market_database: Database) -> AsyncIterator[kernel.db.Database]:
    pool = given.database(market_database.service)
    await pool.open()
    yield pool
    await pool.close()


@pytest.fixture
def jobs(rows: kernel.db.Database) -> JobRows:
    return JobRows(rows)


@pytest.fixture
def first(rows: kernel.db.Database) -> HoldRows:
    return HoldRows(rows, given.boot("first/1"))


@pytest.fixture
def second(rows: kernel.db.Database) -> HoldRows:
    return HoldRows(rows, given.boot("second/2"))
