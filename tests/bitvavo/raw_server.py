"""A server of raw bytes that counts requests as they arrive and then misbehaves in one named way."""

import asyncio
import contextlib
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

CERTIFICATE: Final = Path(__file__).with_name("loopback_certificate.pem")
OK_BODY: Final = b'{"time":1}'
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n" + OK_BODY
GARBAGE: Final = b"\x00\xff garbage that is neither HTTP nor TLS \x00\xff" * 4
RETRY: Final = b"Retry-After: 0\r\nContent-Length: 2\r\n\r\n{}"

Fault = Callable[["RawServer", asyncio.StreamWriter], Awaitable[None]]


class RawServer:
    """Counts each request head with its body; then `fault` writes what it likes, and the connection closes.

    The first `good_answers` requests of the server get a proper keep-alive answer instead.
    """

    def __init__(self, fault: Fault, *, good_answers: int = 0) -> None:
        self.fault = fault
        self.good_answers = good_answers
        self.requests: list[str] = []
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.port = 0
        self.tasks: list[asyncio.Task[Any]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.tasks.append(task)
        try:
            await self._serve(reader, writer)
        finally:
            if task.cancelling():
                writer.transport.abort()
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while await self._read_request(reader):
                if len(self.requests) > self.good_answers:
                    await self.fault(self, writer)
                    break
                writer.write(OK)
                await writer.drain()

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await asyncio.sleep(0)

    async def _read_request(self, reader: asyncio.StreamReader) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line), 0
        )
        self.bodies.append(await reader.readexactly(length))
        self.heads.append(head)
        self.requests.append(head.split(b" ", 1)[0].decode())
        return True


@contextlib.asynccontextmanager
async def running(server: RawServer, *, tls: bool = False) -> AsyncIterator[str]:
    """Serve on a free port of 127.0.0.1; gives the base URL."""
    context = None
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CERTIFICATE)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.port}/v2"
    finally:
        listener.close()
        await server.stop()


def answering(raw: bytes) -> Fault:
    """Write `raw`, then close."""

    async def fault(_server: RawServer, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return fault


async def close(_server: RawServer, _writer: asyncio.StreamWriter) -> None:
    """Close without a byte."""


async def half_close(_server: RawServer, writer: asyncio.StreamWriter) -> None:
    """End our side, keep the connection a moment."""
    if writer.can_write_eof():
        writer.write_eof()
    await asyncio.sleep(0.05)


async def reset(_server: RawServer, writer: asyncio.StreamWriter) -> None:
    """Close with RST."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def raw_garbage(_server: RawServer, writer: asyncio.StreamWriter) -> None:
    """Write garbage beneath TLS, where a TLS record should be."""
    os.write(writer.get_extra_info("socket").fileno(), GARBAGE)
    await asyncio.sleep(0.05)


async def redirect(server: RawServer, writer: asyncio.StreamWriter) -> None:
    """Send the client to the same place again."""
    location = f"Location: http://127.0.0.1:{server.port}/v2/order\r\n".encode()
    writer.write(b"HTTP/1.1 307 Temporary Redirect\r\n" + location + RETRY)
    await writer.drain()


async def silence(_server: RawServer, _writer: asyncio.StreamWriter) -> None:
    """Say nothing for longer than the client waits."""
    await asyncio.sleep(0.6)


FAULTS: Final[dict[str, Fault]] = {
    "ok": answering(OK),
    "close": close,
    "reset": reset,
    "plain_garbage": answering(GARBAGE),
    "half_close": half_close,
    "mid_head": answering(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "mid_body": answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
    "mid_chunk": answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{"),
    "early_hints": answering(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK),
    "503_retry_after": answering(b"HTTP/1.1 503 Service Unavailable\r\n" + RETRY),
    "429_retry_after": answering(b"HTTP/1.1 429 Too Many Requests\r\n" + RETRY),
    "421_misdirected": answering(b"HTTP/1.1 421 Misdirected Request\r\n" + RETRY),
    "408_timeout": answering(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n" + RETRY),
    "401_challenge": answering(
        b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm="r", nonce="n"\r\n' + RETRY
    ),
    "307_redirect": redirect,
    "silence": silence,
}
