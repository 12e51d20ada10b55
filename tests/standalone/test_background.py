"""`up`, `down` and `demo` as a person runs them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from migrations.roles import ROLE_NAMES
from standalone.folder_lock import FolderInUseError, FolderLock, holder
from tests.standalone.processes import WAIT_SECONDS, processes_of, reachable_folder, wait_until_none

pytestmark = pytest.mark.timeout(150)  # whole systems are started, beside whatever else this machine does

RUN_TIMEOUT_SECONDS = 100.0
ANY = "--any-ports"


@pytest.fixture
def folder() -> Iterator[Path]:
    with reachable_folder() as made:
        yield made
        run("down", made)


@pytest.fixture(scope="module")
def running() -> Iterator[Path]:
    """Run one system for the tests that look; what `up` showed is in the file `shown`."""
    with reachable_folder() as made:
        done = run("up", made, ANY)
        assert done.returncode == 0, done.stdout + done.stderr
        (made / "shown").write_text(done.stdout)
        yield made
        run("down", made)


def run(command: str, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "standalone", command, "--folder", str(folder), *more]
    return subprocess.run(words, text=True, capture_output=True, timeout=RUN_TIMEOUT_SECONDS, check=False)


def addresses(folder: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((folder / "interlock.json").read_text())
    return content


def deployment(folder: Path) -> object:
    databases = addresses(folder)["databases"]
    assert isinstance(databases, dict)
    with psycopg.connect(databases["auditor"]) as connection:
        return connection.execute("SELECT deployment_id FROM deployment").fetchone()


def wait_for(folder: Path, what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not any(what in command for command in processes_of(folder).values()):
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.02)


def test_a_second_up_finds_the_first(running: Path) -> None:
    keeper, told = holder(running), addresses(running)
    second = run("up", running, ANY)
    assert (second.returncode, holder(running), addresses(running)) == (0, keeper, told)
    assert "up already" in second.stdout


def test_the_address_file_says_what_was_promised_to_its_owner_only(running: Path) -> None:
    told = addresses(running)
    assert told.keys() == {"market", "trade", "simulator", "metrics", "databases", "tls"}
    assert told["tls"] is None
    assert isinstance(told["databases"], dict)
    assert told["databases"].keys() == set(ROLE_NAMES)
    assert (running / "interlock.json").stat().st_mode & 0o777 == 0o600


def test_the_command_it_suggests_places_an_order_once(running: Path) -> None:
    shown = (running / "shown").read_text()
    command = shown[shown.index("/grpcurl") : shown.index("/PlaceOrder") + len("/PlaceOrder")]
    outputs = [
        subprocess.check_output(f"{Path(sys.executable).parent}{command}", shell=True, text=True)  # noqa: S602  # ours
        for _ in range(2)
    ]
    first, second = map(json.loads, outputs)
    assert first["execution"]["status"] == "EXECUTION_STATUS_FILLED"
    assert second["replayed"] is True
    assert second["execution"]["execution_id"] == first["execution"]["execution_id"]
    agreed = run("ledger", running)
    assert agreed.returncode == 0
    assert "1 executions, 1 POSTs, 1 orders: ledger and database agree" in agreed.stdout


def test_over_tls_the_command_it_suggests_places_an_order_and_plaintext_is_not_served(folder: Path) -> None:
    done = run("up", folder, ANY, "--tls")
    assert done.returncode == 0, done.stdout + done.stderr
    command = done.stdout[done.stdout.index("/grpcurl") : done.stdout.index("/PlaceOrder") + len("/PlaceOrder")]
    words = f"{Path(sys.executable).parent}{command}"
    answer = json.loads(subprocess.check_output(words, shell=True, text=True))  # noqa: S602 - our own words
    assert answer["execution"]["status"] == "EXECUTION_STATUS_FILLED"
    assert answer["proposal"]["submitted_by"] == "alice-bot"
    told = addresses(folder)
    assert isinstance(told["tls"], dict)
    assert told["tls"].keys() == {"ca", "cert", "key"}
    plain = [f"{Path(sys.executable).parent}/grpcurl", "-plaintext", "-max-time", "5", str(told["trade"]), "list"]
    refused = subprocess.run(plain, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode != 0


def test_a_killed_keeper_takes_its_children_along_and_the_data_stay(folder: Path) -> None:
    assert run("up", folder, ANY).returncode == 0
    before, key = deployment(folder), (folder / "secrets" / "trade_service" / "key").read_text()
    os.kill(holder(folder) or 0, signal.SIGKILL)
    wait_until_none(folder)
    assert (folder / "interlock.json").exists()
    assert run("up", folder, ANY).returncode == 0
    assert deployment(folder) == before
    assert (folder / "secrets" / "trade_service" / "key").read_text() == key
    assert run("down", folder).returncode == 0
    assert processes_of(folder) == {}
    assert not (folder / "interlock.json").exists()
    again = run("down", folder)
    assert (again.returncode, again.stdout) == (0, "Nothing runs.\n")


def test_an_interrupted_start_leaves_no_process(folder: Path) -> None:
    words = [sys.executable, "-m", "standalone", "serve", "--folder", str(folder), ANY]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as keeper:
        wait_for(folder, "market_service")
        keeper.terminate()
        assert keeper.wait(WAIT_SECONDS) == 0
    assert processes_of(folder) == {}


def test_down_kills_no_stranger_whose_number_stands_in_the_lock(folder: Path) -> None:
    (folder / "system.lock").write_text(str(os.getpid()))
    assert run("down", folder).stdout == "Nothing runs.\n"
    lock = FolderLock(folder)
    lock.take()
    refused = run("down", folder)
    assert refused.returncode == 1
    assert "was not started by `up`" in refused.stdout
    lock.release()


def test_a_held_folder_is_refused(folder: Path) -> None:
    lock = FolderLock(folder)
    lock.take()
    with pytest.raises(FolderInUseError, match=f"pid {os.getpid()}"):
        FolderLock(folder).take()
    lock.release()
    assert holder(folder) is None


def test_the_demo_holds_in_all_it_claims(folder: Path) -> None:
    shown = run("demo", folder)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "All of it holds." in shown.stdout
    assert [line for line in shown.stdout.splitlines() if len(line) > 100] == []
    assert processes_of(folder) == {}
