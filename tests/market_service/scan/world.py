"""The whole system, a fake model, and as many scanning market_service processes as a test wants."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import psycopg

from protos.market.v1 import market_pb2 as pb
from protos.market.v1.market_pb2_grpc import ScanServiceStub
from standalone.secret_files import write_secret
from standalone.system import System
from tests.market_service.processes import Process
from tests.market_service.scan.fake_model import KEY, MODEL, FakeModel

POLICIES = Path(__file__).parent / "policies"
POINTS_PER_MINUTE = 1_000_000_000
TIMEOUT_SECONDS = 10
STOP_SECONDS = 20
NUMBERS = itertools.count(1)


@dataclass
class Scanner:
    """One market_service process that scans, and the lines it logs."""

    name: str
    environment: dict[str, str]
    folder: Path
    words: list[str] = field(default_factory=lambda: ["market_service"])

    def start(self) -> "Scanner":
        ready = self.folder / f"{self.name}.ready"
        environment = {**self.environment, "MARKET_READY_FILE": str(ready)}
        self.process = Process(self.words, ready, environment, self.folder / f"{self.name}.log")
        return self

    @property
    def running(self) -> bool:
        return self.process.popen.poll() is None

    def signal(self, number: signal.Signals) -> None:
        self.process.popen.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.process.popen.wait(STOP_SECONDS)

    def stop(self) -> int:
        if self.running:
            self.signal(signal.SIGCONT)
        return self.process.stop()

    def logged(self, event: str) -> int:
        return self.process.log.read_text().count(f'"event":"{event}"')


@dataclass
class World:
    """Everything that runs."""

    system: System
    model: FakeModel
    folder: Path

    def environment(self, lease: str = "15s") -> dict[str, str]:
        secrets = self.folder / "secrets" / "scanner"
        secrets.mkdir(parents=True, exist_ok=True)
        database = write_secret(secrets / "database.url", self.system.database_url("market_service"))
        key = write_secret(secrets / "model.key", KEY)
        ours = ("BITVAVO", "MARKET", "TRADE", "SCAN", "ANALYST")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return inherited | {
            "BITVAVO_REST_URL": f"{self.system.simulator.url}/v2",
            "MARKET_LISTEN": "127.0.0.1:0",
            "MARKET_METRICS_LISTEN": "127.0.0.1:0",
            "MARKET_DATABASE_URL_FILE": str(database),
            "TRADE_ADDRESS": self.system.trade[0].address,
            "SCAN_LEASE": lease,
            "ANALYST_URL": self.model.url,
            "ANALYST_MODEL": MODEL,
            "ANALYST_KEY_FILE": str(key),
        }

    @contextmanager
    def scanners(self, count: int, lease: str = "15s") -> Iterator[list[Scanner]]:
        names = [f"scanner-{next(NUMBERS)}" for _ in range(count)]
        started = [Scanner(name, self.environment(lease), self.folder).start() for name in names]
        try:
            for each in started:
                each.process.wait_ready()
            yield started
        finally:
            for each in started:
                each.stop()

    def market_rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.system.database_url("market_owner")) as connection:
            return connection.execute(query, parameters).fetchall()

    def trade_rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.system.database_url("auditor")) as connection:
            return connection.execute(query, parameters).fetchall()

    def execute(self, statements: str) -> None:
        """Change the market database as its owner."""
        with psycopg.connect(self.system.database_url("market_owner")) as connection:
            connection.execute(statements)


@contextmanager
def running_world(folder: Path) -> Iterator[World]:
    """Start all; the system's own market_service answers questions and does not scan."""
    with FakeModel().served() as model:
        system = System.start(
            folder,
            simulator_args=("--still",),
            policy_dir=POLICIES,
            market_env={"MARKET_DATABASE_URL_FILE": ""},
        )
        try:
            system.simulator.admin("POST", "limits", points_per_minute=POINTS_PER_MINUTE)
            yield World(system, model, folder)
        finally:
            system.stop()
            system.simulator._client.close()


def stub_of(scanner: Scanner) -> Any:  # noqa: ANN401 - the generated stub is generic in its channel
    """Return a stub of the scanner's ScanService; its channel ends with the process."""
    port = json.loads(scanner.process.ready_file.read_text())["grpc"]
    return ScanServiceStub(grpc.insecure_channel(f"127.0.0.1:{port}"))


def terms(user: str, analyst: int, market: str = "BTC-EUR", seconds: int = 60, **changes: Any) -> pb.ScanTerms:  # noqa: ANN401
    """A job's terms: it proposes BUYs for 25."""
    given = pb.ScanTerms(
        user_id=user,
        market=market,
        analyst=pb.ScanAnalyst.ValueType(analyst),
        missed=pb.MISSED_SLOT_POLICY_LATEST_ONCE,
        scans_per_day=86_400,
        buy_quote_amount="25",
        **changes,
    )
    given.pace.every.seconds = seconds
    return given


def wait_until(done: Callable[[], bool], seconds: float, poll_seconds: float = 0.1) -> float:
    """Wait until it is done and return how long that took; fails when it takes longer than `seconds`."""
    began = time.monotonic()
    while not done():
        assert time.monotonic() - began < seconds, f"not done within {seconds} s"
        time.sleep(poll_seconds)
    return time.monotonic() - began


def run_python(words: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a program of the tests."""
    return subprocess.Popen([sys.executable, "-m", *words], env=environment, stderr=subprocess.PIPE)
