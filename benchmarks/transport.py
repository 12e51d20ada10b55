"""POSTs a second through each candidate for the exchange's transport, paired rounds in one run.

``python benchmarks/transport.py`` prints a table for 1, 8 and 32 requests in flight and writes the raw samples to
``benchmarks/transport.samples.json``. A small server in a process of its own answers every POST with an order object.
In each round every candidate sends the same number of requests, in turning order; a ratio is the median over the
rounds of candidate over bare aiohttp, so that the machine's own changes of speed fall out.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import aiohttp
import httpx
from aiohttp import web
from httpx_aiohttp import AiohttpTransport

from bitvavo.client import TradeClient
from bitvavo.endpoints import TRADE_ENDPOINTS
from bitvavo.reply import Accepted
from bitvavo.signing import Credentials
from bitvavo.transport import open_client
from kernel.secret import Secret

IN_FLIGHT: Final = (1, 8, 32)
ROUNDS: Final = 7
REQUESTS_PER_ROUND: Final = 400
WARM_UP_REQUESTS: Final = 64
BODY: Final = b'{"market":"BTC-EUR","side":"buy","orderType":"limit","operatorId":1,"amount":"0.001","price":"50000"}'
CLIENT_ORDER_ID: Final = "0b2f6b1e-8d0a-4c7e-9a4e-2f6f2a4b8c11"
ANSWER: Final = (
    b'{"orderId":"1be6d0df-d5dc-4b53-a250-3376f3b393e6","clientOrderId":"0b2f6b1e-8d0a-4c7e-9a4e-2f6f2a4b8c11",'
    b'"market":"BTC-EUR","created":1795500000000,"updated":1795500000123,"status":"new","side":"buy",'
    b'"orderType":"limit","amount":"0.001","amountRemaining":"0.001","price":"50000","onHold":"50.13",'
    b'"onHoldCurrency":"EUR","filledAmount":"0","filledAmountQuote":"0","feePaid":"0","feeCurrency":"EUR","fills":[],'
    b'"selfTradePrevention":"decrementAndCancel","visible":true,"timeInForce":"GTC","postOnly":false,"operatorId":1}'
)
HEADERS: Final = {"content-type": "application/json", "bitvavo-access-signature": "0" * 64}
SAMPLES: Final = Path(__file__).with_suffix(".samples.json")

Post = Callable[[], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one candidate: requests a second, and latencies in ms."""

    candidate: str
    in_flight: int
    round: int
    per_second: float
    p50_ms: float
    p99_ms: float


@asynccontextmanager
async def bare_aiohttp(url: str) -> AsyncIterator[Post]:
    """Send with aiohttp alone."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:

        async def post() -> int:
            async with session.post(f"{url}/order", data=BODY, headers=HEADERS) as answer:
                return len(await answer.read())

        yield post


@asynccontextmanager
async def httpx_own_pool(url: str) -> AsyncIterator[Post]:
    """Send with httpx on httpcore."""
    async with httpx.AsyncClient(base_url=url, trust_env=False, limits=httpx.Limits(max_connections=64)) as client:
        yield _poster(client)


@asynccontextmanager
async def httpx_on_httpx_aiohttp(url: str) -> AsyncIterator[Post]:
    """Send with httpx on the transport of the package httpx-aiohttp."""
    transport = AiohttpTransport(limits=httpx.Limits(max_connections=64), trust_env=False)
    async with httpx.AsyncClient(base_url=url, transport=transport, trust_env=False) as client:
        yield _poster(client)


@asynccontextmanager
async def guarded(url: str) -> AsyncIterator[Post]:
    """Send with httpx on our guarded transport over aiohttp."""
    async with open_client(url, TRADE_ENDPOINTS) as client:
        yield _poster(client)


@asynccontextmanager
async def whole_client(url: str) -> AsyncIterator[Post]:
    """Send as trade_service does: allowed, signed, sent, answer classified."""
    async with open_client(url, TRADE_ENDPOINTS) as http:
        client = TradeClient(http, Credentials(Secret("k" * 64), Secret("s" * 128)))

        async def post() -> int:
            reply = await client.create_order(
                BODY,
                timestamp_ms=time.time_ns() // 1_000_000,
                window_ms=5_000,
                timeout_seconds=5.0,
                client_order_id=CLIENT_ORDER_ID,
                market="BTC-EUR",
            )
            return int(isinstance(reply, Accepted))

        yield post


def _poster(client: httpx.AsyncClient) -> Post:
    async def post() -> int:
        return len((await client.post("/order", content=BODY, headers=HEADERS)).content)

    return post


CANDIDATES: Final = {
    "bare aiohttp": bare_aiohttp,
    "guarded": guarded,
    "guarded, signed and classified": whole_client,
    "httpx on httpx-aiohttp": httpx_on_httpx_aiohttp,
    "httpx, own pool": httpx_own_pool,
}


async def measure(url: str) -> list[Sample]:
    """Run all rounds."""
    samples = []
    for in_flight in IN_FLIGHT:
        for number in range(ROUNDS):
            names = list(CANDIDATES)
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                samples.append(await _round(url, name, in_flight, number))  # noqa: PERF401 - one at a time, in order
    return samples


async def _round(url: str, name: str, in_flight: int, number: int) -> Sample:
    async with CANDIDATES[name](url) as post:
        await _send_all(post, in_flight, WARM_UP_REQUESTS)
        started = time.perf_counter()
        latencies = await _send_all(post, in_flight, REQUESTS_PER_ROUND)
        elapsed = time.perf_counter() - started
    cuts = statistics.quantiles(latencies, n=100)
    return Sample(name, in_flight, number, REQUESTS_PER_ROUND / elapsed, cuts[49] * 1000, cuts[98] * 1000)


async def _send_all(post: Post, in_flight: int, count: int) -> list[float]:
    latencies: list[float] = []
    tickets = iter(range(count))

    async def worker() -> None:
        for _ in tickets:
            started = time.perf_counter()
            await post()
            latencies.append(time.perf_counter() - started)

    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return latencies


def table(samples: list[Sample]) -> str:
    """Return the table: medians over the rounds."""
    lines = [
        "| in flight | candidate | requests/s | ratio to bare aiohttp | p50 ms | p99 ms |",
        "|---|---|---|---|---|---|",
    ]
    for in_flight in IN_FLIGHT:
        floor = [each for each in samples if each.in_flight == in_flight and each.candidate == "bare aiohttp"]
        for name in CANDIDATES:
            mine = [each for each in samples if each.in_flight == in_flight and each.candidate == name]
            ratio = statistics.median(a.per_second / b.per_second for a, b in zip(mine, floor, strict=True))
            medians = [statistics.median(values) for values in zip(*map(_figures, mine), strict=True)]
            lines.append(
                f"| {in_flight} | {name} | {medians[0]:.0f} | {ratio:.2f} | {medians[1]:.2f} | {medians[2]:.2f} |"
            )
    return "\n".join(lines)


def _figures(sample: Sample) -> tuple[float, float, float]:
    return sample.per_second, sample.p50_ms, sample.p99_ms


async def serve() -> None:
    """Answer POSTs until standard input closes; print the port first."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=ANSWER, content_type="application/json")

    app = web.Application()
    app.router.add_post("/v2/order", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


async def run() -> None:
    """Start the server, measure, print, write the samples."""
    pipe = asyncio.subprocess.PIPE
    server = await asyncio.create_subprocess_exec(sys.executable, __file__, "--serve", stdin=pipe, stdout=pipe)
    assert server.stdin is not None  # noqa: S101 - both were asked for
    assert server.stdout is not None  # noqa: S101
    port = int(await server.stdout.readline())
    samples = await measure(f"http://127.0.0.1:{port}/v2")
    server.stdin.close()
    await server.wait()
    SAMPLES.write_text(json.dumps([asdict(each) for each in samples], indent=0) + "\n")
    sys.stdout.write(table(samples) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help="be the server (started by the benchmark itself)")
    asyncio.run(serve() if parser.parse_args().serve else run())
