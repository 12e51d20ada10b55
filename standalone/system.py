"""The whole system on one machine, as `make demo`, `make up`, tests and benchmarks start it.

    system = System.start(folder)
    try:
        ...                      # system.trade[0].address, system.simulator.admin(...), system.database_url("auditor")
    finally:
        system.stop()

Each program is a process of its own with its own secrets and nothing of the others'. The folder holds `postgres/`,
`secrets/<service>/`, `logs/*.log` and `ready/`, and may be used again.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Self

from standalone.databases import Databases
from standalone.ports import ANY, Ports, free_port
from standalone.secret_files import KeyFiles, kept_key, write_secret
from standalone.service import MARKET, TRADE, Service
from standalone.simulator import Simulator
from standalone.tls import ACCESS, Tls, make_tls

Progress = Callable[[str], None]

ACCOUNT = "interlock"
OPERATOR_ID = 1001
BALANCES: Mapping[str, str] = MappingProxyType(
    {"EUR": "1000000", "BTC": "50", "ETH": "500", "ADA": "500000", "SOL": "5000"}
)
"""Ample: no harness meets the end of it by accident."""
POLICIES = Path(__file__).parent / "policies"


def silent(_: str) -> None:
    """Show no progress."""


class System:
    """PostgreSQL, the simulated exchange, market_service and one or more trade_service, all running.

    Start it from a thread that outlives it: Linux ends the children of a thread that is gone.
    """

    def __init__(self, folder: Path, databases: Databases, simulator: Simulator, stack: ExitStack) -> None:
        """Hold what `start` makes; call that instead."""
        self.folder = folder
        self.simulator = simulator
        self.market: Service
        self.trade: list[Service] = []
        self.tls: Tls | None = None
        self._databases = databases
        self._stack = stack
        self._trade_port = 0

    @classmethod
    def start(  # noqa: PLR0913  # every one has a default, and each caller names the two or three it needs
        cls,
        folder: Path,
        *,
        replicas: int = 1,
        ports: Ports = ANY,
        progress: Progress = silent,
        recording: Path | None = None,
        simulator_args: Sequence[str] = (),
        policy_dir: Path | None = None,
        trade_env: Mapping[str, str] = MappingProxyType({}),
        market_env: Mapping[str, str] = MappingProxyType({}),
        database: str = "interlock",
        fresh: bool = False,
        tls: bool = False,
        access: Path = ACCESS,
    ) -> Self:
        """Start everything and return once both services say that they can do their work.

        Args:
            folder: kept between starts: databases, secrets, logs.
            replicas: how many trade_service processes share the database and the exchange account.
            ports: FIXED as documented, or ANY (the default) for whatever is free.
            progress: told a line for each thing that is up.
            recording: start the exchange's market from this file.
            simulator_args: further words for `python -m exchange_sim`, such as "--still".
            policy_dir: the policy files; by default those beside this file.
            trade_env: further settings of trade_service, such as {"TRADE_SEND_WINDOW": "2s"}.
            market_env: further settings of market_service, such as {"SCAN_LEASE": "5s"}.
            database: the databases are `<database>_trade` and `<database>_market`.
            fresh: begin with empty databases; what they held is gone.
            tls: serve and call with certificates made in `<folder>/certs`, instead of plaintext.
            access: with tls, who may call either service; by default the file beside this one.

        Raises:
            PortTakenError, DatabaseSetupError, PostgresStartError, PostgresInUseError, ProcessStartError: what failed
                and why; all that was started is stopped again.
        """
        ports.require_free()
        folder = folder.absolute()
        for name in ("logs", "ready", "secrets"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        words = (*(("--recording", str(recording.absolute())) if recording else ()), *simulator_args)
        with ExitStack() as stack:
            databases = Databases(folder / "postgres", database, fresh=fresh)
            system = cls(folder, databases, Simulator(folder, ports.simulator, words), stack)
            system.tls = make_tls(folder / "certs", access.absolute()) if tls else None
            settings = {"POLICY_DIR": str((policy_dir or POLICIES).absolute()), "REPLICAS": str(replicas), **trade_env}
            system._start(ports, replicas, settings, market_env, progress)
            system._stack = stack.pop_all()
            return system

    def database_url(self, role: str) -> str:
        """Return the libpq URL of a role (`migrations.roles.ROLE_NAMES`) for its own database."""
        return self._databases.url(role)

    def ended(self) -> list[str]:
        """Name the programs that should run and do not, with how they ended."""
        processes = [*(each.process for each in (*self.trade, self.market)), self.simulator.process]
        return [f"{each.program.name} ended with code {each.exit_code}" for each in processes if each.pid is None]

    def stop(self) -> None:
        """Stop trade_service, market_service, the simulator and PostgreSQL, in this order; may be repeated."""
        self._stack.close()

    def _start(
        self,
        ports: Ports,
        replicas: int,
        trade_settings: Mapping[str, str],
        market_settings: Mapping[str, str],
        progress: Progress,
    ) -> None:
        """Start all; what takes its time runs beside the others."""
        # Each service is told where the other one is, so one of the two addresses is chosen beforehand.
        self._trade_port = ports.trade or free_port()
        self._stack.callback(self._databases.stop)
        self._stack.callback(self.simulator.close)
        self.simulator.start()
        progress(self._databases.start())
        self.simulator.wait_ready()
        progress(f"simulated exchange on {self.simulator.url}")
        view, trade = self._open_accounts()
        self._databases.prepare()
        progress("both databases migrated")
        self.market = self._start_market(ports, view, market_settings)
        for number in range(replicas):
            self.trade.append(self._start_trade(number, ports, trade, trade_settings))
        self.market.wait_ready()
        progress(f"market_service on {self.market.address}")
        for service in self.trade:
            service.wait_ready()
            progress(f"trade_service on {service.address}")

    def _open_accounts(self) -> tuple[KeyFiles, KeyFiles]:
        """One exchange account with two keys: one that may look, one that may look and trade."""
        view = kept_key(self.folder / "secrets" / "market_service")
        trade = kept_key(self.folder / "secrets" / "trade_service")
        for files, rights, balances in ((view, ["view"], BALANCES), (trade, ["view", "trade"], {})):
            self.simulator.open_account(
                account=ACCOUNT, key=files.key, secret=files.secret, rights=rights, balances=dict(balances)
            )
        return view, trade

    def _start_market(self, ports: Ports, key: KeyFiles, settings: Mapping[str, str]) -> Service:
        url = self._databases.url("market_service")
        database = write_secret(self.folder / "secrets" / "market_service" / "market_service.url", url)
        environment = {
            "BITVAVO_REST_URL": f"{self.simulator.url}/v2",
            "BITVAVO_READONLY_KEY_FILE": str(key.key_file),
            "BITVAVO_READONLY_SECRET_FILE": str(key.secret_file),
            "MARKET_DATABASE_URL_FILE": str(database),
            "TRADE_ADDRESS": f"127.0.0.1:{self._trade_port}",
            **self._databases.vouched("MARKET"),
            **settings,
        }
        return self._run(
            Service(MARKET, MARKET.module, self.folder, (ports.market, ports.market_metrics), environment, self.tls)
        )

    def _start_trade(self, number: int, ports: Ports, key: KeyFiles, settings: Mapping[str, str]) -> Service:
        if not number:
            self.market.wait_listening()  # its address is part of the settings
        secrets = self.folder / "secrets" / "trade_service"
        environment = {
            "BITVAVO_REST_URL": f"{self.simulator.url}/v2",
            "BITVAVO_TRADE_KEY_FILE": str(key.key_file),
            "BITVAVO_TRADE_SECRET_FILE": str(key.secret_file),
            "BITVAVO_OPERATOR_ID": str(OPERATOR_ID),
            "MARKET_ADDRESS": self.market.address,
            **self._databases.vouched("TRADE"),
            **settings,
        }
        for variable, role in (("TRADE", "trade_service"), ("TRADE_RECONCILER", "trade_reconciler")):
            path = write_secret(secrets / f"{role}.url", self._databases.url(role))
            environment[f"{variable}_DATABASE_URL_FILE"] = str(path)
        first = (ports.trade if number else self._trade_port, ports.trade_metrics)
        own = tuple(port + number if port else 0 for port in first)
        name = f"{TRADE.module}-{number + 1}"
        return self._run(Service(TRADE, name, self.folder, (own[0], own[1]), environment, self.tls))

    def _run(self, service: Service) -> Service:
        self._stack.callback(service.terminate)
        service.start()
        return service
