"""Makes the shipped recording of BTC-EUR: `python -m exchange_sim.generate_recording [--market M] [--seed N]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import orjson

from exchange_sim.catalogue import market_rules
from exchange_sim.exchange import Exchange
from exchange_sim.frames import Frame, Recorder
from exchange_sim.market_life import MarketLife
from exchange_sim.recording import Recording, generate_recording, start_market
from exchange_sim.sim_clock import NS_PER_MS, SimClock
from exchange_sim.switches import Switches

FIRST_NS = 1_795_521_600_000_000_000
STEP_NS = 100_000_000


def main() -> None:
    """Write a recording to a file, or to standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--market", default="BTC-EUR")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--frames", type=int, default=0, help="steps of the market's life to record as frames")
    arguments = parser.parse_args()
    text = generated_text(arguments.market, arguments.seed, arguments.frames)
    if arguments.out is None:
        sys.stdout.write(text)
    else:
        arguments.out.write_text(text)


def generated_text(market: str, seed: int, steps: int = 0) -> str:
    """The recording as JSON text; the same market and seed always give the same text."""
    recording = dict(generate_recording(*market_rules(market), seed))
    if steps:
        recording["frames"] = generated_frames(market, recording, seed, steps)
    return orjson.dumps(recording, option=orjson.OPT_INDENT_2).decode() + "\n"


def generated_frames(market: str, recording: Recording, seed: int, steps: int) -> list[Frame]:
    """Frames of a market's life after a recording, one step each tenth of a second."""
    clock = StepClock()
    exchange = Exchange(seed=seed, clock=clock, switches=Switches(book_batch_ms=0))
    start_market(exchange, exchange.open_market(market_rules(market)[0]), recording)
    recorder, life = Recorder(market), MarketLife(exchange, seed)
    exchange.feed.subscribe(recorder)
    for _ in range(steps):
        clock.passed_ns += STEP_NS
        life.step()
    return recorder.frames


class StepClock(SimClock):
    """A clock that goes by steps, from the same day on whenever it is asked."""

    def __init__(self) -> None:
        """Start at the first moment."""
        super().__init__()
        self.passed_ns = 0

    def now_ns(self) -> int:
        """The steps so far, as Unix ns."""
        return FIRST_NS + self.passed_ns

    def steady_ms(self) -> int:
        """The steps so far in ms."""
        return self.passed_ns // NS_PER_MS


if __name__ == "__main__":
    main()
