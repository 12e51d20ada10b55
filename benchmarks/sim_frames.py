"""Book frames per second that the simulated exchange tells to fifty sockets on one core.

``python -m benchmarks.sim_frames`` starts the simulator bound to one core with as many markets as the real one has, all
lively, and fifty sockets that hear all of their books, read on another core. A frame counts once when all fifty
got it: the figure is frames told to the slowest socket of the fifty in a second. It prints the median and the spread of
the rounds, and the simulator's share of its core: where other programs want the core too, frames for each second of its
processor time are the figure that compares. The readers look at frame headers only, so that the simulator is what is
measured; the last frame of each socket is read as JSON, and a socket that was cut off ends the bench.
"""

import argparse
import asyncio
import base64
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast
from urllib.request import Request, urlopen

import orjson
import uvloop

from benchmarks import cpu

SOCKETS: Final = 50
MARKETS: Final = 437
ROUNDS: Final = 5
ROUND_S: Final = 3.0
WARM_UP_S: Final = 1.0
START_TIMEOUT_S: Final = 20
# Steps of the markets' life, times 20 a second: most markets have changed whenever a batch ends.
SPEED: Final = 200.0
AIM_PER_SECOND: Final = 2_000
LENGTH_16_BIT: Final = 126
LENGTH_64_BIT: Final = 127
TEXT: Final = 0x81


@dataclass(slots=True)
class Reader(asyncio.Protocol):
    """One socket: counts text frames by their headers, and keeps the last one's text."""

    hello: bytes
    frames: int = 0
    last: bytes = b""
    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    is_lost: bool = False
    _rest: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Shake hands and subscribe in one piece."""
        cast("asyncio.Transport", transport).write(self.hello)

    def connection_lost(self, _: Exception | None) -> None:
        """Remember a socket that was cut off."""
        self.is_lost = True

    def data_received(self, arrived: bytes) -> None:
        """Count the frames that are whole."""
        buffer = self._rest + arrived
        if not self.is_open.is_set():
            _, found, buffer = buffer.partition(b"\r\n\r\n")
            if not found:
                self._rest = self._rest + arrived
                return
            self.is_open.set()
        position, size = 0, len(buffer)
        while position + 2 <= size:
            length, start = buffer[position + 1], position + 2
            if length == LENGTH_16_BIT:
                length, start = int.from_bytes(buffer[start : start + 2], "big"), start + 2
            elif length == LENGTH_64_BIT:
                length, start = int.from_bytes(buffer[start : start + 8], "big"), start + 8
            if start + length > size:
                break
            if buffer[position] == TEXT:
                self.frames += 1
                self.last = buffer[start : start + length]
            position = start + length
        self._rest = buffer[position:]


@dataclass(frozen=True, slots=True)
class Round:
    """Frames a second to the slowest socket, to all together, and the simulator's share of its core."""

    per_socket: float
    in_all: float
    share: float


def main() -> int:
    """Measure and print; 1 when the aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=ROUND_S)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        ready = Path(place) / "ready"
        words = [sys.executable, "-m", "exchange_sim", "--port", "0", "--markets", str(MARKETS), "--speed", str(SPEED)]
        words += ["--ready-file", str(ready)]
        cores = sorted(os.sched_getaffinity(0))
        with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
            try:
                os.sched_setaffinity(process.pid, {cores[0]})
                os.sched_setaffinity(0, {cores[-1]})
                address = _wait_for(ready, process)
                rounds = uvloop.run(_measure(address, process.pid, arguments.rounds, arguments.seconds))
            finally:
                process.terminate()
                process.wait(START_TIMEOUT_S)
    return _print(rounds, len(cores))


async def _measure(address: str, process: int, rounds: int, seconds: float) -> list[Round]:
    host, _, port = address.removeprefix("http://").partition(":")
    hello = _hello(host, address)
    loop = asyncio.get_running_loop()
    readers = [(await loop.create_connection(lambda: Reader(hello), host, int(port)))[1] for _ in range(SOCKETS)]
    for reader in readers:
        await asyncio.wait_for(reader.is_open.wait(), START_TIMEOUT_S)
    await asyncio.sleep(WARM_UP_S)
    found = []
    for _ in range(rounds):
        before, cpu_s, start_s = [reader.frames for reader in readers], cpu.seconds_of(process), time.perf_counter()
        await asyncio.sleep(seconds)
        took_s, spent_s = time.perf_counter() - start_s, cpu.seconds_of(process) - cpu_s
        counts = [reader.frames - number for reader, number in zip(readers, before, strict=True)]
        found.append(Round(min(counts) / took_s, sum(counts) / took_s, spent_s / took_s))
    for reader in readers:
        event = orjson.loads(reader.last)
        if reader.is_lost or event["event"] != "book":
            raise SystemExit("a socket was cut off, or heard something else")
    return found


def _hello(host: str, address: str) -> bytes:
    """A handshake and, behind it, the masked frame that subscribes to all books (a mask of zeros changes nothing)."""
    with urlopen(Request(f"{address}/v2/markets")) as answer:  # noqa: S310  a loopback address of our own process
        markets = [row["market"] for row in orjson.loads(answer.read())]
    text = orjson.dumps({"action": "subscribe", "channels": [{"name": "book", "markets": markets}]})
    frame = bytes((TEXT, 0x80 | LENGTH_16_BIT)) + len(text).to_bytes(2, "big") + bytes(4) + text
    key = base64.b64encode(os.urandom(16)).decode()
    lines = ["GET /v2/ HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
    return "\r\n".join(lines).encode() + frame


def _wait_for(ready: Path, process: subprocess.Popen[bytes]) -> str:
    end_s = time.monotonic() + START_TIMEOUT_S
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > end_s:
            raise SystemExit("the simulator did not start")
        time.sleep(0.02)
    return ready.read_text().strip()


def _print(rounds: list[Round], cores: int) -> int:
    per_socket = [each.per_socket for each in rounds]
    median = statistics.median(per_socket)
    print(f"{SOCKETS} sockets, {MARKETS} markets, {len(rounds)} rounds, simulator on one of {cores} cores")
    print(f"book frames/s to each socket: {median:,.0f} ({min(per_socket):,.0f} to {max(per_socket):,.0f})")
    print(f"frames/s to all together:     {statistics.median(each.in_all for each in rounds):,.0f}")
    print(f"simulator's share of its core: {statistics.median(each.share for each in rounds):.0%}")
    whole_core = statistics.median(each.per_socket / each.share for each in rounds)
    print(f"frames/s to each socket for each second of its processor time: {whole_core:,.0f} (aim {AIM_PER_SECOND:,})")
    return 0 if max(median, whole_core) >= AIM_PER_SECOND else 1


if __name__ == "__main__":
    sys.exit(main())
