"""How long from the exchange's frame to a subscriber, over two sockets, for 1, 100 and 1,000 subscribers of one book.

The time of a state is the one that the exchange wrote into the frame, by this machine's clock; it ends when the
subscriber has read the message. The client is Python too and shares the machine: its own work is in the figure.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any

import grpc.aio

from benchmarks.cpu import seconds_by_process
from benchmarks.market_hand import MARKET
from benchmarks.market_stage import moving, stage
from protos.market.v1 import market_pb2 as pb
from protos.market.v1.market_pb2_grpc import MarketServiceStub

DEPTH = 10
WARM_SECONDS = 2.0
MEASURED_SECONDS = 6.0
LOADS = ((1, 50), (100, 50), (1000, 10))


async def fan_out_rounds(_number: int) -> dict[str, dict[str, float]]:
    """Measure each load on processes of its own."""
    return {f"{readers} subscribers x {rate}/s": await _load(readers, rate) for readers, rate in LOADS}


async def _load(readers: int, rate: int) -> dict[str, float]:
    latencies: list[float] = []
    skipped = [0]
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(stage())
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(running.grpc))
        await stack.enter_async_context(moving(running.exchange, rate, DEPTH))
        stub = MarketServiceStub(channel)
        begins = time.monotonic() + WARM_SECONDS + readers / 500
        tasks = [asyncio.create_task(_read(stub, begins, latencies, skipped)) for _ in range(readers)]
        await asyncio.sleep(begins - time.monotonic())
        before = seconds_by_process({"service": running.pid})
        await asyncio.sleep(begins + MEASURED_SECONDS - time.monotonic())
        used = {name: seconds - before[name] for name, seconds in seconds_by_process({"service": running.pid}).items()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    latencies.sort()
    return {
        "p50_ms": latencies[len(latencies) // 2],
        "p99_ms": latencies[int(len(latencies) * 0.99)],
        "messages_per_s": len(latencies) / MEASURED_SECONDS,
        "skipped_share": skipped[0] / (len(latencies) + skipped[0]),
        **{f"{name}_cpu_us_per_message": seconds / len(latencies) * 1e6 for name, seconds in used.items()},
    }


async def _read(stub: Any, begins: float, latencies: list[float], skipped: list[int]) -> None:  # noqa: ANN401 - the stub's asynchronous half has no class
    async for message in stub.WatchOrderBook(pb.WatchOrderBookRequest(market=MARKET, depth=DEPTH)):
        if time.monotonic() >= begins and message.freshness.quality == pb.QUALITY_GOOD:
            latencies.append((time.time_ns() - message.exchange_time.ToNanoseconds()) / 1e6)
            skipped[0] += message.skipped
