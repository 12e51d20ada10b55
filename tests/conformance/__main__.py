"""Runs clients that nobody here wrote against the simulated exchange and prints what works: client × call × result.

``python -m tests.conformance`` installs python-bitvavo-api, ccxt and npm's bitvavo into ``.local/conformance`` (pinned
by hash), starts a simulator as a process, and gives each client an account of its own. A call passes when its result
means what it should; where the client itself is broken the table says how, and the program has shown that the
exchange's part is right. Ends with 1 when a call fails that the client can make correctly.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.install import NODE, PYTHON, ROOT, Lacking, install_node, install_python
from tests.conformance.raw import admin
from tests.conformance.report import CLIENT, FAIL, PASS

HERE = Path(__file__).parent
SECRET = "0123456789abcdef" * 8
LONGEST_PROGRAM_S = 180
LONGEST_START_S = 20
PROMPT = {
    "order_read_lag_ms": 0,
    "orders_read_lag_ms": 0,
    "trades_read_lag_ms": 0,
    "cancel_read_lag_ms": 0,
    "closed_order_retention_ms": None,
}
WORDS = {PASS: "pass", CLIENT: "client", FAIL: "FAIL"}
CLIENT_WIDTH, CALL_WIDTH, WIDTH = 26, 34, 100


@dataclass(frozen=True, slots=True)
class Program:
    """One client by one way: its name in the table, and the words that run it."""

    name: str
    words: tuple[str, ...]
    is_node: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    client: str
    call: str
    outcome: str
    note: str


PROGRAMS = {
    "python-rest": Program("python-bitvavo-api REST", (str(PYTHON), "-m", "tests.conformance.python_rest")),
    "python-socket": Program("python-bitvavo-api WS", (str(PYTHON), "-m", "tests.conformance.python_socket")),
    "ccxt-rest": Program("ccxt", (str(PYTHON), "-m", "tests.conformance.ccxt_rest")),
    "ccxt-socket": Program("ccxt.pro", (str(PYTHON), "-m", "tests.conformance.ccxt_socket")),
    "npm-rest": Program("npm bitvavo REST", ("node", str(HERE / "node" / "rest.cjs")), is_node=True),
    "npm-socket": Program("npm bitvavo WS", ("node", str(HERE / "node" / "socket.cjs")), is_node=True),
}


def main() -> int:
    """Install, run, print; 0 when nothing failed."""
    parser = argparse.ArgumentParser(prog="tests.conformance", description=__doc__)
    parser.add_argument("programs", nargs="*", help="some of them; without: all")
    names = parser.parse_args().programs or list(PROGRAMS)
    try:
        _install([PROGRAMS[name] for name in names])
    except Lacking as lacking:
        sys.stderr.write(f"{lacking}\n")
        return 1
    with _simulator() as http:
        admin({"http": http}, "POST", "switches", PROMPT)
        rows = [row for name in names for row in _run(name, PROGRAMS[name], http)]
    _print(rows)
    return 1 if any(row.outcome == FAIL for row in rows) else 0


def _install(programs: list[Program]) -> None:
    if any(not program.is_node for program in programs):
        install_python()
    if any(program.is_node for program in programs):
        install_node()


@contextmanager
def _simulator() -> Iterator[str]:
    """A simulator with a few lively markets; its address."""
    with tempfile.TemporaryDirectory() as place:
        ready = Path(place) / "ready"
        words = [sys.executable, "-m", "exchange_sim", "--port", "0", "--markets", "3", "--ready-file", str(ready)]
        words += ["--points-per-minute", "1000000000"]
        process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            end_s = time.monotonic() + LONGEST_START_S
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > end_s:
                    raise Lacking("the simulator did not start")
                time.sleep(0.02)
            yield ready.read_text().strip()
        finally:
            process.terminate()
            process.wait(LONGEST_START_S)


def _run(name: str, program: Program, http: str) -> Iterator[Row]:
    """Run one program against an account of its own, and read what it tells."""
    key = (name.replace("-", "") + "k" * 64)[:64]
    account = {"key": key, "secret": SECRET, "account": name, "rights": ["view", "trade", "withdraw"]}
    admin({"http": http}, "POST", "accounts", account | {"balances": {"EUR": "100000", "BTC": "5"}})
    given = {"http": http, "rest": f"{http}/v2", "ws": f"{http.replace('http', 'ws', 1)}/v2/", "key": key}
    environment = {"CONFORMANCE": json.dumps(given | {"secret": SECRET}), "PATH": os.environ["PATH"]}
    environment["NODE_PATH"] = str(NODE / "node_modules")
    try:
        done = subprocess.run(
            program.words,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LONGEST_PROGRAM_S,
            check=False,
        )
        said, end = (
            done.stdout,
            f"ended with {done.returncode}: {done.stderr.strip()[-300:]}" if done.returncode else "",
        )
    except subprocess.TimeoutExpired as late:
        said, end = (late.stdout or b"").decode(), f"was still running after {LONGEST_PROGRAM_S} s"
    told = [json.loads(line) for line in said.splitlines() if line.startswith('{"call"')]
    yield from (Row(program.name, each["call"], each["outcome"], each["note"]) for each in told)
    if end or not told:
        yield Row(program.name, "(the program)", FAIL, end or "told nothing")


def _print(rows: list[Row]) -> None:
    lines = [f"{'client':<{CLIENT_WIDTH}}{'call':<{CALL_WIDTH}}result"]
    for row in rows:
        lines.append(f"{row.client:<{CLIENT_WIDTH}}{row.call:<{CALL_WIDTH}}{WORDS[row.outcome]}")
        if row.note:
            lines.append(f"{'':<{CLIENT_WIDTH}}  {row.note}"[: WIDTH if row.outcome != FAIL else None])
    lines += ["", f"{'client':<{CLIENT_WIDTH}}{'pass':>6}{'client broken':>15}{'FAIL':>6}"]
    for name in dict.fromkeys(row.client for row in rows):
        counts = [sum(row.client == name and row.outcome == outcome for row in rows) for outcome in WORDS]
        lines.append(f"{name:<{CLIENT_WIDTH}}{counts[0]:>6}{counts[1]:>15}{counts[2]:>6}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
