"""Market data: how many book updates a core carries, how soon a subscriber hears of a frame, what a stalled one costs.

`make bench-market` prints medians of paired rounds: in each round every candidate gets the same frames on the same
machine at the same time of day, and ratios are taken within the round. ccxt is installed beside the project at the
first use.
"""

import argparse
import asyncio
import json
import platform
import statistics
import time
from collections.abc import Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.book_frames import FRAMES, book_rounds
from benchmarks.fan_out import FLOOR, OURS, SERVICE_CPU, fan_out_rounds
from benchmarks.stalled import stalled_rounds

RESULTS = Path(__file__).parent / "results"
ROUNDS = 5

Values = dict[str, dict[str, float]]
"""By candidate: what was measured, by name."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One candidate in one round: what was measured, in the unit that the name ends in."""

    bench: str
    candidate: str
    round: int
    values: dict[str, float]


def main() -> None:
    """Measure all, or what is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", choices=("books", "fan-out", "stalled"))
    words = parser.parse_args()
    samples: list[Sample] = []
    benches = {"books": book_rounds, "fan-out": fan_out_rounds, "stalled": stalled_rounds}
    for name, rounds in benches.items():
        if words.only in {None, name}:
            for number in range(words.rounds):
                for candidate, values in played(rounds(number)).items():
                    samples.append(Sample(name, candidate, number, values))
            print("\n".join(table(name, samples)), flush=True)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"market-{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_text(json.dumps({"machine": platform.platform(), "samples": [asdict(each) for each in samples]}))
    print(f"raw samples: {path}")


def played(measured: Coroutine[Any, Any, Values]) -> Values:
    """Run one round on the loop that the services run on."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measured)


def table(bench: str, samples: list[Sample]) -> list[str]:
    """Medians over the rounds, smallest and largest behind; for books the ratio to ours within each round too."""
    mine = [each for each in samples if each.bench == bench]
    lines = [f"--- {bench}" + (f" ({FRAMES} frames a round)" if bench == "books" else "")]
    for candidate in dict.fromkeys(each.candidate for each in mine):
        rows = [each for each in mine if each.candidate == candidate]
        cells = [f"{name} {spread([row.values[name] for row in rows])}" for name in rows[0].values]
        lines.append(f"{candidate:34} " + "   ".join(cells))
    if bench == "books":
        lines += ratios(mine)
    if bench == "fan-out":
        lines += over_floor(mine)
    return lines


def ratios(samples: list[Sample]) -> list[str]:
    """How many times as long as ours each candidate takes, by round."""
    by_round = {(each.candidate, each.round): each.values["us_per_frame"] for each in samples}
    ours = next(iter(by_round))[0]
    rounds = sorted({number for _, number in by_round})
    return [
        f"{candidate} / {ours}: {spread([by_round[candidate, n] / by_round[ours, n] for n in rounds])}"
        for candidate in dict.fromkeys(each.candidate for each in samples)
        if candidate != ours
    ]


def over_floor(samples: list[Sample]) -> list[str]:
    """How much more processor time a message costs the service than the floor, at each load, by round."""
    by_round = {(each.candidate, each.round): each.values[SERVICE_CPU] for each in samples}
    rounds = sorted({number for _, number in by_round})
    loads = dict.fromkeys(candidate.rpartition(" ")[0] for candidate, _ in by_round)
    return [
        f"{load}, {SERVICE_CPU} over the floor's: "
        + spread([by_round[f"{load} {OURS}", n] / by_round[f"{load} {FLOOR}", n] for n in rounds])
        for load in loads
    ]


def spread(values: list[float]) -> str:
    """Median (smallest-largest)."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


if __name__ == "__main__":
    main()
