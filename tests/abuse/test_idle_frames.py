"""Frames that ask for nothing, without end: they cost the time it takes to read them, and nothing once they stop.

gRPC's way to punish pings has taught what to ask: not only whether others are served meanwhile, but whether the service
comes to rest while the connection that sent them is still open. All of it is gRPC's HTTP/2, which both services share;
trade_service stands for both.
"""

import asyncio

import pytest
from hyperframe.frame import (
    DataFrame,
    ExtensionFrame,
    GoAwayFrame,
    HeadersFrame,
    PriorityFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.abuse.ground import Ground
from tests.abuse.test_frames import METHODS, SETTLE_SECONDS, flood
from tests.abuse.wire import continuation, ping, reset

SERVICE = "trade"
ENDED, HALF_CALLS = 1, range(3, 103, 2)
IDLE = range(1_001, 1_401, 2)
WINDOW_OF_STREAMS = SettingsFrame.INITIAL_WINDOW_SIZE
ENTRY = b"\x40\x00\x00"
"""HPACK: a literal without name and value, put into the table; each drives an older one out."""

FLOODS = {
    "windows of the connection": [WindowUpdateFrame(0, 1)],
    "windows of streams nobody opened": [WindowUpdateFrame(stream, 1) for stream in IDLE],
    "windows of a call": [WindowUpdateFrame(HALF_CALLS[0], 1)],
    "windows set to and fro under open calls": [
        SettingsFrame(settings={WINDOW_OF_STREAMS: window_bytes}) for window_bytes in (0, 65_535)
    ],
    "priorities": [PriorityFrame(stream, stream_weight=5) for stream in IDLE],
    "frames of a kind nobody knows": [ExtensionFrame(0x77, 0, flag_byte=0xFF)],
    "answers to pings nobody sent": [ping(bytes(8), "ACK")],
    "farewells": [GoAwayFrame(0)],
    "resets of streams nobody opened": [reset(stream) for stream in IDLE],
    "resets of a call that has ended": [reset(ENDED)],
    "ends of a call that has ended": [HeadersFrame(ENDED, b"\x00\x01a\x01b", flags=["END_HEADERS", "END_STREAM"])],
    "pieces of a call that has ended": [DataFrame(ENDED, bytes(5))],
}


@pytest.mark.parametrize("frames", FLOODS.values(), ids=FLOODS)
async def test_frames_that_ask_for_nothing_cost_nothing_once_they_stop(ground: Ground, frames: list[object]) -> None:
    async with ground.watched(SERVICE, grows_mib=256), await ground.wire(SERVICE) as wire:
        await wire.send(*wire.call(ENDED, METHODS[SERVICE]))
        await wire.until(answered=1)
        await wire.send(*(wire.headers(stream, METHODS[SERVICE]) for stream in HALF_CALLS))
        once = b"".join(each.serialize() for each in frames)  # type: ignore[attr-defined]  # the frames have no stubs
        await flood(ground, SERVICE, wire, once * (16_000 // len(once)))


async def test_entries_put_into_the_table_of_metadata_without_end_cost_nothing_once_they_stop(ground: Ground) -> None:
    async with ground.watched(SERVICE, grows_mib=128), await ground.wire(SERVICE) as wire:
        await asyncio.sleep(SETTLE_SECONDS)
        wire.answering = False
        await wire.send(wire.headers(1, METHODS[SERVICE], whole=False))
        await flood(ground, SERVICE, wire, continuation(1, ENTRY * 5_000).serialize())
