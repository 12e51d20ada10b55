"""How a service's process lives: one main coroutine, a stop signal, background loops that never die silently.

def main() -> None:
    run(serve, hidden=True)

async def serve(stop: asyncio.Event) -> None:
    async with Loops() as loops:
        loops.start("reconcile", reconcile_forever)
        await stop.wait()
"""

import asyncio
import ctypes
import gc
import resource
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Final, Self

from kernel import logs
from kernel.alarms import raise_alarm

FIRST_BACKOFF_SECONDS: Final = 0.1
MAX_BACKOFF_SECONDS: Final = 30.0
HEALTHY_AFTER_SECONDS: Final = 60.0
"""A loop that ran this long before it failed starts again with the first back-off."""
STOP_SECONDS: Final = 10.0
YOUNG_OBJECTS: Final = 10_000
"""Objects made and not dropped before the garbage collector looks at them. Python's own 700 is less than a message to
each of a hundred readers needs: at each such message it looked through what was all in use."""
PR_SET_DUMPABLE: Final = 4
"""https://man7.org/linux/man-pages/man2/PR_SET_DUMPABLE.2const.html"""
LOOP_CRASHED: Final = "LOOP_CRASHED"

Loop = Callable[[], Awaitable[None]]
Main = Callable[[asyncio.Event], Awaitable[None]]


def run(main: Main, *, hidden: bool) -> None:
    """Run `main` to its end, on uvloop where there is one; SIGTERM and SIGINT set the event it is given.

    A second signal cancels it. `kernel.logs.configure` is the caller's to call first. A crash leaves no core file:
    the process's memory holds keys. `hidden`: nor may another process of the same account look into its memory, its
    environment or its open files; root still can. What the imports built, a hundred thousand objects, is left out of
    garbage collections: each full one stopped every call for 30 ms.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if hidden:
        _hide()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_supervised(main))


def _hide() -> None:
    if sys.platform == "linux" and ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0):
        raise OSError(ctypes.get_errno(), "the kernel did not hide the memory of this process")


class Loops:
    """Owns background loops by name: one that crashes is logged, alarmed and started again; leaving stops them all."""

    def __init__(self) -> None:
        """Own nothing yet."""
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, loop: Loop) -> None:
        """Start `loop`, a coroutine function that runs until cancelled; one that returns is finished.

        Raises:
            ValueError: a loop of that name is running.
        """
        if name in self._tasks and not self._tasks[name].done():
            message = f"the loop {name} is running already"
            raise ValueError(message)
        self._tasks[name] = asyncio.create_task(_keep_running(name, loop), name=name)

    def names(self) -> frozenset[str]:
        """Return the names of the loops that run now."""
        return frozenset(name for name, task in self._tasks.items() if not task.done())

    async def stop(self) -> None:
        """Cancel every loop and wait, at most ten seconds, until each has cleaned up."""
        running = [task for task in self._tasks.values() if not task.done()]
        for task in running:
            task.cancel()
        if not running:
            return
        _, stuck = await asyncio.wait(running, timeout=STOP_SECONDS)
        for task in stuck:
            logs.log("loop_stuck", level=logs.ERROR, loop=task.get_name(), seconds=STOP_SECONDS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


async def _keep_running(name: str, loop: Loop) -> None:
    backoff_seconds = FIRST_BACKOFF_SECONDS
    while True:
        started = time.monotonic()
        try:
            await loop()
        except Exception as error:  # noqa: BLE001 - a loop outlives whatever goes wrong in one of its rounds
            if time.monotonic() - started >= HEALTHY_AFTER_SECONDS:
                backoff_seconds = FIRST_BACKOFF_SECONDS
            _tell(name, error, backoff_seconds)
        else:
            logs.log("loop_finished", loop=name)
            return
        await asyncio.sleep(backoff_seconds)
        backoff_seconds = min(backoff_seconds * 2, MAX_BACKOFF_SECONDS)


def _tell(name: str, error: Exception, backoff_seconds: float) -> None:
    logs.log("loop_crashed", level=logs.ERROR, error=error, loop=name, restart_in_seconds=backoff_seconds)
    raise_alarm(LOOP_CRASHED, f"the loop {name} crashed and is started again", subject=name)


async def _supervised(main: Main) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    task = asyncio.current_task()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, _on_signal, each, stop, task)
    try:
        await main(stop)
    finally:
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)


def _on_signal(number: signal.Signals, stop: asyncio.Event, task: "asyncio.Task[None] | None") -> None:
    logs.log("signal", signal=number.name, again=stop.is_set())
    if stop.is_set() and task is not None:
        task.cancel()
    stop.set()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - optional: absent on Windows and PyPy, and 10 to 20 % of throughput here
    except ImportError:
        return None
    return uvloop.new_event_loop
