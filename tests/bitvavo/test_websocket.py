"""The WebSocket client against servers of aiohttp on loopback: its origin, its pings, and when it opens again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import WSMsgType, web

from bitvavo.proof import SocketLostError, SocketRefusedError
from bitvavo.reconnect import FIRST_SECONDS, MAX_SECONDS, TOO_SOON_SECONDS, Backoff
from bitvavo.topics import Channel, Topic
from bitvavo.websocket import SILENT_SECONDS, SocketOpener


@asynccontextmanager
async def serving(handle: Callable[[web.Request], object]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{path:.*}", handle)  # type: ignore[arg-type]
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = runner.addresses[0]
    try:
        yield f"ws://127.0.0.1:{address[1]}/v2/"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "url",
    [
        "ws://ws.bitvavo.com/v2/",
        "wss://ws.bitvavo.com/v3/",
        "wss://user:word@ws.bitvavo.com/v2/",
        "wss://ws.bitvavo.com/v2/?key=1",
        "https://ws.bitvavo.com/v2/",
    ],
)
def test_an_address_that_is_not_the_exchanges_socket_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="WebSocket"):
        SocketOpener(url)


async def test_a_redirect_is_not_followed() -> None:
    asked: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.path)
        raise web.HTTPTemporaryRedirect("/elsewhere/")

    async with serving(handle) as url:
        opener = SocketOpener(url)
        with pytest.raises(SocketRefusedError):
            await opener.open()
        await opener.close()
    assert asked == ["/v2/"]


@pytest.mark.parametrize(("status", "too_soon"), [(429, True), (503, False)])
async def test_a_handshake_refused_as_too_soon_is_told_apart(status: int, *, too_soon: bool) -> None:
    async def handle(request: web.Request) -> web.Response:
        del request
        return web.Response(status=status)

    async with serving(handle) as url:
        opener = SocketOpener(url)
        with pytest.raises(SocketRefusedError) as refused:
            await opener.open()
        assert refused.value.too_soon is too_soon
        await opener.close()


async def test_an_answered_ping_proves_the_moment_it_left_and_theirs_are_answered() -> None:
    pongs: list[bytes] = []

    async def handle(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        await socket.ping(b"theirs")
        async for message in socket:
            if message.type is WSMsgType.PING:
                await socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                pongs.append(message.data)
            elif message.type is WSMsgType.TEXT:
                await socket.send_str("{}")
        return socket

    async with serving(handle) as url:
        opener = SocketOpener(url)
        socket = await opener.open()
        await socket.subscribe([Topic(Channel.BOOK, "BTC-EUR")], 1)
        frames = socket.frames()
        assert await anext(frames) == b"{}"
        reading = asyncio.ensure_future(anext(frames))
        async with asyncio.timeout(5):
            while socket.proof is None:  # noqa: ASYNC110 - the proof is a value, by design
                await asyncio.sleep(0.02)
        assert bytes(pongs[0]) == b"theirs"
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await socket.close()
        await opener.close()


async def test_a_socket_that_answers_no_ping_is_lost_though_it_stays_open() -> None:
    async def handle(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        async for _ in socket:
            pass
        return socket

    async with serving(handle) as url:
        opener = SocketOpener(url)
        socket = await opener.open()
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(SocketLostError):
            await anext(socket.frames())
        assert SILENT_SECONDS <= loop.time() - began < SILENT_SECONDS + 3
        await socket.close()
        await opener.close()


def test_the_pauses_double_up_to_a_bound_and_begin_anew_after_a_steady_socket() -> None:
    backoff = Backoff(lambda: 0.0)
    assert [backoff.failed() for _ in range(3)] == [FIRST_SECONDS, FIRST_SECONDS * 2, FIRST_SECONDS * 4]
    assert max(backoff.failed() for _ in range(50)) == MAX_SECONDS
    assert backoff.lost(held_seconds=1.0) == MAX_SECONDS
    assert backoff.lost(held_seconds=60.0) == FIRST_SECONDS


def test_after_a_refusal_as_too_soon_the_pause_is_much_longer() -> None:
    backoff = Backoff(lambda: 0.0)
    assert [backoff.refused(), backoff.refused()] == [TOO_SOON_SECONDS, TOO_SOON_SECONDS * 2]


def test_chance_only_lengthens_a_pause() -> None:
    assert FIRST_SECONDS < Backoff(lambda: 0.999).failed() < FIRST_SECONDS * 2
