"""`python -m tests.attest.table`: what becomes of a key of every kind, for both services, in both modes.

Every cell is one run of `attest` against the simulated exchange, which knows what each key may do; `attest` does not.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Final

from attest.rounds import attest_once
from kernel.attestation import Attestation, Outcome, Role
from tests.attest.exchange import KEYS, Bench, Key, open_bench

COLUMNS: Final = tuple((role, strict) for role in Role for strict in (True, False))
Row = tuple[Outcome, ...]


async def outcomes(folder: Path, switches: Mapping[str, object] = MappingProxyType({})) -> Mapping[str, Row]:
    """Return what came of each kind: market strict, market lenient, trade strict, trade lenient."""
    async with open_bench(folder) as bench:
        await bench.admin("switches", **switches)
        return {key.name: await _row(bench, key) for key in KEYS}


async def _row(bench: Bench, key: Key) -> Row:
    files = await bench.make(key)
    found = []
    for role, strict in COLUMNS:
        settings = bench.settings(role, files, declared=key.declared)
        found.append(await attest_once(settings, _shown_to_nobody, strict=strict))
    return tuple(found)


def _shown_to_nobody(_attestation: Attestation) -> None:
    """Show nothing: the table is what is shown."""


def table(found: Mapping[str, Row]) -> str:
    """Return the outcomes as text."""
    head = ("kind of key", *(f"{role} {'strict' if strict else 'lenient'}" for role, strict in COLUMNS))
    lines = [head, *((name, *row) for name, row in found.items())]
    return "\n".join(f"{line[0]:<33}" + " ".join(f"{cell:<15}" for cell in line[1:]).rstrip() for line in lines)


def main() -> None:
    """Run every case and print the table."""
    with TemporaryDirectory(prefix="interlock-attest-") as folder:
        print(table(asyncio.run(outcomes(Path(folder)))))  # noqa: T201 - a program


if __name__ == "__main__":
    main()
