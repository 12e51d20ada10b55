"""Files that one user of a container may read and nobody else: written whole, given away, looked at."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PRIVATE: Final = 0o400


@dataclass(frozen=True, slots=True)
class Owner:
    """A user by number; the group has the same one."""

    uid: int

    def take(self, path: Path, *, mode: int) -> None:
        """Make `path` this owner's, with this mode."""
        os.chown(path, self.uid, self.uid)
        path.chmod(mode)


def write_private(path: Path, content: bytes, owner: Owner) -> None:
    """Write a file of mode 0400, whole or not at all; one with this content already stays as it is.

    Raises:
        OSError: the folder cannot be written, or files cannot be given away.
    """
    if path.exists() and path.read_bytes() == content:
        owner.take(path, mode=PRIVATE)
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    owner.take(unfinished, mode=PRIVATE)
    unfinished.replace(path)


def defects(path: Path, owner: Owner) -> list[str]:
    """Say what is wrong with a private file: what was found and what is expected; empty when all is well."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return [f"missing; expected a file of uid {owner.uid}, mode 0400"]
    found = []
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        found.append("not a file with something in it")
    if status.st_uid not in {owner.uid, 0}:
        found.append(f"of uid {status.st_uid}; expected {owner.uid}")
    if stat.S_IMODE(status.st_mode) & 0o077:
        found.append(f"mode {stat.S_IMODE(status.st_mode):04o}; expected 0400")
    return found
