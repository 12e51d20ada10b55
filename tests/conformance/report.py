"""What one client program finds out, told to the runner as one JSON line a call."""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

# Whatever a client or the exchange answered.
Answer = Any

PASS, FAIL, CLIENT = "pass", "fail", "client"
LONGEST_NOTE = 300


def settings() -> dict[str, str]:
    """Addresses and credentials as the runner gave them."""
    found: dict[str, str] = json.loads(os.environ["CONFORMANCE"])
    return found


class Report:
    """Runs calls and tells of each whether its result means what it should."""

    def check(self, call: str, run: Callable[[], Answer], good: Callable[[Answer], bool]) -> Answer:
        """Run a call; it passes when its result is good, and fails when it is not or when anything is raised."""
        found: Answer = None
        try:
            found = run()
            passed = bool(good(found))
        except Exception as problem:  # noqa: BLE001  an unknown client may raise anything
            self.tell(call, FAIL, f"{type(problem).__name__}: {problem}"[:LONGEST_NOTE])
            return found
        self.tell(call, PASS if passed else FAIL, "" if passed else f"unexpected: {found}"[:LONGEST_NOTE])
        return found

    def broken(self, call: str, reason: str, *, shown: bool, proved: bool) -> None:
        """Tell of a call that the client itself cannot make: its fault was shown, and the exchange's part proved."""
        if shown and proved:
            self.tell(call, CLIENT, reason)
        else:
            self.tell(call, FAIL, f"thought broken in the client, but: shown {shown}, proved {proved}")

    def tell(self, call: str, outcome: str, note: str = "") -> None:
        """Print one line for the runner."""
        sys.stdout.write(json.dumps({"call": call, "outcome": outcome, "note": note}) + "\n")
        sys.stdout.flush()


def until(good: Callable[[], Answer], seconds: float = 5.0) -> Answer:
    """Wait until something is true, and give it."""
    end = time.monotonic() + seconds
    while not (found := good()):
        if time.monotonic() > end:
            raise TimeoutError(f"nothing within {seconds} s")
        time.sleep(0.02)
    return found
