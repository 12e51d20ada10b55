"""`python -m tests.mutants`: take each mechanism out in turn and show which test notices.

Exit 1 when a mutant survives, the one that takes nothing out is killed, or a failure is no assertion.
"""

import argparse
import sys
import time
from collections.abc import Sequence

from tests.fixtures.database import running_server
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant, StaleMutantError
from tests.mutants.trial import Trial, copied_tree, require_own_code, try_mutant

WIDTH = 100


def main() -> int:
    """Try the mutants asked for; return the exit code."""
    names = {mutant.name: mutant for mutant in MUTANTS}
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--list", action="store_true", help="name the mutants and stop")
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help="try this one; may be repeated")
    arguments = parser.parse_args()
    if arguments.list:
        say("\n".join(f"{mutant.name:<38} {mutant.removes}" for mutant in MUTANTS))
        return 0
    return try_all([names[name] for name in arguments.only or names])


def try_all(mutants: Sequence[Mutant]) -> int:
    """Try each in one copy of the tree against one server; say what happens as it happens."""
    trials = []
    started = time.monotonic()
    say(f"{len(mutants)} mutants; starting a database and copying the tree")
    try:
        with running_server() as dsn, copied_tree() as tree:
            require_own_code(tree)
            for number, mutant in enumerate(mutants, 1):
                say(f"\n[{number}/{len(mutants)}] {mutant.name}: without {mutant.removes}\n      {mutant.test}")
                trials.append(try_mutant(tree, mutant, dsn))
                tell(trials[-1])
    except StaleMutantError as stale:
        say(f"\n{stale}\nThe code has moved on: bring tests/mutants/catalogue.py after it.")
        return 1
    return conclude(trials, time.monotonic() - started)


def tell(trial: Trial) -> None:
    """Show one trial: the change, what the test said, the verdict."""
    say("\n".join(f"    {line[:WIDTH]}" for line in trial.diff.splitlines()))
    say("\n".join(f"  > {line[:WIDTH]}" for line in trial.said) if trial.said else "  > every test passed")
    say(f"  = {trial.verdict.upper()} in {trial.seconds:.1f} s")


def conclude(trials: Sequence[Trial], seconds: float) -> int:
    """Show all verdicts; 0 when each is as wanted."""
    say("\n" + "-" * WIDTH)
    for trial in trials:
        mark = "ok " if trial.as_wanted else "BAD"
        say(f"{mark} {trial.mutant.name:<38} {trial.verdict:<9} {trial.seconds:5.1f} s  {trial.mutant.test[-60:]}")
    bad = [trial for trial in trials if not trial.as_wanted]
    say(f"{len(trials) - len(bad)} of {len(trials)} as wanted in {seconds:.0f} s")
    return 1 if bad else 0


def say(text: str) -> None:
    """Write at once: someone is watching."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
