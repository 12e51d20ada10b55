"""Floods of frames that cost the sender little: gRPC's HTTP/2 bounds each, and who has no part in it is served."""

import asyncio
import time

import pytest
from hpack import Encoder
from hyperframe.frame import SettingsFrame

from tests.abuse.ground import Ground
from tests.abuse.wire import PREFACE, Wire, continuation, ping, reset

METHODS = {"market": "/market.v1.MarketService/GetTicker", "trade": "/trade.v1.AdminService/GetTradingState"}
REQUESTS = {"market": b"\n\x07BTC-EUR", "trade": b""}
REFUSED_STREAM = 7
CANCELLED, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED = 1, 3, 8, 12
"""CANCELLED is how gRPC sheds calls when more than a thousand wait to be looked at."""
RESETS = 10_000
REFERRING_CALLS, REFERENCES = 50, 15_000
LATEST_ENTRY = b"\xbe"
"""HPACK: the field that was put into the table last, name and value, once more."""
FLOOD_SECONDS = 0.5
LONG_FLOOD_SECONDS = 2.0
"""For what costs buffers whose size the kernel decides: so much is sent that they are less than a tenth of it."""
SETTLE_SECONDS = 1.0
both = pytest.mark.parametrize("service", METHODS)


@both
async def test_streams_opened_and_reset_at_once_are_refused_beyond_the_limit(ground: Ground, service: str) -> None:
    """CVE-2023-44487: a reset frees the stream for the sender, not for the server."""
    async with ground.watched(service, grows_mib=64), await ground.wire(service) as wire:
        for first in range(1, 2 * RESETS, 200):
            batch = range(first, first + 200, 2)
            calls = [(*wire.call(each, METHODS[service], REQUESTS[service]), reset(each)) for each in batch]
            await wire.send(*(frame for frames in calls for frame in frames))
        await ground.until_at_rest(service)
        assert wire.resets[REFUSED_STREAM] > 0, f"{RESETS} streams, all of them taken"


@both
@pytest.mark.parametrize("reading", [True, False], ids=["answered", "unread"])
async def test_a_flood_of_pings_costs_little_and_nothing_once_it_ends(
    ground: Ground, service: str, *, reading: bool
) -> None:
    """Found here: gRPC's way to punish pings takes a core for minutes after 4 MiB of them, and grows meanwhile."""
    async with ground.watched(service, grows_mib=16), await ground.wire(service) as wire:
        if not reading:
            wire.stop_reading()
        await flood(ground, service, wire, ping().serialize() * 100)
        assert wire.goaway is None


@both
@pytest.mark.parametrize("reading", [True, False], ids=["acknowledged", "unread"])
async def test_a_flood_of_settings_costs_no_memory(ground: Ground, service: str, *, reading: bool) -> None:
    async with ground.watched(service, grows_mib=16), await ground.wire(service) as wire:
        frames = [SettingsFrame(settings={4: 65_535 + each}) for each in range(100)]
        if reading:
            await flood(ground, service, wire, b"".join(each.serialize() for each in frames))
            return
        wire.stop_reading()
        for _ in range(2_000):
            wire.push(*frames)
            await asyncio.sleep(0)
        await ground.until_at_rest(service)


@both
async def test_headers_continued_without_end_are_thrown_away(ground: Ground, service: str) -> None:
    fragment = Encoder().encode([("x-a", "b" * 1_000)], huffman=False)
    async with ground.watched(service, grows_mib=64), await ground.wire(service) as wire:
        await asyncio.sleep(SETTLE_SECONDS)  # until SETTINGS are exchanged: nothing may stand between these frames
        wire.answering = False
        await wire.send(wire.headers(1, METHODS[service], whole=False))
        await flood(ground, service, wire, continuation(1, fragment).serialize() * 10, seconds=LONG_FLOOD_SECONDS)
        assert wire.statuses in ({}, {RESOURCE_EXHAUSTED: 1})


@both
async def test_headers_continued_with_nothing_end_the_connection(ground: Ground, service: str) -> None:
    async with ground.watched(service, grows_mib=16), await ground.wire(service) as wire:
        await asyncio.sleep(SETTLE_SECONDS)
        wire.answering = False
        await wire.send(wire.headers(1, METHODS[service], whole=False))
        await flood(ground, service, wire, continuation(1, b"").serialize() * 100)
        assert wire.ended.is_set()


@both
async def test_calls_of_methods_nobody_serves_are_cheap(ground: Ground, service: str) -> None:
    async with ground.watched(service, grows_mib=64), await ground.wire(service) as wire:
        stream, ends = 1, time.monotonic() + FLOOD_SECONDS
        while time.monotonic() < ends:
            batch = range(stream, stream + 100, 2)
            await wire.send(*(frame for each in batch for frame in wire.call(each, "/nobody.v1.Serves/This")))
            stream += 100
        await ground.until_at_rest(service)
        assert UNIMPLEMENTED in wire.statuses
        assert set(wire.statuses) <= {CANCELLED, UNIMPLEMENTED, RESOURCE_EXHAUSTED}


@both
async def test_metadata_without_end_is_refused_also_before_its_bound_is_acknowledged(
    ground: Ground, service: str
) -> None:
    """Found here: gRPC holds a client to the bound only once it has acknowledged the SETTINGS that say it."""
    async with ground.watched(service, grows_mib=128), await ground.silent_wire(service) as wire:
        await wire.send(PREFACE, SettingsFrame())
        for stream in range(1, 41, 2):
            await wire.send(*wire.call(stream, METHODS[service], REQUESTS[service], ("x-a", "v" * 1_000_000)))
        await wire.until(answered=20)
        assert set(wire.statuses) <= {INVALID_ARGUMENT, RESOURCE_EXHAUSTED}


@both
async def test_metadata_made_large_by_references_holds_nobody_up_for_long(ground: Ground, service: str) -> None:
    """Found here: before its bound is acknowledged, gRPC makes Python objects of each reference of a byte."""
    async with ground.watched(service, grows_mib=512), await ground.silent_wire(service) as wire:
        await wire.send(PREFACE, SettingsFrame())
        for stream in range(1, 2 * REFERRING_CALLS, 2):
            head, *rest = wire.call(stream, METHODS[service], REQUESTS[service], ("x-a", "v" * 200))
            head.data += LATEST_ENTRY * REFERENCES  # type: ignore[attr-defined]  # the frames have no stubs
            await wire.send(head, *rest)
        await wire.until(answered=REFERRING_CALLS)
        await ground.until_at_rest(service)
        assert set(wire.statuses) <= {INVALID_ARGUMENT, RESOURCE_EXHAUSTED}


@both
@pytest.mark.parametrize(("fields", "field_bytes"), [(20, 1_000), (1, 60_000)], ids=["many", "one"])
async def test_metadata_over_the_limit_is_refused(ground: Ground, service: str, fields: int, field_bytes: int) -> None:
    more = [(f"x-{number}", "v" * field_bytes) for number in range(fields)]
    async with ground.watched(service, grows_mib=16), await ground.wire(service) as wire:
        await asyncio.sleep(SETTLE_SECONDS)
        for stream in range(1, 101, 2):
            await wire.send(*wire.call(stream, METHODS[service], REQUESTS[service], *more))
        await wire.until(answered=50)
        assert wire.statuses == {RESOURCE_EXHAUSTED: 50}


async def flood(ground: Ground, service: str, wire: Wire, frames: bytes, *, seconds: float = FLOOD_SECONDS) -> None:
    """Send the same frames for a while, or until the server takes no more, and wait until it has done with them."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and await wire.send(frames):
        pass
    await ground.until_at_rest(service)
