"""`interlock certs dev`: reads the command line, runs one command, says what is wrong in one line."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cli.certs import CertsRefusal, make_development_certificates

EXIT_REFUSED = 2


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0 done, 2 refused."""
    arguments = read_arguments(sys.argv[1:] if words is None else words)
    try:
        print(make_development_certificates(arguments.out, arguments.client, arguments.host))
    except CertsRefusal as refusal:
        print(f"interlock: {refusal}", file=sys.stderr)
        return EXIT_REFUSED
    return 0


def read_arguments(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="interlock", description="Operates Interlock from a shell.")
    commands = parser.add_subparsers(dest="command", required=True)
    certs = commands.add_parser("certs", help="certificates").add_subparsers(dest="certs", required=True)
    dev = certs.add_parser(
        "dev",
        help="make a development CA and certificates of both services, the simulator and clients, or renew them",
        description="The CA's key lies beside the certificates: for development and tests, never for production.",
    )
    dev.add_argument("--out", type=Path, required=True, help="a folder; one folder per certificate is made in it")
    dev.add_argument("--client", action="append", default=[], metavar="NAME", help="a client; may be repeated")
    dev.add_argument(
        "--host", action="append", default=[], metavar="NAME", help="a further name or IP address of the servers"
    )
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
