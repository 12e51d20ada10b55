"""`python -m market_service`: reads the settings, refuses to start or serves until a signal."""

import asyncio
import os
import sys

from kernel import logs
from kernel.db_safety import UnsafeDatabaseError
from kernel.environment import SettingsError
from kernel.lifecycle import run
from kernel.rpc.server import ServerRefusal
from market_service.app import serve
from market_service.settings import read_settings

EXIT_REFUSED = 2
EXIT_CUT_SHORT = 1


def main() -> None:
    """Serve; a refusal to start is one line on standard error and exit code 2."""
    logs.configure()
    try:
        settings = read_settings(os.environ)
        run(lambda stop: serve(settings, stop), hidden=not settings.on_loopback)
    except (SettingsError, ServerRefusal, UnsafeDatabaseError, OSError) as refusal:
        line = "; ".join(str(refusal).removeprefix("settings refused:\n  ").split("\n  "))
        print("market_service does not start:", line, file=sys.stderr)  # noqa: T201 - there is no service yet to log
        sys.exit(EXIT_REFUSED)
    except asyncio.CancelledError:
        logs.log("stopped_by_second_signal", level=logs.WARNING)
        sys.exit(EXIT_CUT_SHORT)


if __name__ == "__main__":
    main()
