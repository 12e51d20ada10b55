"""The whole system as real processes, once per run: PostgreSQL, the simulated exchange, market_service, two replicas.

Tests take users of their own; a policy judges by user. A test that hurts a process hurts one of its own (`spare`), or
puts the shared one right again.
"""

import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from types import MappingProxyType
from urllib.parse import urlsplit, urlunsplit

import pytest

from standalone.databases import DSN_VARIABLE
from standalone.ports import free_port
from standalone.postgres import EmbeddedPostgres
from standalone.secret_files import write_secret
from standalone.service import TRADE, Service
from standalone.system import System
from tests.e2e.caller import Caller
from tests.e2e.truth import Truth

REPLICAS = 2
CAPPED_ROUNDS = 200
WINDOW_SECONDS = 2.0
"""The shortest there is: a test that waits a window out waits this long."""
OVERDUE_SECONDS = WINDOW_SECONDS + 2.0
POINTS_PER_MINUTE = 1_000_000_000
MARKETS = ("BTC", "ETH", "ADA", "SOL", "XRP", "DOGE", "DOT", "LTC", "LINK", "BCH", "XLM", "TRX", "AVAX", "UNI", "ATOM")
ALLOWED = tuple(f"{base}-EUR" for base in (*MARKETS, "NEAR", "SHIB", "PEPE", "ALGO", "USDC"))

POLICY = """\
apiVersion: interlock/v1
kind: TradingPolicy
name: {name}
applies_to: {{users: [{users}]}}
quote_currency: EUR
approval: {{required: false}}
proposal_ttl: 1h
exits: {{cooldown: apply, anti_flip: apply, trade_caps: apply, order_value: apply}}
rules:
  allowlist: {{markets: [{markets}]}}
  order_value: {{min: "5", max: "100000"}}
  confidence: {{allowed: [75]}}
  cooldown: {cooldown}
  anti_flip: {anti_flip}
  trade_caps: {{per_hour: {cap}, per_day: {cap}, attempts_per_hour: 500}}
  budget: {{gpt_calls: {{per_hour: 3, per_day: 10}}, order_value: {{per_day: "100000000"}}}}
  repeat_intent: {{disabled: "every order of a load looks like the one before"}}
{further}"""
DROPPED = '{disabled: "a load of orders has no pauses"}'


class Stage:
    """What runs, and what a test needs to look at it and to hurt it."""

    def __init__(self, system: System, server: EmbeddedPostgres, policies: Path) -> None:
        self.system = system
        self.server = server
        self.policies = policies
        self.simulator = system.simulator
        self.truth = Truth(system.database_url("auditor"))
        self.told: list[str] = []
        """Everything any caller was told in an error: searched for secrets at the end."""
        self.retired_keys: list[str] = []
        """Keys that could trade before they were replaced."""
        self._numbers = count()

    def caller(self, *services: Service) -> Caller:
        """Return a client of these services, by default of both replicas; enter it inside the test's loop."""
        return Caller([each.address for each in services or self.system.trade], self.told)

    def user(self, kind: str = "open") -> str:
        """Return a user nobody else has. Kinds: open, capped (2 orders an hour), careful (all rules), collared."""
        number = next(self._numbers)
        return f"{kind}-{number}" if kind == "open" else f"{kind}-{number % NAMED[kind]}"

    @contextmanager
    def spare(
        self, *, database_port: int = 0, exchange_port: int = 0, settings: Mapping[str, str] = MappingProxyType({})
    ) -> Iterator[Service]:
        """Run one more trade_service that may be hurt, behind proxies if ports are given; not started yet."""
        name = f"spare-{next(self._numbers)}"
        environment = {**self.system.trade[0]._environment, **settings}
        if database_port:
            for variable, role in (("TRADE", "trade_service"), ("TRADE_RECONCILER", "trade_reconciler")):
                url = with_port(self.system.database_url(role), database_port)
                path = write_secret(self.system.folder / "secrets" / "trade_service" / f"{name}.{role}.url", url)
                environment[f"{variable}_DATABASE_URL_FILE"] = str(path)
        if exchange_port:
            environment["BITVAVO_REST_URL"] = f"http://127.0.0.1:{exchange_port}/v2"
        service = Service(TRADE, name, self.system.folder, (0, 0), environment)
        try:
            yield service
        finally:
            service.kill()

    def fault(self, fault: str, method: str, contains: str, **more: object) -> int:
        """Hurt requests of the exchange that carry this text; once unless told otherwise. Returns the rule's id."""
        match = {"method": method, "contains": contains}
        rule = self.simulator.admin("POST", "faults", match=match, fault=fault, **{"times": 1, **more})
        return int(rule["id"])

    @property
    def exchange_port(self) -> int:
        """The simulator's port."""
        return int(self.simulator.url.rpartition(":")[2])


NAMED = {"capped": CAPPED_ROUNDS, "careful": 100, "collared": 20}


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """Start everything; stop it with the run."""
    folder = Path(mkdtemp(prefix="interlock-stage-"))
    folder.chmod(0o711)
    policies = folder / "policies"
    policies.mkdir()
    write_policies(policies)
    settings = {"track_commit_timestamp": "on", "max_connections": "300"}
    server = EmbeddedPostgres.start(folder, free_port(), settings)
    try:
        system = start_system(folder, server, policies)
        try:
            yield Stage(system, server, policies)
        finally:
            system.stop()
            system.simulator._client.close()
    finally:
        os.kill(server.pid or 0, signal.SIGQUIT)  # no checkpoint: nobody will read it again
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def start_system(
    folder: Path, server: EmbeddedPostgres, policies: Path, database: str = "stage", replicas: int = REPLICAS
) -> System:
    """Start the system on a server that tests can stop."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, DSN_VARIABLE, server.url())
        return System.start(
            folder / database,
            replicas=replicas,
            simulator_args=("--still", "--points-per-minute", str(POINTS_PER_MINUTE)),
            policy_dir=policies,
            trade_env={"TRADE_SEND_WINDOW": f"{WINDOW_SECONDS:g}s"},
            database=database,
        )


def write_policies(folder: Path) -> None:
    """Write the policies that judge the users of `Stage.user`."""
    collar = "  price_collar: {max_deviation: 5%, max_quote_age: 5s}\n"
    careful = {"cooldown": "{per: market, period: 30m}", "anti_flip": "{period: 2h}"}
    free = {"cooldown": DROPPED, "anti_flip": DROPPED}
    write_policy(folder, "open", '"*"', cap=500, further="", **free)
    write_policy(folder, "capped", names("capped"), cap=2, further="", **free)
    write_policy(folder, "careful", names("careful"), cap=3, further="", **careful)
    write_policy(folder, "collared", names("collared"), cap=500, further=collar, **free)


def write_policy(folder: Path, name: str, users: str, **limits: object) -> None:
    """Write one policy file."""
    text = POLICY.format(name=name, users=users, markets=", ".join(ALLOWED), **limits)
    (folder / f"{name}.yaml").write_text(text)


def names(kind: str) -> str:
    """List the users a policy names."""
    return ", ".join(f"{kind}-{number}" for number in range(NAMED[kind]))


def with_port(url: str, port: int) -> str:
    """Return a URL that leads to another port of this machine."""
    parts = urlsplit(url)
    netloc = f"{parts.netloc.rpartition(':')[0]}:{port}"
    return urlunsplit(parts._replace(netloc=netloc))
