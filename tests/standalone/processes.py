"""Which processes were started for a folder, told by their environment and command line, and when they are gone."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

WAIT_SECONDS = 30.0


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """Yield a directory for systems. pytest's own are private to their owner, as root not to be reached by a server."""
    folder = Path(mkdtemp(prefix="interlock-test-"))
    folder.chmod(0o711)
    yield folder
    rmtree(folder)


def environment_of(pid: int) -> dict[str, str]:
    """Read what a process was told by its environment."""
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if pair)


def processes_of(folder: Path) -> dict[int, str]:
    """Return the processes, but this one, whose environment or command line names the folder."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                if str(folder).encode() in command + (entry / "environ").read_bytes():
                    found[int(entry.name)] = command.replace(b"\0", b" ").decode()
    return found


def wait_until_none(folder: Path) -> None:
    """Wait until nothing of that folder runs any more."""
    deadline = time.monotonic() + WAIT_SECONDS
    while left := processes_of(folder):
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.05)
