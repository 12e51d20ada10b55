"""The one-machine system: every program has its own secrets only, and none is left behind however it ends."""

import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import psycopg
import pytest

from standalone.ports import Ports, PortTakenError, require_free
from standalone.process import ProcessStartError
from standalone.service import serving
from standalone.system import System
from tests.standalone.processes import environment_of, processes_of, reachable_folder

pytestmark = pytest.mark.timeout(150)  # whole systems are started, beside whatever else this machine does

BARE = {"PATH", "LC_ALL", "TZ"}
MARKET_NAMES = {
    "BITVAVO_REST_URL",
    "BITVAVO_READONLY_KEY_FILE",
    "BITVAVO_READONLY_SECRET_FILE",
    "MARKET_LISTEN",
    "MARKET_METRICS_LISTEN",
    "MARKET_READY_FILE",
    "MARKET_DATABASE_URL_FILE",
    "TRADE_ADDRESS",
}
TRADE_NAMES = {
    "BITVAVO_REST_URL",
    "BITVAVO_TRADE_KEY_FILE",
    "BITVAVO_TRADE_SECRET_FILE",
    "BITVAVO_OPERATOR_ID",
    "MARKET_ADDRESS",
    "POLICY_DIR",
    "REPLICAS",
    "TRADE_LISTEN",
    "TRADE_METRICS_LISTEN",
    "TRADE_READY_FILE",
    "TRADE_DATABASE_URL_FILE",
    "TRADE_RECONCILER_DATABASE_URL_FILE",
}


@pytest.fixture
def folder() -> Iterator[Path]:
    with reachable_folder() as made:
        yield made


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    """Start one system with two replicas for the tests that look, or that restart what they killed."""
    with reachable_folder() as made:
        started = System.start(made / "system", replicas=2, simulator_args=["--still"])
        yield started
        started.stop()


def pid_of(number: int | None) -> int:
    assert number is not None
    return number


def is_serving(address: str, name: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        return serving(channel, name)


def test_a_started_system_can_do_its_work(system: System) -> None:
    assert is_serving(system.market.address, "market.ready")
    assert [is_serving(each.address, "trade.ready") for each in system.trade] == [True, True]
    assert not is_serving(system.market.address, "trade.ready")
    assert system.ended() == []


def test_replicas_are_two_processes_at_two_addresses(system: System) -> None:
    assert len({each.address for each in system.trade}) == len({each.pid for each in system.trade}) == 2
    assert [environment_of(pid_of(each.pid))["REPLICAS"] for each in system.trade] == ["2", "2"]


def test_every_program_is_told_its_own_settings_and_nothing_else(system: System) -> None:
    assert environment_of(pid_of(system.market.pid)).keys() == BARE | MARKET_NAMES
    for service in system.trade:
        assert environment_of(pid_of(service.pid)).keys() == BARE | TRADE_NAMES
    assert environment_of(pid_of(system.simulator.process.pid)).keys() == BARE


def test_neither_service_is_told_where_the_others_secrets_are(system: System) -> None:
    secrets = system.folder / "secrets"
    market = "\n".join(environment_of(pid_of(system.market.pid)).values())
    trade = "\n".join(environment_of(pid_of(system.trade[0].pid)).values())
    assert str(secrets / "market_service") in market
    assert str(secrets / "trade_service") in trade
    assert str(secrets / "trade_service") not in market
    assert str(secrets / "market_service") not in trade


def test_no_secret_stands_in_an_environment_or_on_a_command_line(system: System) -> None:
    texts = [path.read_text() for path in (system.folder / "secrets").glob("*/*")]
    assert len(texts) == 7
    pids = [system.market.pid, system.simulator.process.pid, *(each.pid for each in system.trade)]
    for pid in map(pid_of, pids):
        shown = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        assert not any(text.encode() in shown for text in texts)


def test_secrets_are_files_that_only_their_owner_may_read(system: System) -> None:
    folders = [path for path in (system.folder / "secrets").iterdir() if path.is_dir()]
    assert sorted(path.name for path in folders) == ["market_service", "trade_service"]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}
    files = [path for each in folders for path in each.iterdir()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o400}


def test_the_keys_of_the_two_services_differ_in_rights(system: System) -> None:
    keys = [(system.folder / "secrets" / name / "key").read_text() for name in ("market_service", "trade_service")]
    opened = [account for account in system.simulator._accounts if account["account"] == "interlock"]
    assert [account["key"] for account in opened] == keys
    assert [account["rights"] for account in opened] == [["view"], ["view", "trade"]]


def test_each_role_reaches_its_own_database_only(system: System) -> None:
    with psycopg.connect(system.database_url("auditor")) as connection:
        assert connection.execute("SELECT count(*) FROM trade_executions").fetchone() == (0,)
    elsewhere = system.database_url("market_service").replace("interlock_market", "interlock_trade")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(elsewhere)


def test_a_killed_service_comes_back_at_its_address(system: System) -> None:
    service = system.trade[0]
    before = service.pid, service.address
    service.kill()
    assert system.ended() == ["trade_service-1 ended with code -9"]
    service.restart()
    assert service.address == before[1]
    assert service.pid != before[0]
    assert is_serving(service.address, "trade.ready")


def test_a_restarted_exchange_has_the_accounts_and_an_empty_ledger(system: System) -> None:
    before = system.simulator.url
    assert system.simulator.requests()
    system.simulator.restart()
    assert system.simulator.url == before
    assert not system.simulator.orders()
    assert system.simulator.admin("GET", "money")["BTC"]["deposited"].startswith("50")


def test_a_stopped_system_leaves_no_process(folder: Path) -> None:
    system = System.start(folder / "system", simulator_args=["--still"])
    assert len(processes_of(folder)) >= 4
    system.stop()
    assert processes_of(folder) == {}
    system.stop()


def test_a_start_that_fails_half_way_leaves_no_process_and_says_why(folder: Path) -> None:
    with pytest.raises(ProcessStartError, match=r"trade_service-1 ended(?s:.)*POLICY_DIR"):
        System.start(folder / "system", policy_dir=folder / "nowhere")
    assert processes_of(folder) == {}


def test_a_taken_port_is_named_before_anything_is_started(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTakenError, match=rf"port {port} \(trade_metrics\)(?s:.)*ss -ltnp"):
            System.start(folder / "system", ports=Ports(trade_metrics=port))
    assert not (folder / "system").exists()
    require_free(port, "now free")
