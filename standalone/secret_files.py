"""The secrets of the one-machine system, a directory per service: nobody but that service is told where they are."""

import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

KEY_BYTES = 32
SECRET_BYTES = 64
"""The exchange's keys have 64 hex digits, its secrets 128."""


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """An API key in two files of mode 0400."""

    key_file: Path
    secret_file: Path

    @property
    def key(self) -> str:
        """The key itself."""
        return self.key_file.read_text()

    @property
    def secret(self) -> str:
        """Its secret."""
        return self.secret_file.read_text()


def kept_key(folder: Path) -> KeyFiles:
    """Return the key in that directory, made at the first call and the same ever after."""
    files = KeyFiles(folder / "key", folder / "secret")
    for path, size in ((files.key_file, KEY_BYTES), (files.secret_file, SECRET_BYTES)):
        if not path.exists():
            write_secret(path, secrets.token_hex(size))
    return files


def write_secret(path: Path, text: str) -> Path:
    """Write a file of mode 0400 in a directory of mode 0700, whole or not at all; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    unfinished = path.with_name(f"{path.name}.unfinished")
    with suppress(FileNotFoundError):
        unfinished.unlink()
    unfinished.touch(mode=0o600)
    unfinished.write_text(text)
    unfinished.chmod(0o400)
    unfinished.replace(path)
    return path
