"""Asks pip-audit whether a locked package has a known weakness: `make audit`.

Ends with 0 when every package of every lock was looked up and nothing is left unwaived, with 1 when something is, and
with 2 when not every package could be looked up: pip-audit itself calls that "no known vulnerabilities found".
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tools.locks import Locked, lock_files, read_lock
from tools.waivers import WAIVERS, Weakness, bad_waivers, read_waivers, unwaived

LOOK_UP_SECONDS: Final = 15
ALL_SECONDS: Final = 600
SHOWN: Final = 5
NEWLINE: Final = "\n"


@dataclass(frozen=True, slots=True)
class Looked:
    """What became of a look-up."""

    weaknesses: list[Weakness]
    missed: list[str]
    """Packages nothing is known about, because the service did not answer for them."""


def main() -> int:
    """Look up what the locks hold, each package once, and print what is wrong."""
    today = datetime.now(UTC).date()
    waivers = read_waivers(WAIVERS.read_text())
    wrong = list(bad_waivers(waivers, today))
    locked = {(each.name, each.version): each for path in lock_files() for each in read_lock(path.read_text())}
    looked = look_up([locked[key] for key in sorted(locked)])
    wrong += unwaived(looked.weaknesses, waivers, today)
    print(f"{len(locked) - len(looked.missed)} of {len(locked)} packages of {len(lock_files())} locks looked up")
    print("".join(f"WRONG {each}\n" for each in wrong), end="")
    if looked.missed:
        names = f"{', '.join(looked.missed[:SHOWN])}{', …' if len(looked.missed) > SHOWN else ''}"
        print(f"NOT CHECKED: {len(looked.missed)} packages ({names}): the vulnerability service knew nothing of them")
        print("or did not answer. This is no pass; run it where the service can be reached.")
    return 1 if wrong else 2 if looked.missed else 0


def look_up(locked: list[Locked]) -> Looked:
    """Ask about packages, those for other machines too."""
    told = [entry for names in _lists(locked) for entry in _ask(names)["dependencies"]]
    return judge(locked, {"dependencies": told})


def _ask(names: dict[str, str]) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        asked, told = Path(folder) / "asked.txt", Path(folder) / "told.json"
        asked.write_text("".join(f"{name}=={version}\n" for name, version in names.items()))
        words = ["-r", str(asked), "--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
        words += ["--timeout", str(LOOK_UP_SECONDS), "-o", str(told)]
        ran = subprocess.run(
            [sys.executable, "-m", "pip_audit", *words],
            capture_output=True,
            text=True,
            timeout=ALL_SECONDS,
            check=False,
        )
        if told.exists():
            return dict(json.loads(told.read_text()))
    print(f"pip-audit itself failed: {ran.stderr.strip().rpartition(NEWLINE)[2]}")
    return {"dependencies": []}


def _lists(locked: list[Locked]) -> list[dict[str, str]]:
    """Spread packages over lists in which each stands once: pip-audit takes no other."""
    lists: list[dict[str, str]] = []
    for each in locked:
        free = next((one for one in lists if each.name not in one), None)
        if free is None:
            lists.append(free := {})
        free[each.name] = each.version
    return lists


def judge(locked: list[Locked], report: dict[str, Any]) -> Looked:
    """Compare what was asked with what was told: a package without an answer of its own was not looked up."""
    told = [each for each in report["dependencies"] if "skip_reason" not in each]
    answered = {(each["name"], each["version"]): each for each in told}
    missed = [f"{each.name} {each.version}" for each in locked if (each.name, each.version) not in answered]
    return Looked([each for entry in answered.values() for each in _weaknesses(entry)], missed)


def _weaknesses(entry: dict[str, Any]) -> Iterator[Weakness]:
    for each in entry["vulns"]:
        yield Weakness(entry["name"], entry["version"], frozenset({each["id"], *each["aliases"]}))


if __name__ == "__main__":
    sys.exit(main())
