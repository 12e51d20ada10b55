"""What a subscriber that reads nothing costs the service in memory, while its book changes 50 times a second."""

import asyncio

import grpc.aio

from benchmarks.market_hand import MARKET
from benchmarks.market_stage import moving, resident_bytes, stage
from protos.market.v1 import market_pb2 as pb
from protos.market.v1.market_pb2_grpc import MarketServiceStub

READERS = 50
RATE = 50
LEVELS = 200
STALLED_SECONDS = 12.0
OPTIONS = (("grpc.use_local_subchannel_pool", 1),)


async def stalled_rounds(_number: int) -> dict[str, dict[str, float]]:
    """Open one reader that reads and many that do not, each on a connection of its own, and weigh the service."""
    async with stage() as running, moving(running.exchange, RATE, LEVELS):
        channels = [grpc.aio.insecure_channel(running.grpc, options=OPTIONS) for _ in range(READERS + 1)]
        try:
            request = pb.WatchOrderBookRequest(market=MARKET, depth=LEVELS)
            reading = asyncio.create_task(_read(MarketServiceStub(channels[0]).WatchOrderBook(request)))
            await asyncio.sleep(2.0)
            before = resident_bytes(running.pid)
            stalled = [MarketServiceStub(channel).WatchOrderBook(request) for channel in channels[1:]]
            for call in stalled:
                await call.read()
            started = resident_bytes(running.pid)
            await asyncio.sleep(STALLED_SECONDS)
            after = resident_bytes(running.pid)
            reading.cancel()
        finally:
            for channel in channels:
                await channel.close()
    kib = 1024 * READERS
    return {
        f"{READERS} stalled readers": {
            "KiB_each_at_start": (started - before) / kib,
            "KiB_each_in_the_end": (after - before) / kib,
        }
    }


async def _read(call: "grpc.aio.UnaryStreamCall[pb.WatchOrderBookRequest, pb.WatchOrderBookResponse]") -> None:
    async for _ in call:
        pass
