"""Measures the scheduler's claims and completions: `make bench-scan`, or `python -m benchmarks.scan --rounds 5`.

One worker works off a queue of due jobs, with batches of 1 and of 10, on one PostgreSQL, in turns of changing order.
`benchmarks.scan_candidates` says what each candidate does. Every job must be completed exactly once.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import orjson
import uvloop

from benchmarks.scan_candidates import Candidate, Floor, Interlock, PgQueuer, Procrastinate
from migrations.apply import upgrade
from migrations.roles import ROLE_NAMES, create_database, ensure_roles
from standalone.postgres import EmbeddedPostgres

RESULTS: Final = Path(__file__).parent / "results"
PASSWORD: Final = "bench"  # noqa: S105 - of a server that lives for this run
DATABASE: Final = "bench_scan"
JOBS: Final = {1: 400, 10: 2_000}
FLOOR: Final = "floor"


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one candidate."""

    candidate: str
    batch: int
    round: int
    jobs: int
    per_second: float


async def measure(candidates: Sequence[Candidate], rounds: int) -> list[Sample]:
    """Run all rounds, after one that warms up and is not kept."""
    samples: list[Sample] = []
    for number in range(-1, rounds):
        for batch, jobs in JOBS.items():
            turn = number % len(candidates)
            for candidate in (*candidates[turn:], *candidates[:turn]):
                sample = await _sample(candidate, batch, jobs, number)
                _say(f"round {number + 1}/{rounds}, batch {batch:2}: {candidate.name:14} {sample.per_second:6.0f} /s\n")
                if number >= 0:
                    samples.append(sample)
    return samples


async def _sample(candidate: Candidate, batch: int, jobs: int, number: int) -> Sample:
    await candidate.fill(jobs)
    began = time.perf_counter()
    done = await candidate.drain(batch)
    seconds = time.perf_counter() - began
    if done != jobs:
        raise RuntimeError(f"{candidate.name} completed {done} of {jobs} jobs")
    return Sample(candidate.name, batch, number, jobs, jobs / seconds)


def table(samples: Sequence[Sample]) -> str:
    """Write medians, and the median over the rounds of each candidate's ratio to the floor of its round."""
    lines = [f"{'':16}{'batch 1':>10}{'÷ floor':>10}{'batch 10':>10}{'÷ floor':>10}"]
    for name in dict.fromkeys(sample.candidate for sample in samples):
        cells = []
        for batch in JOBS:
            own = [each for each in samples if each.candidate == name and each.batch == batch]
            floors = {each.round: each for each in samples if each.candidate == FLOOR and each.batch == batch}
            ratios = [each.per_second / floors[each.round].per_second for each in own]
            cells += [f"{statistics.median(each.per_second for each in own):.0f}/s", f"{statistics.median(ratios):.2f}"]
        lines.append(f"{name:16}" + "".join(f"{cell:>10}" for cell in cells))
    return "\n".join(lines)


async def run(url: str, service_url: str, rounds: int) -> None:
    """Measure, write the samples, print."""
    candidates: list[Candidate] = [Interlock(url, service_url), Floor(url), PgQueuer(url), Procrastinate(url)]
    try:
        samples = await measure(candidates, rounds)
    finally:
        for each in candidates:
            await each.close()
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"scan-{time.strftime('%Y%m%d-%H%M%S')}.json"
    about = {"load_average": os.getloadavg(), "cpus": os.cpu_count()}
    path.write_bytes(orjson.dumps({**about, "samples": list(map(asdict, samples))}, option=orjson.OPT_INDENT_2))
    print(
        f"\n{table(samples)}\n\nmedians of {rounds} paired rounds; load {os.getloadavg()[0]:.1f}; samples: {path.name}"
    )


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def main() -> None:
    """Start a server, measure, stop it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="paired rounds (5)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="interlock-bench-") as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedPostgres.start(Path(folder) / "postgres")
        try:
            ensure_roles(server.url(), dict.fromkeys(ROLE_NAMES, PASSWORD))
            create_database(server.url(), DATABASE, "market")
            base = server.url().rpartition("/")[0]
            host = base.rpartition("@")[2]
            upgrade(f"postgresql://market_owner:{PASSWORD}@{host}/{DATABASE}", "market")
            service_url = f"postgresql://market_service:{PASSWORD}@{host}/{DATABASE}"
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(run(f"{base}/{DATABASE}", service_url, rounds))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
