"""Two boots on one market database, which is emptied for each test: a copy for each would cost the gate a minute."""

from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

import kernel.db
from market_service.scan.job_rows import JobRows
from tests.fixtures.database import Cluster, Database
from tests.market_service.scan import given
from tests.market_service.scan.given import OneAtATime


@pytest.fixture(scope="module")
def scan_database(cluster: Cluster, market_template: str) -> Iterator[Database]:
    with cluster.clone(market_template, "market") as database:
        yield database


@pytest.fixture
def market_database(scan_database: Database) -> Database:
    with psycopg.connect(scan_database.admin) as connection:
        connection.execute("TRUNCATE scan_jobs, scan_runs, market_snapshots")
    return scan_database


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
def first(rows: kernel.db.Database) -> OneAtATime:
    return OneAtATime(rows, given.boot("first/1"))


@pytest.fixture
def second(rows: kernel.db.Database) -> OneAtATime:
    return OneAtATime(rows, given.boot("second/2"))
