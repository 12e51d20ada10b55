"""One WebSocket to the exchange for public data: no key, one origin, no redirect, pings that prove it is alive.

`SocketOpener` opens sockets to one checked address; a `Socket` says what the exchange says, frame by frame. Whoever
reads must keep reading: nothing is buffered here beyond the one frame. `bitvavo.reconnect` says when to open again.
"""

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn

import aiohttp
from aiohttp import WSMsgType
from aiohttp.client_middlewares import ClientHandlerType

from bitvavo.errors import HTTP_TOO_MANY_REQUESTS
from bitvavo.frames import MAX_FRAME_BYTES
from bitvavo.origin import checked_socket_url, tls_context
from bitvavo.proof import Proof, SocketLostError, SocketRefusedError
from bitvavo.topics import Topic, subscribe_message, unsubscribe_message

HANDSHAKE_SECONDS: Final = 5.0
CLOSE_SECONDS: Final = 1.0

PING_SECONDS: Final = 0.5
"""How often we ask whether the other side is there; an answer also proves that all said before it has arrived."""

SILENT_SECONDS: Final = 3.0
"""With no ping answered for this long the socket counts as dead, though the system has not noticed."""

MAX_PINGS_UNDER_WAY: Final = 64


class SocketOpener:
    """Opens sockets to one address; close it to give back what they shared."""

    def __init__(
        self, url: str, *, ca_file: Path | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Check the address.

        Raises:
            ValueError: not an address that `checked_socket_url` accepts.
        """
        self._url = checked_socket_url(url)
        self._tls = tls_context(ca_file) if self._url.scheme == "wss" else None
        # The handshake is an HTTP request: the library names it by either scheme.
        self._own = {(self._url, self._url.scheme), (self._url, self._url.scheme.replace("ws", "http"))}
        self._monotonic = monotonic
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> "Socket":
        """Open one socket.

        Raises:
            SocketRefusedError: the handshake failed or was refused.
        """
        if self._session is None:
            self._session = self._open_session()
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                raw = await self._session.ws_connect(
                    self._url,
                    autoping=False,  # a pong carries the moment of its ping, which only we know
                    compress=0,
                    max_msg_size=MAX_FRAME_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
                    decode_text=False,
                )
        except aiohttp.WSServerHandshakeError as error:
            too_soon = error.status == HTTP_TOO_MANY_REQUESTS
            raise SocketRefusedError(f"handshake answered with status {error.status}", too_soon=too_soon) from None
        except (aiohttp.ClientError, OSError, TimeoutError):
            raise SocketRefusedError("no connection") from None
        return Socket(raw, self._monotonic)

    async def close(self) -> None:
        """Close what the sockets shared."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True, ssl=self._tls or True),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"user-agent": "interlock"},
            trust_env=False,
            middlewares=(self._stay,),
        )

    async def _stay(self, request: aiohttp.ClientRequest, send: ClientHandlerType) -> aiohttp.ClientResponse:
        # A redirect comes through here as a second request, to another address.
        if (request.url.with_scheme(self._url.scheme), request.url.scheme) not in self._own:
            raise aiohttp.ClientConnectionError
        return await send(request)


class Socket:
    """One open socket. Use it from one task; `subscribe`, `unsubscribe` and `close` may be called from others."""

    def __init__(self, raw: aiohttp.ClientWebSocketResponse[bool], monotonic: Callable[[], float]) -> None:
        """Take an open socket of aiohttp."""
        self._raw = raw
        self._monotonic = monotonic
        self._pings: dict[bytes, Proof] = {}
        self._sent = 0
        self.proof: Proof | None = None
        """When the last answered ping left: everything the exchange said before that moment has been read."""

    async def subscribe(self, topics: Iterable[Topic], request_id: int) -> None:
        """Ask to hear of these topics (at most 500); the acknowledgement, which may overtake us, has the request id."""
        await self._send(subscribe_message(topics, request_id))

    async def unsubscribe(self, topics: Iterable[Topic], request_id: int) -> None:
        """Ask to hear of these topics no more; the acknowledgement has the request id."""
        await self._send(unsubscribe_message(topics, request_id))

    async def frames(self) -> AsyncIterator[bytes]:
        """Say every text frame, until the socket is lost.

        Raises:
            SocketLostError: always, in the end.
        """
        heartbeat = asyncio.create_task(self._beat())
        try:
            while True:
                message = await self._raw.receive()
                if message.type is WSMsgType.TEXT:
                    yield message.data
                else:
                    await self._control(message.type, message.data)
        finally:
            heartbeat.cancel()
            await asyncio.gather(heartbeat, return_exceptions=True)

    async def close(self) -> None:
        """Close the socket; waits at most a second for the other side."""
        await self._raw.close()

    async def _control(self, kind: WSMsgType, content: Any) -> None:  # noqa: ANN401 - what aiohttp hands out
        # Cases: their ping is answered; the answer to one of ours is a proof; all else ends the socket.
        if kind is WSMsgType.PING:
            await self._write(self._raw.pong(content))
        elif kind is WSMsgType.PONG:
            proof = self._pings.pop(bytes(content), None)
            if proof is not None:
                self.proof = proof
        elif kind is WSMsgType.BINARY:
            _lose("a binary frame")
        elif kind is WSMsgType.ERROR:
            _lose("a frame that breaks the protocol")
        else:
            _lose("closed")

    async def _beat(self) -> None:
        # When nothing is answered the socket is closed from here, which ends the reader's wait.
        started = self._monotonic()
        while True:
            heard = self.proof.at if self.proof is not None else started
            if self._monotonic() - heard > SILENT_SECONDS or len(self._pings) >= MAX_PINGS_UNDER_WAY:
                await self._raw.close(code=aiohttp.WSCloseCode.GOING_AWAY)
                return
            try:
                await self._ping()
            except SocketLostError:
                return
            await asyncio.sleep(PING_SECONDS)

    async def _ping(self) -> None:
        self._sent += 1
        payload = struct.pack(">Q", self._sent)
        self._pings[payload] = Proof(datetime.now(UTC), self._monotonic())
        await self._write(self._raw.ping(payload))

    async def _send(self, message: bytes) -> None:
        await self._write(self._raw.send_frame(message, WSMsgType.TEXT))

    async def _write(self, written: Awaitable[None]) -> None:
        try:
            await written
        except (aiohttp.ClientError, OSError, RuntimeError):
            _lose("closed")


def _lose(reason: str) -> NoReturn:
    raise SocketLostError(reason) from None
