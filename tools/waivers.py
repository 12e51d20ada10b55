"""Which known weaknesses of a package we live with, why, and until when: `tools/waivers.toml`.

[[waiver]]
id = "PYSEC-2026-1"
package = "example"
until = 2026-12-31
reason = "only its command line is concerned, which nothing here runs"
"""

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

WAIVERS: Final = Path(__file__).with_name("waivers.toml")
LONGEST: Final = timedelta(days=90)
"""A reason is looked at again after a quarter at the latest."""
LEAST_REASON_CHARS: Final = 20


@dataclass(frozen=True, slots=True)
class Waiver:
    """Leave to go on with one weakness of one package, until a day, that day included."""

    id: str
    package: str
    until: date
    reason: str


@dataclass(frozen=True, slots=True)
class Weakness:
    """A known weakness of a locked package, with every name it goes by."""

    package: str
    version: str
    names: frozenset[str]


def read_waivers(text: str) -> list[Waiver]:
    """Read the file.

    Raises:
        TypeError: a waiver lacks a field, or has one nobody knows.
        tomllib.TOMLDecodeError: it is no TOML.
    """
    return [Waiver(**each) for each in tomllib.loads(text).get("waiver", [])]


def bad_waivers(waivers: Iterable[Waiver], today: date) -> Iterator[str]:
    """Say what is wrong with a waiver, whatever was found: over, too long ahead, without a reason."""
    for each in waivers:
        if each.until < today:
            yield f"{each.id} of {each.package}: waived until {each.until}, which is over; look at it again"
        if each.until > today + LONGEST:
            yield f"{each.id} of {each.package}: waived until {each.until}; at most {LONGEST.days} days ahead"
        if len(each.reason) < LEAST_REASON_CHARS:
            yield f"{each.id} of {each.package}: waived without a reason that says why it does no harm here"


def unwaived(weaknesses: Iterable[Weakness], waivers: Iterable[Waiver], today: date) -> Iterator[str]:
    """Name each weakness that no waiver in force covers."""
    covered = {(each.package, each.id) for each in waivers if each.until >= today}
    for each in weaknesses:
        if not any((each.package, name) in covered for name in each.names):
            yield f"{each.package} {each.version}: {', '.join(sorted(each.names))}"
