"""Who runs a system in a folder: a lock that ends with its holder, however it ends. A pid file alone may be stale."""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

NAME = "system.lock"
TAKE_TIMEOUT_SECONDS = 1.0
"""Whoever only looks holds the lock for an instant."""
POLL_SECONDS = 0.02


class FolderInUseError(RuntimeError):
    """A live process runs a system in that folder."""


class FolderLock:
    """Held from `take` to `release`, or to the end of this process."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._descriptor = -1

    def take(self) -> None:
        """Hold the folder.

        Raises:
            FolderInUseError: a live process holds it.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + TAKE_TIMEOUT_SECONDS
        while not _locked(self._descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                self.release()
                raise FolderInUseError(
                    f"a system runs in {self._path.parent} already (pid {holder(self._path.parent)})"
                )
            time.sleep(POLL_SECONDS)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let the folder go; may be repeated."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def holder(folder: Path) -> int | None:
    """Return the pid of the live process that holds the folder, None when nobody does."""
    with suppress(FileNotFoundError), (folder / NAME).open("rb") as file:
        if _locked(file.fileno(), fcntl.LOCK_SH):
            return None
        return int(file.read() or 0)
    return None


def _locked(descriptor: int, kind: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        return True
    return False
