"""`python -m tests.market_service.scan_campaign`: the long campaign; exit code 1 when the oracle finds anything."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.market_service.scan.campaign import Outcome, Wish, run
from tests.market_service.scan.world import running_world

SLOTS_LEAST = 1_000


def main() -> None:
    """Start everything, disturb it, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long scanners are killed and paused (60)")
    parser.add_argument("--jobs", type=int, default=100, help="jobs (100)")
    parser.add_argument("--every", type=int, default=4, help="seconds between a job's slots (4)")
    parser.add_argument("--seed", type=int, default=1, help="of who is killed and paused (1)")
    words = parser.parse_args()
    wish = Wish(seconds=words.seconds, jobs=words.jobs, every_seconds=words.every, seed=words.seed)
    with tempfile.TemporaryDirectory(prefix="interlock-campaign-") as folder, running_world(Path(folder)) as world:
        outcome = run(world, wish, say)
    sys.stdout.write(table(outcome))
    slots = outcome.verdict.slots
    if not outcome.verdict.clean or slots < SLOTS_LEAST:
        sys.exit(f"FAILED: {slots} slots (at least {SLOTS_LEAST}); {outcome.verdict.violations}")


def say(line: str) -> None:
    """Show progress."""
    sys.stderr.write(f"{line}\n")


def table(outcome: Outcome) -> str:
    """Write what happened and what was found."""
    verdict = outcome.verdict
    rows = [
        ("slots that took effect", verdict.slots),
        ("kills -9", outcome.kills),
        ("pauses past the lease", outcome.pauses),
        ("claims that ended no slot (stolen, killed, given back)", verdict.steals),
        ("late writes refused by the fence", outcome.lost),
        ("proposals", verdict.proposals),
        *((f"{effect.lower()}", times) for effect, times in sorted(verdict.effects.items())),
        *((f"VIOLATION {what}" if found else what, len(found)) for what, found in verdict.violations.items()),
        ("seconds until every job had run again", f"{outcome.last_round_seconds:.1f}"),
    ]
    return "".join(f"{name:<58} {value:>8}\n" for name, value in rows)


if __name__ == "__main__":
    main()
