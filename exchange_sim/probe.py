"""Asks a running simulator for its time, as a health check: `python -m exchange_sim.probe https://HOST:PORT ca.pem`."""

import ssl
import sys
from urllib.error import URLError
from urllib.request import urlopen

DEADLINE_S = 3


def main() -> int:
    """Return 0 when it answers, 1 otherwise, with a line that says why."""
    address, *authorities = sys.argv[1:]
    context = ssl.create_default_context(cafile=authorities[0]) if authorities else None
    try:
        with urlopen(f"{address}/v2/time", timeout=DEADLINE_S, context=context) as answer:  # noqa: S310  http or https
            return 0 if answer.status == 200 else 1  # noqa: PLR2004  OK
    except (URLError, OSError) as error:
        sys.stderr.write(f"{address} does not answer: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
