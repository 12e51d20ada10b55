"""Order requests per second that the simulated exchange answers on one core, through real HTTP.

``python -m benchmarks.sim`` starts the simulator as a process of its own, bound to one core, and sends it signed limit
orders that rest, are canceled, or trade, over keep-alive connections from a client on another core. The requests are
signed and written before the clock starts, and the client only counts complete answers, so that the simulator is what
is measured. It prints the median and the spread of the rounds; the simulator's share of its core says whether the
client kept it busy.
"""

import argparse
import asyncio
import hmac
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
import uvloop

from benchmarks import cpu

KEY: Final = "k" * 64
SECRET: Final = b"s" * 128
ROUNDS: Final = 5
REQUESTS_PER_ROUND: Final = 6_000
CONNECTIONS: Final = 16
START_TIMEOUT_S: Final = 20
WINDOW_MS: Final = 60_000
AIM_PER_SECOND: Final = 3_000
# The work of a round: each pattern as (side, order type, price, amount); cancels take back the resting orders.
RESTING: Final = ("buy", "limit", "40000", "0.001")
TRADING: Final = ("buy", "limit", "90000", "0.001")


@dataclass(frozen=True, slots=True)
class Round:
    """One round: what was asked, answers a second, and how much of its core the simulator used."""

    name: str
    per_second: float
    busy: float


def main() -> int:
    """Start the simulator, run all rounds, print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--requests", type=int, default=REQUESTS_PER_ROUND)
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready"
        words = [
            sys.executable,
            "-m",
            "exchange_sim",
            "--port",
            "0",
            "--still",
            "--markets",
            "1",
            "--ready-file",
            str(ready),
        ]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        try:
            os.sched_setaffinity(process.pid, {cores[0]})
            os.sched_setaffinity(0, {cores[-1]})
            rounds = uvloop.run(measure(read_port(ready), process.pid, arguments.rounds, arguments.requests))
        finally:
            process.terminate()
            process.wait()
    return report(rounds)


def read_port(ready: Path) -> int:
    """The simulator's port, once it listens."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not ready.exists():
        if time.monotonic() > deadline:
            raise TimeoutError("the simulator did not start")
        time.sleep(0.02)
    return int(ready.read_text().strip().rpartition(":")[2])


async def measure(port: int, pid: int, rounds: int, requests: int) -> list[Round]:
    """Run each kind of work in turn, `rounds` times."""
    await prepare(port)
    found = []
    for _ in range(rounds):
        for name, pattern in (("orders that rest", RESTING), ("orders that trade", TRADING)):
            found.append(await run_round(name, port, pid, [order(pattern) for _ in range(requests)]))
        found.append(await run_round("orders and their cancels", port, pid, paired(requests)))
        await cancel_all(port)
    return found


async def prepare(port: int) -> None:
    """An account with money, no limits, a deep book that comes back."""
    balances: object = {"EUR": "100000000000", "BTC": "1000000"}
    wish: dict[str, object] = {
        "key": KEY,
        "secret": SECRET.decode(),
        "account": "bench",
        "rights": ["view", "trade"],
        "balances": balances,
    }
    await admin(port, "accounts", wish)
    await admin(port, "limits", {"points_per_minute": 1_000_000_000})
    await admin(port, "market", {"market": "BTC-EUR", "maxOpenOrders": None})


async def run_round(name: str, port: int, pid: int, requests: list[bytes]) -> Round:
    """Send all requests over the connections, one at a time on each, and count the answers."""
    batches = [requests[number::CONNECTIONS] for number in range(CONNECTIONS)]
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in batches]
    began, used = time.perf_counter(), cpu.seconds_of(pid)
    await asyncio.gather(*(exchange(stream, batch) for stream, batch in zip(streams, batches, strict=True)))
    took = time.perf_counter() - began
    busy = (cpu.seconds_of(pid) - used) / took
    for _, writer in streams:
        writer.close()
    return Round(name, len(requests) / took, busy)


async def exchange(stream: tuple[asyncio.StreamReader, asyncio.StreamWriter], requests: list[bytes]) -> None:
    """Send requests one after the other and read each answer whole."""
    reader, writer = stream
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError((head + await reader.read(2_000)).decode())
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)


def order(pattern: tuple[str, str, str, str], client_order_id: str | None = None) -> bytes:
    """A signed create."""
    side, order_type, price, amount = pattern
    body = {
        "market": "BTC-EUR",
        "side": side,
        "orderType": order_type,
        "operatorId": 1,
        "amount": amount,
        "price": price,
    }
    if client_order_id is not None:
        body["clientOrderId"] = client_order_id
    return signed("POST", "/v2/order", orjson.dumps(body))


def paired(requests: int) -> list[bytes]:
    """Creates, each followed on the same connection by its cancel."""
    found: list[bytes] = [b""] * requests
    for number in range(0, requests - 2 * CONNECTIONS + 1, 2 * CONNECTIONS):
        for lane in range(CONNECTIONS):
            client_id = f"00000000-0000-4000-8000-{time.time_ns() % 16**12:012x}"
            found[number + lane] = order(RESTING, client_id)
            target = f"/v2/order?market=BTC-EUR&operatorId=1&clientOrderId={client_id}"
            found[number + CONNECTIONS + lane] = signed("DELETE", target, b"")
    return [each for each in found if each]


def signed(method: str, target: str, body: bytes) -> bytes:
    """A whole HTTP request with its signature."""
    now_ms = str(time.time_ns() // 1_000_000)
    signature = hmac.new(SECRET, f"{now_ms}{method}{target}".encode() + body, "sha256").hexdigest()
    head = (
        f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Bitvavo-Access-Key: {KEY}\r\nBitvavo-Access-Signature: {signature}\r\n"
        f"Bitvavo-Access-Timestamp: {now_ms}\r\nBitvavo-Access-Window: {WINDOW_MS}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def cancel_all(port: int) -> None:
    """Take back what rests, so that rounds are alike."""
    stream = await asyncio.open_connection("127.0.0.1", port)
    await exchange(stream, [signed("DELETE", "/v2/orders?market=BTC-EUR&operatorId=1", b"")])
    stream[1].close()


async def admin(port: int, name: str, wish: dict[str, object]) -> None:
    """One admin request."""
    body = orjson.dumps(wish)
    head = f"POST /_sim/{name} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    stream = await asyncio.open_connection("127.0.0.1", port)
    await exchange(stream, [head.encode() + body])
    stream[1].close()


def report(rounds: list[Round]) -> int:
    """Print the medians; the exit status tells whether each reached the aim."""
    reached = True
    print(f"order requests a second on one core, {CONNECTIONS} connections, aim {AIM_PER_SECOND}")
    for name in dict.fromkeys(each.name for each in rounds):
        rates = [each.per_second for each in rounds if each.name == name]
        busy = statistics.median(each.busy for each in rounds if each.name == name)
        middle = statistics.median(rates)
        # What the simulator would reach were it never kept waiting.
        print(
            f"  {name:26} {middle:7.0f}   lowest {min(rates):.0f}, highest {max(rates):.0f};"
            f" the simulator's core {busy:.0%} busy, {middle / busy:.0f} a second of its time"
        )
        reached = reached and middle >= AIM_PER_SECOND
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
