"""`python -m standalone demo`: the main job on real parts, printed from real answers; exit code 0 if all holds."""

import subprocess
import sys
from pathlib import Path

from standalone.address_file import remove_addresses, write_addresses
from standalone.client import Client
from standalone.demo_crash import crash_between_commit_and_answer
from standalone.demo_steps import denied_with_every_reason, executed_once, kill_switch, market_not_allowed, repeated
from standalone.folder_lock import FolderLock
from standalone.process import ROOT
from standalone.screen import Stopwatch, say, title
from standalone.stage import ClaimFailedError, Stage, require
from standalone.system import System

DATABASE = "interlock_demo"
SEND_WINDOW = "2s"
"""The shortest there is: an order without an answer is looked up two seconds after its window."""
LEDGER_TIMEOUT_SECONDS = 30.0


def demo(folder: Path, recording: Path | None) -> int:
    """Start everything on empty databases and free ports, show the main job, stop everything; returns the exit code."""
    lock = FolderLock(folder)
    lock.take()
    watch = Stopwatch()
    say("Starting PostgreSQL, a simulated exchange, market_service and trade_service:")
    system = System.start(
        folder,
        progress=watch.say,
        recording=recording,
        trade_env={"TRADE_SEND_WINDOW": SEND_WINDOW},
        database=DATABASE,
        fresh=True,
    )
    try:
        write_addresses(folder, system)
        broken = _perform(system)
    finally:
        remove_addresses(folder)
        system.stop()
        lock.release()
    verdict = f"BROKEN: this does not hold: {broken}." if broken else "All of it holds."
    say(f"\n{verdict} {watch.seconds():.1f} s in total.")
    return 1 if broken else 0


def _perform(system: System) -> str:
    """Show every step; returns the claim that did not hold, empty when all did."""
    stage = Stage(system, Client(system.market.address, system.trade[0].address))
    try:
        _steps(stage)
    except ClaimFailedError as claim:
        return str(claim)
    finally:
        stage.client.close()
    return ""


def _steps(stage: Stage) -> None:
    title(1, "A proposal that breaks several rules: denied, with every reason")
    denied_with_every_reason(stage)
    title(2, "A proposal submitted, approved by another person, executed")
    proposal = executed_once(stage)
    title(3, "The same call again")
    repeated(stage, proposal)
    title(4, "trade_service crashes between its commit and the exchange's answer")
    crash_between_commit_and_answer(stage)
    title(5, "A market that the allowlist lacks")
    market_not_allowed(stage)
    title(6, "The kill switch")
    kill_switch(stage)
    title(7, "The exchange's ledger beside the database, read by another process")
    _compare_in_another_process(stage.system.folder)


def _compare_in_another_process(folder: Path) -> None:
    words = [sys.executable, "-m", "standalone", "ledger", "--folder", str(folder)]
    done = subprocess.run(words, check=False, cwd=ROOT, timeout=LEDGER_TIMEOUT_SECONDS)
    require(done.returncode == 0, "one POST and one order for each proposal executed, and no other")
