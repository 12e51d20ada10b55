"""Calls in numbers, calls in halves, and answers nobody reads: whoever makes them loses his own share of the seats."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from protos.market.v1 import market_pb2
from tests.abuse.ground import Ground
from tests.abuse.test_frames import METHODS, REQUESTS, both
from tests.abuse.wire import Wire

SEATS = {"market": 2048, "trade": 256}
SHARE = {name: seats * 3 // 4 for name, seats in SEATS.items()}
STREAMS = {"market": 1_000, "trade": 200}
"""On one connection: below the limit, so that what refuses is the room."""
FLOOD_SECONDS = 2.0
OK, CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED = 0, 1, 4, 8
WATCH = "/market.v1.MarketService/WatchOrderBook"
REQUEST_SECONDS = 10.0


@asynccontextmanager
async def wires(ground: Ground, service: str, number: int, **settings: int) -> AsyncIterator[list[Wire]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(await ground.wire(service, **settings)) for _ in range(number)]


def statuses(several: list[Wire]) -> Counter[int]:
    return sum((each.statuses for each in several), Counter())


async def everything_answered(several: list[Wire], calls: int) -> None:
    async with asyncio.timeout(20):
        while statuses(several).total() < calls:  # noqa: ASYNC110 - frames have no event
            await asyncio.sleep(0.05)


async def test_half_calls_take_no_more_than_their_callers_share_and_are_ended(ground: Ground) -> None:
    """The kill switch is reached while somebody holds heads of calls open, whose requests never come."""
    service = "trade"
    async with ground.watched(service, grows_mib=128), wires(ground, service, 3) as several:
        for wire in several:
            for stream in range(1, 2 * STREAMS[service], 2):
                await wire.send(wire.headers(stream, METHODS[service]))
        calls = 3 * STREAMS[service]
        await everything_answered(several, calls)
        expected = {DEADLINE_EXCEEDED: SHARE[service], RESOURCE_EXHAUSTED: calls - SHARE[service]}
        assert statuses(several) == expected


@both
async def test_a_flood_of_calls_leaves_others_their_seats(ground: Ground, service: str) -> None:
    """More at once on each connection than it may have open: a machine that is slow to send floods too."""
    async with ground.watched(service, grows_mib=128), wires(ground, service, 4) as several:
        stream, ends = 1, time.monotonic() + FLOOD_SECONDS
        while time.monotonic() < ends:
            for wire in several:
                batch = range(stream, stream + 4 * STREAMS[service], 2)
                await wire.send(
                    *(frame for each in batch for frame in wire.call(each, METHODS[service], REQUESTS[service]))
                )
            stream += 4 * STREAMS[service]
        await ground.until_at_rest(service)
        assert statuses(several)[OK] > 0
        assert sum(wire.resets[7] for wire in several) + statuses(several)[RESOURCE_EXHAUSTED] > 0


@both
async def test_answers_nobody_takes_keep_their_seats_and_others_keep_theirs(ground: Ground, service: str) -> None:
    async with ground.watched(service, grows_mib=128), wires(ground, service, 3, INITIAL_WINDOW_SIZE=0) as several:
        for wire in several:
            for stream in range(1, 2 * STREAMS[service], 2):
                await wire.send(*wire.call(stream, METHODS[service], REQUESTS[service]))
        calls = 3 * STREAMS[service]
        await everything_answered(several, calls - SHARE[service])
        assert set(statuses(several)) == {RESOURCE_EXHAUSTED}
        await ground.until_at_rest(service)
        assert statuses(several).total() == calls - SHARE[service], "an answer was taken by nobody"


@pytest.mark.parametrize("window_bytes", [0, 2**31 - 1], ids=["unread", "read"])
async def test_streams_leave_a_quarter_of_the_seats_for_questions(ground: Ground, window_bytes: int) -> None:
    request = market_pb2.WatchOrderBookRequest(market="BTC-EUR", depth=1_000).SerializeToString()
    async with (
        ground.watched("market", grows_mib=256),
        wires(ground, "market", 3, INITIAL_WINDOW_SIZE=window_bytes) as several,
    ):
        for wire in several:
            for stream in range(1, 2 * STREAMS["market"], 2):
                await wire.send(*wire.call(stream, WATCH, request))
        await everything_answered(several, 3 * STREAMS["market"] - SHARE["market"])
        assert set(statuses(several)) == {RESOURCE_EXHAUSTED}
        await ground.until_at_rest("market")
        assert statuses(several).total() == 3 * STREAMS["market"] - SHARE["market"]


@both
async def test_a_caller_who_reads_nothing_at_all_harms_himself(ground: Ground, service: str) -> None:
    async with ground.watched(service, grows_mib=128), wires(ground, service, 4) as several:
        for wire in several:
            wire.stop_reading()
        stream, ends = 1, time.monotonic() + FLOOD_SECONDS
        while time.monotonic() < ends:
            for wire in several:
                batch = range(stream, stream + 100, 2)
                wire.push(*(frame for each in batch for frame in wire.call(each, METHODS[service], REQUESTS[service])))
            stream += 100
            await asyncio.sleep(0.02)
        await ground.until_at_rest(service)
