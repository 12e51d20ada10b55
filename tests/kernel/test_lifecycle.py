"""A process stops when it is asked to, and its background loops never die in silence."""

import asyncio
import gc
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from kernel import lifecycle
from kernel.lifecycle import Loops

Lines = Callable[[], list[dict[str, Any]]]

PROGRAM = """
import asyncio
import ctypes
import gc
import resource
from kernel import logs
from kernel.lifecycle import Loops, run

async def forever():
    try:
        await asyncio.sleep(3600)
    finally:
        logs.log("loop_cleaned_up")

async def main(stop):
    async with Loops() as loops:
        loops.start("forever", forever)
        core = resource.getrlimit(resource.RLIMIT_CORE)
        shown = ctypes.CDLL(None).prctl(PR_GET_DUMPABLE)
        spared, young = gc.get_freeze_count(), gc.get_threshold()[0]
        loop = type(asyncio.get_running_loop()).__module__
        logs.log("up", loop=loop, core=core, shown=shown, spared=spared, young=young)
        await stop.wait()
        logs.log("stopping")
        if STUBBORN:
            await asyncio.sleep(3600)

logs.configure()
run(main, hidden=HIDDEN)
"""


def program(*, stubborn: bool = False, hidden: bool = True) -> str:
    return f"PR_GET_DUMPABLE, STUBBORN, HIDDEN = 3, {stubborn}, {hidden}{PROGRAM}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_process_cleanly(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", program()], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        first = json.loads(process.stderr.readline())
        process.send_signal(number)
        rest = [json.loads(line)["event"] for line in process.stderr]
        assert process.wait(10) == 0
    assert (first["event"], first["loop"], first["core"]) == ("up", "uvloop", [0, 0])
    assert rest == ["signal", "stopping", "loop_cleaned_up"]


def test_garbage_is_looked_for_seldom_and_never_among_what_the_imports_built() -> None:
    with subprocess.Popen([sys.executable, "-c", program()], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        first = json.loads(process.stderr.readline())
        process.terminate()
    assert first["spared"] > 10_000
    assert first["young"] >= 10 * gc.get_threshold()[0]


@pytest.mark.skipif(sys.platform != "linux", reason="a call of Linux")
@pytest.mark.parametrize("hidden", [True, False])
def test_a_process_hides_its_memory_where_it_is_asked_to(*, hidden: bool) -> None:
    with subprocess.Popen([sys.executable, "-c", program(hidden=hidden)], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        first = json.loads(process.stderr.readline())
        process.terminate()
    assert first["shown"] == (0 if hidden else 1)


def test_a_second_signal_ends_what_does_not_stop_by_itself() -> None:
    with subprocess.Popen([sys.executable, "-c", program(stubborn=True)], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        seen = [json.loads(process.stderr.readline())["event"] for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read().decode()
        assert process.wait(10) != 0
    assert seen == ["signal", "stopping"]
    assert "loop_cleaned_up" in rest


async def test_a_loop_that_crashes_is_logged_alarmed_and_started_again(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "FIRST_BACKOFF_SECONDS", 0.01)
    rounds, third = 0, asyncio.Event()

    async def loop() -> None:
        nonlocal rounds
        rounds += 1
        if rounds < 3:
            raise RuntimeError("round failed")
        third.set()
        await asyncio.sleep(3_600)

    async with Loops() as loops:
        loops.start("scratch", loop)
        await asyncio.wait_for(third.wait(), 5)
        assert loops.names() == {"scratch"}
    assert loops.names() == set()
    crashes = [line for line in lines() if line["event"] == "loop_crashed"]
    assert [line["restart_in_seconds"] for line in crashes] == [0.01, 0.02]
    assert crashes[0]["trace"][0] == "RuntimeError: round failed"
    assert [(line["code"], line["subject"]) for line in lines() if line["event"] == "alarm"] == [
        ("LOOP_CRASHED", "scratch")
    ]


async def test_a_loop_that_returns_is_finished_and_its_name_is_free(lines: Lines) -> None:
    async def once() -> None:
        return

    async with Loops() as loops:
        loops.start("once", once)
        await asyncio.sleep(0.02)
        loops.start("once", once)
        with pytest.raises(ValueError, match="running already"):
            loops.start("once", once)
    assert "loop_finished" in {line["event"] for line in lines()}


async def test_stopping_waits_until_each_loop_has_cleaned_up() -> None:
    cleaned = False

    async def loop() -> None:
        nonlocal cleaned
        try:
            await asyncio.sleep(3_600)
        finally:
            await asyncio.sleep(0.05)
            cleaned = True

    async with Loops() as loops:
        loops.start("slow", loop)
        await asyncio.sleep(0.01)
    assert cleaned


async def test_a_loop_that_will_not_stop_is_named_and_left(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "STOP_SECONDS", 0.05)
    release = asyncio.Event()

    async def loop() -> None:
        while not release.is_set():
            try:
                await asyncio.shield(release.wait())
            except asyncio.CancelledError:
                continue

    async with Loops() as loops:
        loops.start("stubborn", loop)
        await asyncio.sleep(0.01)
    assert [line["loop"] for line in lines() if line["event"] == "loop_stuck"] == ["stubborn"]
    release.set()
    await asyncio.sleep(0.02)
