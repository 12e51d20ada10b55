"""Makes the shipped recording of BTC-EUR: `python -m exchange_sim.generate_recording [--market M] [--seed N]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import orjson

from exchange_sim.catalogue import market_rules
from exchange_sim.recording import generate_recording


def main() -> None:
    """Write a recording to a file, or to standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--market", default="BTC-EUR")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    text = generated_text(arguments.market, arguments.seed)
    if arguments.out is None:
        sys.stdout.write(text)
    else:
        arguments.out.write_text(text)


def generated_text(market: str, seed: int) -> str:
    """The recording as JSON text; the same market and seed always give the same text."""
    return orjson.dumps(generate_recording(*market_rules(market), seed), option=orjson.OPT_INDENT_2).decode() + "\n"


if __name__ == "__main__":
    main()
