"""market_service takes up a new read key, database URL and model key while it runs; the old ones may go."""

import asyncio
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import grpc.aio
import psycopg
import pytest
from psycopg import sql

from protos.market.v1 import market_pb2 as pb
from protos.market.v1.market_pb2_grpc import MarketServiceStub, ScanServiceStub
from standalone.secret_files import write_secret
from tests.fixtures.database import Database
from tests.market_service.processes import KEY, SECRET, MarketService, Simulator

NOTICE_SECONDS = 20.0
BALANCE = pb.GetBalancesRequest()


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[Simulator]:
    simulator = Simulator(tmp_path)
    yield simulator
    simulator.stop()


@pytest.fixture
def service(sim: Simulator, tmp_path: Path, market_database: Database) -> Iterator[MarketService]:
    folder = tmp_path / "secrets"
    process = MarketService(
        tmp_path,
        sim.url,
        MARKET_DATABASE_URL_FILE=str(write_secret(folder / "url", market_database.service)),
        ANALYST_KEY_FILE=str(write_secret(folder / "analyst", "analyst-key-of-today")),
        ANALYST_URL="http://127.0.0.1:9/v1",
        ANALYST_MODEL="none",
    )
    yield process
    process.stop()


async def taken_up(service: MarketService, subject: str) -> None:
    ends = time.monotonic() + NOTICE_SECONDS
    while not any(line["event"] == "secret_rotated" and line["subject"] == subject for line in service.log_events()):
        if time.monotonic() > ends:
            pytest.fail(f"{subject} was not taken up")
        await asyncio.sleep(0.1)


async def test_a_new_read_key_is_used_and_the_old_one_may_go(
    sim: Simulator, service: MarketService, tmp_path: Path
) -> None:
    key, secret = secrets.token_hex(32), secrets.token_hex(64)
    account = {"balances": {}, "account": KEY[:8]}
    sim.admin("POST", "accounts", key=key, secret=secret, rights=["view"], **account)
    async with grpc.aio.insecure_channel(service.address) as channel:
        await MarketServiceStub(channel).GetBalances(BALANCE, timeout=10)
        write_secret(tmp_path / "key", key)
        write_secret(tmp_path / "secret", secret)
        await taken_up(service, "exchange key")
        sim.admin("POST", "accounts", key=KEY, secret=SECRET, rights=[], **account)
        ends = time.monotonic() + NOTICE_SECONDS
        while sim.requests("/v2/balance")[-1]["key"] != key[:8]:  # an answer of before is kept for a while
            assert time.monotonic() < ends
            await MarketServiceStub(channel).GetBalances(BALANCE, timeout=10)
            await asyncio.sleep(0.2)


async def test_a_new_database_password_and_a_new_model_key_are_taken_up(
    service: MarketService, tmp_path: Path, market_database: Database
) -> None:
    old, new = market_database.cluster.password("market_service"), secrets.token_hex(16)
    url = market_database.service.replace(old, new)
    try:
        set_password(market_database, new)
        write_secret(tmp_path / "secrets" / "url", url)
        write_secret(tmp_path / "secrets" / "analyst", "analyst-key-of-tomorrow")
        await taken_up(service, "database URL")
        await taken_up(service, "analyst key")
        end_sessions(market_database)
        async with grpc.aio.insecure_channel(service.address) as channel:
            await ScanServiceStub(channel).ListScanJobs(pb.ListScanJobsRequest(user_id="alice"), timeout=10)
    finally:
        set_password(market_database, old)
    for value in (old, new, "analyst-key-of-today", "analyst-key-of-tomorrow"):
        assert value not in service.process.log.read_text()


def set_password(database: Database, password: str) -> None:
    with psycopg.connect(database.admin, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER ROLE market_service PASSWORD {}").format(password))


def end_sessions(database: Database) -> None:
    with psycopg.connect(database.admin, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'market_service' AND datname = %s",
            (database.name,),
        )
