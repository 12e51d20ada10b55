"""`python -m attest market|trade [--every 1h] [--lenient]` and `python -m attest check market|trade [--lenient]`.

Exit codes: 0 proved (or stopped by a signal, with --every), 1 refused, 2 wrong settings, 3 inconclusive.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from attest.rounds import attest_for_ever, attest_once
from attest.screen import table
from attest.settings import read_directory, read_settings
from kernel import logs
from kernel.attestation import Attestation, Outcome, Role, judge_alone, path_of
from kernel.attestation_watch import read_written
from kernel.environment import Environment, SettingsError
from kernel.lifecycle import run
from kernel.secret import SecretFileError

EXIT_GOOD: Final = 0
EXIT_REFUSED: Final = 1
EXIT_SETTINGS: Final = 2
EXIT_INCONCLUSIVE: Final = 3
EXITS: Final[Mapping[Outcome, int]] = MappingProxyType(
    {Outcome.PROVED: EXIT_GOOD, Outcome.REFUSED: EXIT_REFUSED, Outcome.INCONCLUSIVE: EXIT_INCONCLUSIVE}
)
EVERY_SECONDS_MIN: Final = 60.0
EVERY_SECONDS_MAX: Final = 7_200.0
"""A service takes an attestation for too old after two and a half hours."""


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
    logs.configure()
    arguments = _arguments(words)
    try:
        return _check(arguments) if arguments.role == "check" else _attest(arguments)
    except (SettingsError, SecretFileError, OSError) as refusal:
        line = "; ".join(str(refusal).removeprefix("settings refused:\n  ").split("\n  "))
        print("attest does not start:", line, file=sys.stderr)
        return EXIT_SETTINGS


def _attest(arguments: argparse.Namespace) -> int:
    strict, every = not arguments.lenient, _every_seconds(arguments.every)
    settings = read_settings(os.environ, Role(arguments.role))
    outcomes: list[Outcome] = []

    def show(attestation: Attestation) -> None:
        print(table(attestation, strict=strict), flush=True)

    async def once(_stop: asyncio.Event) -> None:
        outcomes.append(await attest_once(settings, show, strict=strict))

    async def for_ever(stop: asyncio.Event) -> None:
        await attest_for_ever(settings, show, stop, strict=strict, every_seconds=every)

    if not strict:
        logs.log("lenient", level=logs.WARNING, meaning="what is not proved is written as INCONCLUSIVE, not refused")
    run(for_ever if every else once, hidden=True)
    return EXITS[outcomes[0]] if outcomes else EXIT_GOOD


def _check(arguments: argparse.Namespace) -> int:
    """Look at what is written: proved and young enough?"""
    env = Environment()
    directory = read_directory(env)
    env.finish()
    role = Role(arguments.of)
    written = read_written(path_of(directory, role))
    doubt = judge_alone(written, role=role, now=datetime.now(UTC), strict=not arguments.lenient)
    print(f"{role}: {doubt.finding}: {doubt.message}" if doubt else f"{role}: attested")
    return EXIT_REFUSED if doubt else EXIT_GOOD


def _every_seconds(text: str) -> float:
    if not text:
        return 0.0
    env = Environment({"--every": text})
    seconds = env.duration("--every", low=EVERY_SECONDS_MIN, high=EVERY_SECONDS_MAX)
    env.finish()
    return seconds


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="attest", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    roles = parser.add_subparsers(dest="role", required=True)
    for role in Role:
        one = roles.add_parser(role.value, help=f"attest the key of {role}_service")
        one.add_argument("--every", default="", help="attest again at this interval, such as 1h, until a signal")
        one.add_argument("--lenient", action="store_true", help="write what proves nothing as INCONCLUSIVE")
    check = roles.add_parser("check", help="say whether what is written is proved and young enough")
    check.add_argument("of", choices=[role.value for role in Role])
    check.add_argument("--lenient", action="store_true", help="accept INCONCLUSIVE")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
