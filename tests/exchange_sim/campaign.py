"""Random trading until so many orders were accepted: `python -m tests.exchange_sim.campaign --orders 100000`.

The machine of the short test, run again and again with seeds that count up from `--seed`; a failing seed is printed.
"""

import argparse
import sys
import time

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.exchange_sim.trading_machine import Trading

RUNS = settings(
    max_examples=100,
    stateful_step_count=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
    phases=(Phase.generate, Phase.shrink),
    print_blob=True,
)


def main() -> None:
    """Run, and say how many orders it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    began, number = time.monotonic(), arguments.seed
    while Trading.orders < arguments.orders:
        sys.stdout.write(f"seed {number}: {Trading.orders} orders, {time.monotonic() - began:.0f} s\n")
        sys.stdout.flush()
        run_state_machine_as_test(seed(number)(Trading), settings=RUNS)
        number += 1
    sys.stdout.write(f"{Trading.orders} random orders, money exact, no violation, {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    main()
