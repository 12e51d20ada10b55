"""Says where an execution's time goes, from what `benchmarks.traced` wrote down."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.by_hand import STATEMENTS
from benchmarks.load import Run

# Each step with the steps inside it: what is left after those is the step's own.
STEPS: Final[Sequence[tuple[str, int]]] = (
    ("call", 0),
    ("decode and validate", 1),
    ("execute", 1),
    ("look", 2),
    ("look: connection", 3),
    ("look: read", 3),
    ("facts", 2),
    ("claim", 2),
    ("claim: connection", 3),
    ("claim: batch 1", 3),
    ("rows to values", 3),
    ("judge", 3),
    ("decide", 4),
    ("decision to JSON", 3),
    ("claim: commit", 3),
    ("POST", 2),
    ("settle", 2),
    ("settle: connection", 3),
    ("settle: commit", 3),
    ("decision message", 1),
    ("execution message", 1),
    ("log line", 1),
)


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Medians in ms of wall and busy time by step, what the client saw, and statements per execution."""

    in_flight: int
    client_ms: float
    wall_ms: dict[str, float]
    busy_ms: dict[str, float]
    statements: dict[str, float]


def read(trace: Mapping[str, Any], run: Run, in_flight: int, *, warm_up: int) -> Breakdown:
    """Read a trace, leaving out the first `warm_up` executions."""
    samples = {name: trace["samples"][name][warm_up:] for name, _ in STEPS if trace["samples"].get(name)}
    calls = len(trace["samples"]["call"])
    return Breakdown(
        in_flight=in_flight,
        client_ms=run.quantile_ms(0.5),
        wall_ms={name: statistics.median(each[0] for each in mine) * 1000 for name, mine in samples.items()},
        busy_ms={name: statistics.median(each[1] for each in mine) * 1000 for name, mine in samples.items()},
        statements={owner: trace["statements"].get(owner, 0) / calls for owner in ("look", "claim", "settle")},
    )


def require_same_statements(found: Breakdown) -> None:
    """Pass while the floor's transactions run as many statements as the service's.

    Raises:
        RuntimeError: they do not; the comparison would be unfair.
    """
    counted = {name: found.statements[name] for name in STATEMENTS}
    if counted != STATEMENTS:
        raise RuntimeError(
            f"the service runs {counted} statements, the floor {STATEMENTS}: adapt benchmarks/by_hand.py"
        )


def tables(found: Sequence[Breakdown]) -> list[str]:
    """Return the table of all levels, and the count of statements."""
    head = "".join(f"  {f'{each.in_flight} in flight':>16}" for each in found)
    lines = [f"{'where the time goes, median ms':34}{head}", f"{'':34}" + f"  {'wall':>8}{'busy':>8}" * len(found)]
    lines.append(f"{'at the client':34}" + "".join(f"  {each.client_ms:8.2f}{'':8}" for each in found))
    for name, depth in STEPS:
        cells = "".join(f"  {each.wall_ms.get(name, 0):8.2f}{each.busy_ms.get(name, 0):8.2f}" for each in found)
        lines.append(f"{'  ' * depth + name:34}{cells}")
    counts = ", ".join(f"{name} {count:g}" for name, count in found[0].statements.items())
    return ["\n".join(lines), f"statements per execution: {counts}; the floor: {STATEMENTS}"]
