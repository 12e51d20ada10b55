"""Messages that are larger than they may be, than they say, or than they look."""

import gzip
import struct

import pytest

from tests.abuse.ground import Ground
from tests.abuse.test_frames import METHODS, REQUESTS
from tests.abuse.wire import framed

FRAME_BYTES = 16_000
RESOURCE_EXHAUSTED = 8
MESSAGES = 50
BOMB_MIB = 16
both = pytest.mark.parametrize("service", METHODS)


@both
@pytest.mark.parametrize("declared_bytes", [17 * 1024, 2**32 - 1])
async def test_a_message_over_16_kib_is_refused_by_its_first_bytes(
    ground: Ground, service: str, declared_bytes: int
) -> None:
    head = struct.pack(">BI", 0, declared_bytes)
    async with ground.watched(service, grows_mib=16), await ground.wire(service) as wire:
        for stream in range(1, 2 * MESSAGES, 2):
            await wire.send(wire.headers(stream, METHODS[service]), wire.data(stream, head + bytes(1_000)))
        await wire.until(answered=MESSAGES)
        assert wire.statuses == {RESOURCE_EXHAUSTED: MESSAGES}


@both
async def test_a_small_message_that_unpacks_to_16_mib_is_refused_before_it_is_unpacked(
    ground: Ground, service: str
) -> None:
    bomb = framed(gzip.compress(bytes(BOMB_MIB * 1024 * 1024)), compressed=True)
    assert len(bomb) <= 16 * 1024, "larger, it would be refused by its length"
    async with ground.watched(service, grows_mib=BOMB_MIB - 4), await ground.wire(service) as wire:
        for stream in range(1, 2 * MESSAGES, 2):
            pieces = [bomb[at : at + FRAME_BYTES] for at in range(0, len(bomb), FRAME_BYTES)]
            await wire.send(wire.headers(stream, METHODS[service], ("grpc-encoding", "gzip")))
            await wire.send(*(wire.data(stream, piece) for piece in pieces), wire.data(stream, b"", "END_STREAM"))
        await wire.until(answered=MESSAGES)
        assert wire.statuses == {RESOURCE_EXHAUSTED: MESSAGES}


@both
async def test_a_compressed_message_of_honest_size_is_read(ground: Ground, service: str) -> None:
    message = framed(gzip.compress(REQUESTS[service]), compressed=True)
    async with await ground.wire(service) as wire:
        await wire.send(wire.headers(1, METHODS[service], ("grpc-encoding", "gzip")))
        await wire.send(wire.data(1, message, "END_STREAM"))
        await wire.until(answered=1)
        assert wire.statuses == {0: 1}
