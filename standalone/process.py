"""One program of ours as a child process: its own environment and log, ready by a file, stopped or killed.

Called by the simulator and the services of the one-machine system.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from standalone.leash import leashed

ROOT = Path(__file__).resolve().parent.parent
BARE_ENVIRONMENT: Mapping[str, str] = MappingProxyType({"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"})
"""All that a child inherits: what it may know beyond this is handed to it by name."""
START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 30.0
"""A service drains calls for 20 s and settles sends for 10 s; longer than that it is killed."""
POLL_SECONDS = 0.02
LOG_TAIL_CHARACTERS = 1_500


class ProcessStartError(RuntimeError):
    """A program ended or stayed silent instead of becoming ready; the text ends with the tail of its log."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run: `python -m` these words, with exactly this environment on top of the bare one."""

    name: str
    words: tuple[str, ...]
    environment: Mapping[str, str]
    ready_file: Path
    log: Path


class Process:
    """A program, running or not. Start it from a thread that outlives it: Linux ends it with that thread."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, None while it does not run."""
        return self._popen.pid if self._popen and self._popen.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How it ended (negative: by that signal), None while it runs or before it was started."""
        return self._popen.poll() if self._popen else None

    def start(self) -> None:
        """Start it, in a session of its own: Ctrl-C reaches us, and we stop it in order."""
        self.program.ready_file.unlink(missing_ok=True)
        with self.program.log.open("ab") as log:
            self._popen = subprocess.Popen(
                leashed([sys.executable, "-m", *self.program.words], signal.SIGTERM),
                env={**BARE_ENVIRONMENT, **self.program.environment},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_ready(self) -> str:
        """Wait for its ready file and return the content.

        Raises:
            ProcessStartError: it ended, or said nothing for START_TIMEOUT_SECONDS.
        """
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self.program.ready_file.exists():
            self.require_running(deadline)
            time.sleep(POLL_SECONDS)
        return self.program.ready_file.read_text()

    def require_running(self, deadline: float) -> None:
        """Pass while it runs and the deadline (of `time.monotonic`) is ahead.

        Raises:
            ProcessStartError: otherwise.
        """
        if self.pid is None:
            raise ProcessStartError(f"{self.program.name} ended with code {self.exit_code}: {self.log_tail()}")
        if time.monotonic() > deadline:
            raise ProcessStartError(f"{self.program.name} did not become ready in time: {self.log_tail()}")

    def log_tail(self) -> str:
        """Return where its log is, and the end of it."""
        with suppress(OSError):
            return f"{self.program.log}\n{self.program.log.read_text(errors='replace')[-LOG_TAIL_CHARACTERS:]}"
        return str(self.program.log)

    def terminate(self) -> int | None:
        """Ask it to end (SIGTERM) and wait; killed after STOP_TIMEOUT_SECONDS. Returns its exit code."""
        if self._popen and self._popen.poll() is None:
            self._popen.terminate()
            try:
                self._popen.wait(STOP_TIMEOUT_SECONDS)
            except BaseException as error:
                self.kill()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
        return self.exit_code

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        if self._popen:
            self._popen.kill()
            self._popen.wait()
