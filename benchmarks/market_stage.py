"""The simulated exchange and a service of market data as processes, and a hand that moves one market steadily."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 30.0
LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Stage:
    """What runs: the service's address and process, and the exchange's address."""

    grpc: str
    pid: int
    exchange: str


@asynccontextmanager
async def stage(program: str = "market_service") -> AsyncIterator[Stage]:
    """Start both and stop them again; `program` is the module that serves."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as processes:
        place = Path(folder)
        sim = ["exchange_sim", "--port", "0", "--still", "--points-per-minute", "1000000", "--ready-file"]
        _start(processes, [*sim, str(place / "sim")], {})
        exchange = (await _ready(place / "sim")).strip()
        service = _start(
            processes,
            [program],
            {
                "BITVAVO_REST_URL": f"{exchange}/v2",
                "MARKET_LISTEN": "127.0.0.1:0",
                "MARKET_METRICS_LISTEN": "127.0.0.1:0",
                "MARKET_READY_FILE": str(place / "market"),
            },
        )
        ports = json.loads(await _ready(place / "market"))
        yield Stage(f"127.0.0.1:{ports['grpc']}", service.pid, exchange)


@asynccontextmanager
async def moving(exchange: str, per_second: float, levels: int) -> AsyncIterator[None]:
    """Let the market change so many times a second, each change told by one frame."""
    with contextlib.ExitStack() as processes:
        _start(processes, ["benchmarks.market_hand", exchange, str(per_second), str(levels)], {})
        yield


def resident_bytes(pid: int) -> int:
    """Return how much memory a process has in use."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _start(processes: contextlib.ExitStack, words: list[str], more: dict[str, str]) -> subprocess.Popen[bytes]:
    ours = ("BITVAVO", "MARKET", "TRADE")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    process = subprocess.Popen([sys.executable, "-m", *words], env=environ | more, stdout=-3, stderr=-3)
    processes.callback(process.wait)
    processes.callback(process.terminate)
    return process


async def _ready(path: Path) -> str:
    ends = time.monotonic() + START_SECONDS
    while not path.exists():  # noqa: ASYNC240 - nothing else runs in this loop yet
        if time.monotonic() > ends:
            raise RuntimeError(f"nothing came to {path.name}")
        await asyncio.sleep(LOOK_SECONDS)
    return path.read_text()  # noqa: ASYNC240
