"""A value that cannot be printed, and the one way to read it from a file.

Every program of ours reads its secrets by this, at its start and when `kernel.rotation` sees a changed file.
"""

import hashlib
import hmac
import os
import stat
from pathlib import Path
from typing import Final, NoReturn

MAX_SECRET_BYTES: Final = 4096
FINGERPRINT_DIGITS: Final = 8
MASK: Final = "***"


class SecretFileError(Exception):
    """A secret's file is missing, readable by others, not a regular file, empty, too large or no text."""


class Secret:
    """A secret string. Every way of showing it gives ``***``; only `reveal` gives the value."""

    __slots__ = ("__file", "__value")

    def __init__(self, value: str, *, file: Path | None = None) -> None:
        """Keep `value`; nothing is copied anywhere else. `file` is where it was read, if it was."""
        self.__value = value
        self.__file = file

    @property
    def file(self) -> Path | None:
        """Where it was read and may be read again, None when it came from a variable."""
        return self.__file

    def reveal(self) -> str:
        """Return the value itself. Call it where the bytes are needed, and keep no copy."""
        return self.__value

    def fingerprint(self) -> str:
        """Return the first eight hex digits of the SHA-256: enough to compare, useless to guess."""
        return hashlib.sha256(self.__value.encode()).hexdigest()[:FINGERPRINT_DIGITS]

    def __repr__(self) -> str:
        """Show the mask."""
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        """Show the mask, whatever the format asked for."""
        return MASK

    def __eq__(self, other: object) -> bool:
        """Compare in constant time."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.reveal().encode())

    def __hash__(self) -> int:
        """Hash the value, so that a secret can be a key of a set."""
        return hash(self.__value)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        message = "a secret cannot be pickled"
        raise TypeError(message)


def read_secret_file(path: Path) -> Secret:
    """Read one secret: a line in a file as `read_private_file` demands it, ≤ 4 KiB.

    Raises:
        SecretFileError: what was found, what was expected, and what to do; never the content.
    """
    return Secret(_one_line(path, read_private_file(path, MAX_SECRET_BYTES)), file=path)


def read_private_file(path: Path, bytes_max: int) -> bytes:
    """Read a regular file that nobody but this process's user can read (docs/security.md).

    No link is followed but the two by which Kubernetes swaps a whole directory: `name` to `..data/name`, and `..data`
    to a directory beside it. There root owns the files, and this process reads them by a group of its pod.

    Raises:
        SecretFileError: what was found, what was expected, and what to do; never the content.
    """
    try:
        descriptor = os.open(_of_kubernetes(path) or path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        message = f"secret file {path}: cannot be opened ({error.strerror}); expected a regular file, mode 0400"
        raise SecretFileError(message) from None
    try:
        _require_private(path, os.fstat(descriptor))
        raw = os.read(descriptor, bytes_max + 1)
    finally:
        os.close(descriptor)
    if not raw.strip() or len(raw) > bytes_max:
        message = f"secret file {path}: {len(raw)} bytes found; expected 1 to {bytes_max}"
        raise SecretFileError(message)
    return raw


def _of_kubernetes(path: Path) -> Path | None:
    """Return the file that a mounted name stands for; None when it is no such name."""
    swapped = path.with_name("..data")
    try:
        if str(path.readlink()) != f"..data/{path.name}" or "/" in (folder := str(swapped.readlink())):
            return None
    except OSError:
        return None
    return path.parent / folder / path.name


def _one_line(path: Path, raw: bytes) -> str:
    text = raw.decode("latin-1").strip(" \t\r\n")
    if not (text.isascii() and text.isprintable()):
        message = f"secret file {path}: expected one line of printable ASCII characters"
        raise SecretFileError(message)
    return text


def _require_private(path: Path, status: os.stat_result) -> None:
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISREG(status.st_mode):
        message = f"secret file {path}: not a regular file; expected one, mode 0400"
        raise SecretFileError(message)
    if status.st_uid not in {os.geteuid(), 0}:
        message = f"secret file {path}: owned by uid {status.st_uid}; expected the user of this process"
        raise SecretFileError(message)
    if mode & (0o037 if _is_ours_by_group(status) else 0o077):
        message = f"secret file {path}: mode {mode:04o} lets others read it; run: chmod 0400 {path}"
        raise SecretFileError(message)


def _is_ours_by_group(status: os.stat_result) -> bool:
    """Say whether root owns the file and a group that is this process's, and not root's, may read it."""
    groups = {os.getegid(), *os.getgroups()} - {0}
    return status.st_uid == 0 and os.geteuid() != 0 and status.st_gid in groups
