"""How long from the exchange's frame to a subscriber, over two sockets, for 1, 100 and 1,000 subscribers of one book.

The time of a state is the one that the exchange wrote into the frame, by this machine's clock; it ends when gRPC hands
the subscriber the message's bytes, which are parsed afterwards. The client is Python too and shares the machine: its
work is in the figure. So the same is measured of `fan_out_floor`, a bare server that hears the same frames.
"""

import asyncio
import time
from contextlib import AsyncExitStack

import grpc.aio

from benchmarks.cpu import seconds_by_process
from benchmarks.market_hand import MARKET
from benchmarks.market_stage import moving, stage
from protos.market.v1 import market_pb2 as pb

DEPTH = 10
WARM_SECONDS = 2.0
MEASURED_SECONDS = 6.0
LOADS = ((1, 50), (100, 50), (1000, 10))

OURS, FLOOR = "market_service", "fan_out_floor"
PROGRAMS = {OURS: "market_service", FLOOR: "benchmarks.fan_out_floor"}
SERVICE_CPU = "service_cpu_us_per_message"
WATCH = "/market.v1.MarketService/WatchOrderBook"

Arrival = tuple[int, bytes]
"""When a message came, in nanoseconds of this machine's clock, and its bytes."""


async def fan_out_rounds(number: int) -> dict[str, dict[str, float]]:
    """Measure each load on processes of its own, and the floor beside it: ours first in even rounds, it in odd ones."""
    measured = {}
    for readers, rate in LOADS:
        for name in (OURS, FLOOR) if number % 2 == 0 else (FLOOR, OURS):
            measured[f"{readers} x {rate}/s {name}"] = await _load(PROGRAMS[name], readers, rate)
    return dict(sorted(measured.items()))


async def _load(program: str, readers: int, rate: int) -> dict[str, float]:
    arrivals: list[Arrival] = []
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(stage(program))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(running.grpc))
        await stack.enter_async_context(moving(running.exchange, rate, DEPTH))
        begins = time.monotonic() + WARM_SECONDS + readers / 500
        tasks = [asyncio.create_task(_read(channel, begins, arrivals)) for _ in range(readers)]
        await asyncio.sleep(begins - time.monotonic())
        before = seconds_by_process({"service": running.pid})
        await asyncio.sleep(begins + MEASURED_SECONDS - time.monotonic())
        used = {name: seconds - before[name] for name, seconds in seconds_by_process({"service": running.pid}).items()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return _figures(arrivals, used)


async def _read(channel: grpc.aio.Channel, begins: float, arrivals: list[Arrival]) -> None:
    watch = channel.unary_stream(WATCH, pb.WatchOrderBookRequest.SerializeToString, _arrived)
    async for arrival in watch(pb.WatchOrderBookRequest(market=MARKET, depth=DEPTH)):
        if time.monotonic() >= begins:
            arrivals.append(arrival)  # noqa: PERF401 - the stream ends by being cancelled


def _arrived(raw: bytes) -> Arrival:
    return time.time_ns(), raw


def _figures(arrivals: list[Arrival], used: dict[str, float]) -> dict[str, float]:
    messages = [(at, pb.WatchOrderBookResponse.FromString(raw)) for at, raw in arrivals]
    good = [(at, message) for at, message in messages if message.freshness.quality == pb.QUALITY_GOOD]
    skipped = sum(message.skipped for _, message in good)
    latencies = sorted((at - message.exchange_time.ToNanoseconds()) / 1e6 for at, message in good)
    return {
        "p50_ms": latencies[len(latencies) // 2],
        "p99_ms": latencies[int(len(latencies) * 0.99)],
        "messages_per_s": len(latencies) / MEASURED_SECONDS,
        "skipped_share": skipped / (len(latencies) + skipped),
        **{f"{name}_cpu_us_per_message": seconds / len(latencies) * 1e6 for name, seconds in used.items()},
    }
