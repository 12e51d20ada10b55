"""The embedded server keeps what it acknowledged, lets nobody in without a password, and leaves no process behind."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import psycopg
import pytest

from standalone.postgres import EmbeddedPostgres, PostgresInUseError, PostgresStartError, running_postmaster
from standalone.server_account import ServerAccount, own_folder

WAIT_SECONDS = 20.0


@contextmanager
def reachable() -> Iterator[Path]:
    """Yield a directory for servers. pytest's own are private to their owner, as root not to be reached by a server."""
    folder = Path(mkdtemp(prefix="interlock-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def folder() -> Iterator[Path]:
    with reachable() as made:
        yield made


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """Start one server for the tests that only look."""
    with reachable() as made:
        started = EmbeddedPostgres.start(made / "postgres")
        yield started
        started.stop()


@pytest.fixture
def own_server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """Start a server for a test that stops or kills it."""
    started = EmbeddedPostgres.start(folder / "postgres")
    yield started
    started.stop()


def value(server: EmbeddedPostgres, query: str) -> object:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.02)


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
def test_what_protects_an_acknowledged_commit_is_on(server: EmbeddedPostgres, setting: str) -> None:
    assert value(server, f"SHOW {setting}") == "on"


def test_it_is_a_server_of_18_or_later_in_utf8(server: EmbeddedPostgres) -> None:
    assert int(str(value(server, "SHOW server_version_num"))) >= 180_000
    assert value(server, "SHOW server_encoding") == "UTF8"
    assert value(server, "SELECT datlocale FROM pg_database WHERE datname = 'postgres'") == "C.UTF-8"


def test_a_wrong_password_is_refused(server: EmbeddedPostgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.url(password="wrong"))


def test_it_listens_on_loopback_only(server: EmbeddedPostgres) -> None:
    assert value(server, "SHOW listen_addresses") == "127.0.0.1"
    assert value(server, "SHOW unix_socket_directories") == ""


def test_rows_survive_a_stop_and_a_crash(own_server: EmbeddedPostgres) -> None:
    with psycopg.connect(own_server.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (1)")
    own_server.stop()
    own_server.restart()
    with psycopg.connect(own_server.url(), autocommit=True) as connection:
        connection.execute("INSERT INTO kept VALUES (2)")
    own_server.kill()
    own_server.restart()
    assert value(own_server, "SELECT count(*) FROM kept") == 2


def test_a_stopped_server_leaves_no_process(own_server: EmbeddedPostgres) -> None:
    pid = own_server.pid
    assert pid is not None
    own_server.stop()
    assert own_server.pid is None
    assert not Path(f"/proc/{pid}").exists()
    own_server.stop()


def test_a_folder_in_use_is_refused(server: EmbeddedPostgres) -> None:
    with pytest.raises(PostgresInUseError):
        EmbeddedPostgres.start(server.folder)
    assert value(server, "SELECT 1") == 1


def test_a_taken_port_is_an_error_with_the_servers_words(server: EmbeddedPostgres, folder: Path) -> None:
    with pytest.raises(PostgresStartError, match="could not bind"):
        EmbeddedPostgres.start(folder / "other", port=server.port)


def start_elsewhere(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """Start a server in another Python process, which then waits for ever."""
    program = (
        "import sys, time; from pathlib import Path; from standalone.postgres import EmbeddedPostgres\n"
        f"print(EmbeddedPostgres.start(Path({str(folder)!r})).pid, flush=True); time.sleep(600)"
    )
    starter = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    return starter, int(starter.stdout.readline())


def test_the_server_ends_with_a_killed_starter(folder: Path) -> None:
    starter, pid = start_elsewhere(folder / "postgres")
    with starter:
        starter.kill()
    wait_until_gone(pid)


def test_an_orphan_is_stopped_before_the_next_start(folder: Path) -> None:
    """As where the kernel has no parent-death signal: the orphan is stopped, not fought for the data directory."""
    account = ServerAccount.for_this_process()
    first = EmbeddedPostgres.start(folder / "postgres")
    first.stop()
    binaries, data, log = first._binaries, first._data, folder / "orphan.log"
    with log.open("wb") as output:
        command: list[str | Path] = [
            binaries / "postgres",
            "-D",
            data,
            "-p",
            str(first.port),
            "-c",
            "unix_socket_directories=",
        ]
        orphan = account.popen(command, output)
    deadline = time.monotonic() + WAIT_SECONDS
    while running_postmaster(data) is None or b"ready to accept" not in log.read_bytes():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    first.restart()
    assert orphan.wait(WAIT_SECONDS) == 0
    assert value(first, "SELECT 1") == 1
    first.stop()


def test_a_pid_file_that_names_a_strangers_process_harms_nobody(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text(f"{os.getpid()}\n{tmp_path}\n")
    assert running_postmaster(tmp_path) is None


def test_a_half_finished_initdb_is_made_again(folder: Path) -> None:
    unfinished = folder / "postgres" / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres.start(folder / "postgres")
    assert value(server, "SELECT 1") == 1
    server.stop()


def test_no_parent_directory_is_opened_for_the_server(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    server = EmbeddedPostgres.start(private / "postgres")
    assert private.stat().st_mode & 0o777 == 0o700
    assert value(server, "SELECT 1") == 1
    server.stop()
    shutil.rmtree(server.folder)


def test_a_fallback_folder_others_can_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(RuntimeError, match="not a directory of ours"):
        own_folder(tmp_path / "open")


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(server: EmbeddedPostgres) -> None:
    assert server.pid is not None
    assert os.getsid(server.pid) == server.pid != os.getsid(0)
