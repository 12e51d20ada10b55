"""Writes a bill of materials (CycloneDX 1.6, JSON) for each lock into `dist/`: `make sbom`.

The same lock gives the same bytes. Each is compared with its lock before it counts as written.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from tools.locks import ROOT, Locked, lock_files, read_lock

FOLDER: Final = ROOT / "dist"
SECONDS: Final = 120


def main() -> int:
    """Write them all, and name what a bill lacks."""
    FOLDER.mkdir(exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        lacking = [line for lines in pool.map(_write, lock_files()) for line in lines]
    print("\n".join(lacking), end="\n" if lacking else "")
    return 1 if lacking else 0


def missing(bill: dict[str, Any], locked: list[Locked]) -> Iterator[str]:
    """Name each locked package that the bill lacks, by name, version and every hash."""
    known = {(each["name"], each["version"], _hashes(each)) for each in bill["components"]}
    for each in locked:
        if (each.name, each.version, each.hashes) not in known:
            yield f"{each.name} {each.version} with {len(each.hashes)} hashes"


def _write(lock: Path) -> list[str]:
    target = FOLDER / f"{lock.stem}.cdx.json"
    words = ["requirements", str(lock), "--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible"]
    words += ["--of", "JSON", "--sv", "1.6", "--no-validate", "-o", str(target)]
    # The warnings are of a root without a list of direct dependencies, which a lock does not know.
    subprocess.run([sys.executable, "-W", "ignore", "-m", "cyclonedx_py", *words], timeout=SECONDS, check=True)
    locked = read_lock(lock.read_text())
    lacking = [f"{target.name} lacks {each}" for each in missing(json.loads(target.read_text()), locked)]
    print(f"{target.relative_to(ROOT)}: {len(locked)} packages of {lock.name}")
    return lacking


def _hashes(component: dict[str, Any]) -> frozenset[str]:
    return frozenset(
        each["content"]
        for reference in component.get("externalReferences", [])
        for each in reference.get("hashes", [])
        if each["alg"] == "SHA-256"
    )


if __name__ == "__main__":
    sys.exit(main())
