"""Starts what the benchmark measures: the whole system, and the rivals as processes beside trade_service."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from benchmarks.by_hand import SCHEMA
from benchmarks.job import MARKET, OPERATOR_ID
from standalone.databases import DSN_VARIABLE
from standalone.postgres import EmbeddedPostgres
from standalone.process import Process, Program
from standalone.secret_files import KeyFiles, kept_key
from standalone.service import Kind, Service
from standalone.system import ACCOUNT, Progress, System

POLICIES: Final = Path(__file__).parent / "policies"
POINTS_PER_MINUTE: Final = 1_000_000_000
EUR: Final = "1000000000"
MID: Final = 75_000
LEVELS: Final = 100
RIVALS_ACCOUNT: Final = "rivals"
RIVALS: Final = ("floor", "batched", "dbos")
TRACED: Final = Kind("benchmarks.traced", "TRADE", "trade.ready")


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything running. `addresses` are host:port by candidate, `pids` the processes by what they are."""

    folder: Path
    system: System
    key: KeyFiles
    rivals_key: KeyFiles
    addresses: dict[str, str]
    pids: dict[str, int]
    by_hand_url: str

    @contextmanager
    def traced_service(self) -> Iterator[tuple[str, Path]]:
        """Run one more trade_service, under the tracer; yield its address and the file it leaves when it ends."""
        secrets, trace = self.folder / "secrets" / "trade_service", self.folder / "trace.json"
        environment = {
            "BITVAVO_REST_URL": f"{self.system.simulator.url}/v2",
            "BITVAVO_TRADE_KEY_FILE": str(self.key.key_file),
            "BITVAVO_TRADE_SECRET_FILE": str(self.key.secret_file),
            "BITVAVO_OPERATOR_ID": str(OPERATOR_ID),
            "MARKET_ADDRESS": self.system.market.address,
            "POLICY_DIR": str(POLICIES),
            "TRADE_DATABASE_URL_FILE": str(secrets / "trade_service.url"),
            "TRADE_RECONCILER_DATABASE_URL_FILE": str(secrets / "trade_reconciler.url"),
            "BENCH_TRACE_FILE": str(trace),
        }
        service = Service(TRACED, "traced", self.folder, (0, 0), environment)
        service.start()
        try:
            service.wait_ready()
            yield service.address, trace
        finally:
            service.terminate()


@contextmanager
def staged(folder: Path, progress: Progress) -> Iterator[Stage]:
    """Start all in an empty folder, and stop all at the end."""
    pids: dict[str, int | None] = {}
    with ExitStack() as stack:
        admin_url = os.environ.get(DSN_VARIABLE)
        if admin_url is None:
            postgres = EmbeddedPostgres.start(folder / "postgres")
            stack.callback(postgres.stop)
            pids["postgres"] = postgres.pid
            admin_url = os.environ[DSN_VARIABLE] = postgres.url()
            stack.callback(os.environ.pop, DSN_VARIABLE)
        system = System.start(
            folder, simulator_args=("--still",), policy_dir=POLICIES, database="bench", fresh=True, progress=progress
        )
        stack.callback(system.stop)
        key = kept_key(folder / "secrets" / "trade_service")
        # An account of their own: to trade_service, orders with its operator id and no row of its would be a restore.
        rivals_key = kept_key(folder / "secrets" / "rivals")
        _open_market(system, {ACCOUNT: key, RIVALS_ACCOUNT: rivals_key})
        by_hand_url, system_url = (_make_database(admin_url, name) for name in ("bench_by_hand", "bench_dbos"))
        with psycopg.connect(by_hand_url) as connection:
            connection.execute(SCHEMA)
        environment = {
            "BENCH_MARKET": system.market.address,
            "BENCH_EXCHANGE": f"{system.simulator.url}/v2",
            "BENCH_KEY": rivals_key.key,
            "BENCH_SECRET": rivals_key.secret,
            "BENCH_DATABASE": by_hand_url,
            "BENCH_SYSTEM_DATABASE": system_url,
        }
        addresses = {"interlock": system.trade[0].address}
        pids["interlock"], pids["market"] = system.trade[0].pid, system.market.pid
        pids["exchange"] = system.simulator.process.pid
        for name in RIVALS:
            rival = _start_rival(folder, name, environment)
            stack.callback(rival.terminate)
            addresses[name] = f"127.0.0.1:{json.loads(rival.wait_ready())['grpc']}"
            pids[name] = rival.pid
            progress(f"{name} on {addresses[name]}")
        yield Stage(
            folder, system, key, rivals_key, addresses, {name: pid for name, pid in pids.items() if pid}, by_hand_url
        )


def _open_market(system: System, accounts: dict[str, KeyFiles]) -> None:
    """Give the accounts money and the market depth that no run uses up."""
    simulator = system.simulator
    simulator.admin("POST", "limits", points_per_minute=POINTS_PER_MINUTE)
    for account, key in accounts.items():
        rights, balances = ["view", "trade"], {"EUR": EUR}
        simulator.admin(
            "POST", "accounts", account=account, key=key.key, secret=key.secret, rights=rights, balances=balances
        )
    sides = {
        name: [[str(MID + sign * step), f"{100 + step}.12345678"] for step in range(1, LEVELS + 1)]
        for name, sign in (("bids", -1), ("asks", 1))
    }
    simulator.admin("POST", "book", market=MARKET, **sides)


def _make_database(admin_url: str, name: str) -> str:
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
    return admin_url.rpartition("/")[0] + f"/{name}"


def _start_rival(folder: Path, name: str, environment: dict[str, str]) -> Process:
    ready = folder / "ready" / name
    words = ("benchmarks.rival", name)
    program = Program(
        name, words, environment | {"BENCH_READY_FILE": str(ready)}, ready, folder / "logs" / f"{name}.log"
    )
    process = Process(program)
    process.start()
    return process
