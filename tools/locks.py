"""Reads the lock files: every line of theirs names a package, one version and its hashes, and nothing else.

Asked by `tools.audit`, `tools.sbom` and the tests; `make lock` writes what is read here.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
_REQUIREMENT: Final = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[0-9][\w.!+]*)(?: ; (?P<marker>[^\\]+))?"
)
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Locked:
    """One package of a lock. `marker` is empty for every machine; a name may stand twice under different markers."""

    name: str
    version: str
    hashes: frozenset[str]
    marker: str


class LockError(ValueError):
    """A line that pins nothing; the message says which and what is wanted."""


def lock_files() -> list[Path]:
    """List every lock file: what is worked with, then what each program's image holds."""
    return [*sorted(ROOT.glob("requirements*.lock")), *sorted((ROOT / "locks").glob("*.lock"))]


def read_lock(text: str) -> list[Locked]:
    """Read a lock file.

    Raises:
        LockError: a line that is no `name==version` with at least one SHA-256: an option, a URL, a path, a range.
    """
    whole = text.replace("\\\n", " ")
    return [
        _read_line(line.strip()) for line in whole.splitlines() if line.strip() and not line.strip().startswith("#")
    ]


def _read_line(line: str) -> Locked:
    before, *_ = line.partition(" --hash")
    found, hashes = _REQUIREMENT.fullmatch(before.strip()), _HASH.findall(line)
    rest = _HASH.sub("", line.removeprefix(before)).strip()
    if not found or not hashes or rest:
        message = f"found {line[:80]!r}; expected name==version and --hash=sha256:… only; run `make lock`"
        raise LockError(message)
    return Locked(found["name"], found["version"], frozenset(hashes), (found["marker"] or "").strip())
