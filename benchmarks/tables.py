"""Turns the samples of `benchmarks.execute` into its tables: ratios per round first, medians of them after."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

INTERLOCK, FLOOR, EXCHANGE = "interlock", "floor", "exchange"
RIVALS = (FLOOR, "batched", "dbos")


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one candidate: executions per second, latencies, CPU time per execution by process."""

    candidate: str
    in_flight: int
    round: int
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: dict[str, float]
    latencies_ms: list[float]


def all_of(samples: Sequence[Sample]) -> list[str]:
    """Return every table."""
    return ["\n".join(each(samples)) for each in (rates, ratios, over_exchange, processors)] if samples else []


def rates(samples: Sequence[Sample]) -> Iterator[str]:
    """Executions per second and latencies: medians over the rounds, smallest and largest behind."""
    yield "in flight  candidate   executions/s (min-max)      p50 ms (min-max)      p99 ms (min-max)"
    for in_flight in _levels(samples):
        for name in dict.fromkeys(each.candidate for each in _sorted(samples)):
            mine = _of(samples, name, in_flight)
            if mine:
                columns = (
                    _spread([each.per_second for each in mine], 0, 20),
                    _spread([each.p50_ms for each in mine], 2, 20),
                    _spread([each.p99_ms for each in mine], 2, 20),
                )
                yield f"{in_flight:9}  {name:10}  {'  '.join(columns)}"


def ratios(samples: Sequence[Sample]) -> Iterator[str]:
    """Interlock's executions per second over each rival's of the same round."""
    yield "in flight  interlock over   ratio: median (min-max)"
    for in_flight in _levels(samples):
        mine = _of(samples, INTERLOCK, in_flight)
        for name in RIVALS:
            theirs = _of(samples, name, in_flight)
            pairs = [a.per_second / b.per_second for a, b in zip(mine, theirs, strict=True)]
            yield f"{in_flight:9}  {name:15}  {_spread(pairs, 2, 0)}"


def over_exchange(samples: Sequence[Sample]) -> Iterator[str]:
    """One in flight: how much later than the exchange's own answer, p50 of the same round."""
    own = _of(samples, EXCHANGE, 1)
    if not own:
        return
    yield "one in flight: p50 over the exchange's own, ms (min-max)"
    for name in (INTERLOCK, *RIVALS):
        later = [a.p50_ms - b.p50_ms for a, b in zip(_of(samples, name, 1), own, strict=True)]
        yield f"  {name:10} {_spread(later, 2, 0)}"


def processors(samples: Sequence[Sample]) -> Iterator[str]:
    """CPU time of one execution by process: what bounds the rate when two cores are all there is."""
    if not samples[0].cpu_ms:
        return
    yield "in flight  candidate   CPU ms per execution: itself  postgres  exchange  market  client"
    for in_flight in _levels(samples):
        for name in (INTERLOCK, *RIVALS):
            mine = _of(samples, name, in_flight)
            columns = [
                statistics.median(each.cpu_ms.get(process, 0.0) for each in mine)
                for process in (name, "postgres", "exchange", "market", "client")
            ]
            yield f"{in_flight:9}  {name:10}  {columns[0]:28.2f}  " + "  ".join(f"{each:8.2f}" for each in columns[1:])


def _of(samples: Sequence[Sample], candidate: str, in_flight: int) -> list[Sample]:
    chosen = [each for each in samples if (each.candidate, each.in_flight) == (candidate, in_flight)]
    return sorted(chosen, key=lambda each: each.round)


def _levels(samples: Sequence[Sample]) -> list[int]:
    return sorted({each.in_flight for each in samples})


def _sorted(samples: Sequence[Sample]) -> list[Sample]:
    place: Callable[[Sample], int] = lambda each: (INTERLOCK, *RIVALS, EXCHANGE).index(each.candidate)  # noqa: E731
    return sorted(samples, key=place)


def _spread(values: Sequence[float], decimals: int, width: int) -> str:
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:.{decimals}f} ({low:.{decimals}f}-{high:.{decimals}f})".rjust(width)
