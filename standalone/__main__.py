"""`python -m standalone demo | up | down | serve | ledger`: the whole system on this machine."""

import argparse
import sys
from pathlib import Path

from cli.certs import CertsRefusal
from standalone import background
from standalone.databases import DatabaseSetupError
from standalone.demo import demo
from standalone.folder_lock import FolderInUseError
from standalone.ledger import ledger
from standalone.ports import PortTakenError
from standalone.postgres import PostgresInUseError, PostgresStartError
from standalone.process import ProcessStartError

FOLDER = Path(".local")
REFUSALS = (
    CertsRefusal,
    PortTakenError,
    DatabaseSetupError,
    FolderInUseError,
    PostgresInUseError,
    PostgresStartError,
    ProcessStartError,
)
"""What a person can put right: shown as one message, without a trace."""


def main() -> int:
    """Run the command; returns the exit code."""
    arguments = read_arguments(sys.argv[1:])
    try:
        return run(arguments)
    except REFUSALS as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; everything is stopped\n")
        return 130


def run(arguments: argparse.Namespace) -> int:
    """Run one command."""
    folder, recording = arguments.folder.absolute(), arguments.recording
    match arguments.command:
        case "up":
            return background.up(folder, recording, any_ports=arguments.any_ports, tls=arguments.tls)
        case "serve":
            return background.serve(folder, recording, any_ports=arguments.any_ports, tls=arguments.tls)
        case "down":
            return background.down(folder)
        case "ledger":
            return ledger(folder)
        case _:
            background.interrupt_at_sigterm()
            return demo(folder / "demo", recording)


def read_arguments(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="standalone", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("demo", "show the main job, end to end, in a folder `demo` of its own"),
        ("up", "start everything in the background"),
        ("down", "stop what `up` started"),
        ("serve", "start everything and keep it until Ctrl-C"),
        ("ledger", "compare the exchange's ledger with the database"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--folder", type=Path, default=FOLDER, help="databases, secrets, logs (default .local)")
        command.add_argument("--recording", type=Path, help="start the exchange's market from this file")
        command.add_argument("--any-ports", action="store_true", help="take any free ports, not the documented ones")
        command.add_argument("--tls", action="store_true", help="serve `up` with certificates of a development CA")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
