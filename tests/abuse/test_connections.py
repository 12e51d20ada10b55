"""Connections that say nothing, or not enough: counted, given ten seconds, and closed."""

import asyncio
import ssl
from contextlib import AsyncExitStack

from hyperframe.frame import SettingsFrame

from tests.abuse.ground import Ground
from tests.abuse.test_frames import both
from tests.abuse.wire import PREFACE, Wire

CONNECTIONS, BEYOND = 512, 50
HANDSHAKE_SECONDS = 10.0
CLIENT_HELLO = bytes.fromhex("160301")
"""How a handshake begins: its first record's type and version, and no more of it."""


async def test_connections_that_say_too_little_are_counted_and_closed(ground: Ground) -> None:
    """While they last, nobody new gets in; who is in is served, and after ten seconds all is as before.

    Of each four one says nothing, one begins a handshake, one ends it, and one never acknowledges what it is told.
    """
    async with ground.watched("trade", grows_mib=64, new_connections=False), AsyncExitStack() as stack:
        several = []
        for number in range(CONNECTIONS + BEYOND):
            kind = number % 4 if number < CONNECTIONS - BEYOND else 0  # one that is not taken cannot shake hands
            wire = await stack.enter_async_context(await ground.silent_wire("trade", tls=kind > 1))
            await wire.send((b"", CLIENT_HELLO, PREFACE, PREFACE + SettingsFrame().serialize())[kind])
            several.append(wire)
        await asyncio.sleep(0.5)
        assert BEYOND <= sum(wire.ended.is_set() for wire in several) < CONNECTIONS / 2
        async with asyncio.timeout(2 * HANDSHAKE_SECONDS):
            await asyncio.gather(*(wire.ended.wait() for wire in several))
    await ground.until_served("trade", 10)


@both
async def test_a_caller_without_a_certificate_gets_no_frame_read(ground: Ground, service: str) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    async with ground.watched(service, grows_mib=32):
        for _ in range(100):
            async with await Wire.open(ground.service(service).address, context) as wire:
                async with asyncio.timeout(10):
                    await wire.ended.wait()
                assert wire.seen == {}
