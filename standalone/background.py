"""`python -m standalone up` and `down`: the system in the background, kept by a process of its own (`serve`).

The keeper holds a lock on the folder as long as it lives, so a stale pid file can mislead nobody. If the keeper is
killed, Linux ends its children.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from standalone.address_file import read_addresses, remove_addresses, write_addresses
from standalone.folder_lock import FolderLock, holder
from standalone.ports import ANY, FIXED
from standalone.process import ROOT
from standalone.screen import Stopwatch, say
from standalone.system import System

UP_TIMEOUT_SECONDS = 180.0
"""Longer than all the starts it waits for together; they have bounds of their own."""
DOWN_TIMEOUT_SECONDS = 150.0
POLL_SECONDS = 0.05
WATCH_SECONDS = 1.0
LOG_NAME = "up.log"


def up(folder: Path, recording: Path | None, *, any_ports: bool, tls: bool = False) -> int:
    """Start the system in the background and wait until it is ready; returns the exit code."""
    if holder(folder) is not None:
        addresses = read_addresses(folder)
        say(f"It is up already: {folder}/interlock.json" if addresses else "It is starting or stopping just now.")
        return 0
    remove_addresses(folder)
    log = folder / "logs" / LOG_NAME
    log.parent.mkdir(parents=True, exist_ok=True)
    keeper = _start_keeper(folder, recording, log, any_ports=any_ports, tls=tls)
    try:
        ready = _follow(keeper, folder, log)
    except BaseException:
        keeper.terminate()
        keeper.wait()
        raise
    if ready:
        _say_what_next(folder)
    return 0 if ready else 1


def down(folder: Path) -> int:
    """Stop what `up` started and wait until it is gone; returns the exit code. Nothing to stop is a success."""
    pid = holder(folder)
    if pid is None:
        remove_addresses(folder)
        say("Nothing runs.")
        return 0
    if not _is_keeper(pid):
        say(f"Process {pid} holds {folder} and was not started by `up`; stop it where it was started.")
        return 1
    watch = Stopwatch()
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    while holder(folder) == pid:
        if watch.seconds() > DOWN_TIMEOUT_SECONDS:
            os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_SECONDS)
    say(f"Stopped in {watch.seconds():.1f} s; data, secrets and logs stay in {folder}.")
    return 0


def serve(folder: Path, recording: Path | None, *, any_ports: bool, tls: bool = False) -> int:
    """Keep the system until SIGTERM or Ctrl-C; what `up` runs in the background."""
    interrupt_at_sigterm()
    lock = FolderLock(folder)
    lock.take()
    watch = Stopwatch()
    with suppress(KeyboardInterrupt):
        ports = ANY if any_ports else FIXED
        system = System.start(folder, ports=ports, recording=recording, progress=watch.say, tls=tls)
        try:
            write_addresses(folder, system)
            watch.say("ready")
            _watch(system)
        finally:
            remove_addresses(folder)
            system.stop()
            watch.say("stopped")
    return 0


def interrupt_at_sigterm() -> None:
    """Make SIGTERM end this process as Ctrl-C does: what it started is stopped in order."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _watch(system: System) -> None:
    told: set[str] = set()
    while True:
        time.sleep(WATCH_SECONDS)
        for line in system.ended():
            if line not in told:
                say(line)
                told.add(line)


def _start_keeper(
    folder: Path, recording: Path | None, log: Path, *, any_ports: bool, tls: bool
) -> subprocess.Popen[bytes]:
    words = ["serve", "--folder", str(folder.absolute())]
    words += ["--recording", str(recording.absolute())] if recording else []
    words += ["--any-ports"] if any_ports else []
    words += ["--tls"] if tls else []
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "standalone", *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            start_new_session=True,
        )


def _follow(keeper: subprocess.Popen[bytes], folder: Path, log: Path) -> bool:
    """Show the keeper's lines until it is ready; False when it gave up."""
    watch = Stopwatch()
    with log.open() as lines:
        while watch.seconds() < UP_TIMEOUT_SECONDS:
            ended, ready = keeper.poll() is not None, read_addresses(folder) is not None
            sys.stdout.write(lines.read())
            sys.stdout.flush()
            if ended or ready:
                return ready and not ended
            time.sleep(POLL_SECONDS)
    keeper.terminate()
    keeper.wait()
    say(f"It did not become ready within {UP_TIMEOUT_SECONDS:.0f} s; see {log}.")
    return False


def _say_what_next(folder: Path) -> None:
    addresses = read_addresses(folder) or {}
    grpcurl = os.path.relpath(Path(sys.executable).parent / "grpcurl")
    tls = addresses.get("tls")
    how = f"-cacert {tls['ca']} -cert {tls['cert']} -key {tls['key']}" if tls else "-plaintext"
    order = (
        '"terms": {"market": "BTC-EUR", "side": "SIDE_BUY", "order_type": "ORDER_TYPE_MARKET", "quote_amount": "50"}'
    )
    say(f"""
Addresses and database URLs are in {os.path.relpath(folder / "interlock.json")}; logs in {os.path.relpath(folder)}/logs.
Place an order, then repeat it and see `"replayed": true`:

  {grpcurl} {how} -d '{{"user_id": "alice", "proposal_id": "{uuid4()}",
    "confidence": 75, {order}}}' \\
    {addresses["trade"]} trade.v1.TradeService/PlaceOrder

Stop everything with `make down`.""")


def _is_keeper(pid: int) -> bool:
    """Say whether that process is a keeper of ours; where there is no /proc the lock alone says so."""
    command_line = Path(f"/proc/{pid}/cmdline")
    if not Path("/proc/self").exists():
        return True
    with suppress(OSError):
        words = command_line.read_bytes().split(b"\0")
        return b"standalone" in words and b"serve" in words
    return False
