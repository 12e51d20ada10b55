"""The files of `attest`: a key and its secret, the operator's declaration, and the attestation written whole."""

import os
from pathlib import Path
from typing import Final

from attest import declaration as declared
from attest.settings import Settings
from bitvavo.signing import Credentials
from kernel.attestation import Attestation, as_json, path_of
from kernel.redaction import hide
from kernel.secret import read_secret_file

READABLE_FILE: Final = 0o644
READABLE_DIRECTORY: Final = 0o755
"""The services run under other users and only read."""

Stamp = tuple[int, int, int]


def read_credentials(settings: Settings) -> Credentials:
    """Read the key and its secret as they are now; both are masked in every later log line.

    Raises:
        SecretFileError: a file is missing, or readable by others, or no secret.
    """
    key, secret = read_secret_file(settings.key_file), read_secret_file(settings.secret_file)
    hide(key)
    hide(secret)
    return Credentials(key, secret)


def read_declaration(path: Path | None) -> declared.Declaration | str:
    """Read the operator's declaration, or say why there is none."""
    if path is None:
        return "no declaration is given (ATTEST_DECLARATION_FILE)"
    try:
        with path.open("rb") as file:
            return declared.parse(file.read(declared.MAX_BYTES + 1).decode())
    except OSError as error:
        return f"the declaration cannot be read ({error.strerror})"
    except UnicodeDecodeError:
        return "the declaration is no text in UTF-8"
    except declared.DeclarationError as error:
        return f"the declaration is refused: {error}"


def write_attestation(directory: Path, attestation: Attestation) -> Path:
    """Write it in its role's directory, whole or not at all and lasting a power cut; return its path."""
    path = path_of(directory, attestation.role)
    if not path.parent.exists():  # a volume that is mounted here may belong to somebody else
        path.parent.mkdir()
        path.parent.chmod(READABLE_DIRECTORY)
    unfinished = path.with_name(f"{path.name}.unfinished")
    with unfinished.open("wb") as file:
        os.fchmod(file.fileno(), READABLE_FILE)
        file.write(as_json(attestation))
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    _sync(path.parent)
    return path


def stamps(settings: Settings) -> tuple[Stamp | None, ...]:
    """Return what changes when a file that decides changes; None for one that is not there."""
    return tuple(_stamp(path) for path in (settings.key_file, settings.secret_file, settings.declaration_file))


def _stamp(path: Path | None) -> Stamp | None:
    try:
        status = path.stat() if path is not None else None
    except OSError:
        return None
    return None if status is None else (status.st_mtime_ns, status.st_ino, status.st_size)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
