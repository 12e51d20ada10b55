"""The simulator's socket: receives requests, notes them in the ledger, carries out faults, writes answers.

The low-level aiohttp server without router and middleware: the hot path of a bench goes through here.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct

from aiohttp import web

from exchange_sim.admin import Admin
from exchange_sim.edge import HTML, NOT_FOUND_HTML, Answer, Edge, Sender
from exchange_sim.exchange import Exchange
from exchange_sim.faults import Fault, Faults
from exchange_sim.faulty_answer import REPLACING, faulty
from exchange_sim.groups import watch_groups
from exchange_sim.ledger import ReceivedRequest
from exchange_sim.rate_limits import RateLimits
from exchange_sim.signatures import Claim
from exchange_sim.sockets import Sockets, is_handshake

ADMIN_PREFIX = "/_sim/"
SWITCHING_PROTOCOLS = 101
KEEP_ALIVE_S = 75
MS_PER_S = 1_000
# How long a hanging connection is held before it is closed all the same.
LONGEST_HANG_S = 600
# Lets the first half of a body leave before the reset, which would otherwise overtake it.
HALF_BODY_FLUSH_S = 0.02
DRIPS = 10
# The start of a TLS alert: what a broken proxy answers.
GARBAGE = b"\x15\x03\x03\x00\x02\x02\x46" * 8
LOOPBACK = ("127.", "::1", "::ffff:127.")


class Dropped(Exception):  # noqa: N818  not an error: the fault's way out of the handler
    """The connection is to end without an answer."""


class SimServer:
    """One exchange on one listening socket."""

    def __init__(self, exchange: Exchange, limits: RateLimits | None = None) -> None:
        """Serve an exchange."""
        self.exchange = exchange
        self.limits = limits or RateLimits()
        self.faults = Faults()
        self.edge = Edge(exchange, self.limits)
        self.sockets = Sockets(self.edge, self.faults)
        self.admin = Admin(exchange, self.limits, self.faults)
        self._web = web.Server(self._respond, access_log=None, keepalive_timeout=KEEP_ALIVE_S)
        self._listener: asyncio.Server | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen, over TLS if given what to serve it with, and tell the port."""
        self._listener = await asyncio.get_running_loop().create_server(self._web, host, port, ssl=tls)
        self._watch = asyncio.create_task(watch_groups(self.exchange))
        address = self._listener.sockets[0].getsockname()
        return int(address[1])

    async def stop(self) -> None:
        """Close the listener and all connections."""
        if self._watch is not None:
            self._watch.cancel()
        if self._listener is not None:
            self._listener.close()
        await self.sockets.stop()
        await self._web.shutdown(timeout=1)

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        target = request.raw_path
        body = await request.read() if request.body_exists else b""
        address = request.remote or ""
        if target.startswith(ADMIN_PREFIX):
            return _written(self._administer(request.method, target, body, address))
        headers = request.headers
        claim = Claim(
            headers.get("bitvavo-access-key"),
            headers.get("bitvavo-access-signature"),
            headers.get("bitvavo-access-timestamp"),
            headers.get("bitvavo-access-window"),
        )
        received = ReceivedRequest(
            received_ms=self.exchange.now_ms(),
            method=request.method,
            target=target,
            body=body,
            key=None if claim.key is None else claim.key[:8],
            timestamp=claim.timestamp,
            window=claim.window,
        )
        self.exchange.ledger.received(received)
        sender = Sender(claim, address)
        met = self.faults.meeting(request.method, target, body, claim.key or "") if self.faults.rules else None
        if met:
            return await self._respond_with_faults(request, received, sender, met)
        if is_handshake(request):
            received.status = SWITCHING_PROTOCOLS
            return await self.sockets.serve(request)
        answer = self.edge.answer(received, sender)
        received.status, received.error_code = answer.status, answer.error_code
        return _written(answer)

    def _administer(self, method: str, target: str, body: bytes, address: str) -> Answer:
        if not address.startswith(LOOPBACK):
            return Answer(404, NOT_FOUND_HTML, {}, HTML)
        return self.admin.answer(method, target, body)

    async def _respond_with_faults(
        self,
        request: web.BaseRequest,
        received: ReceivedRequest,
        sender: Sender,
        met: list[Fault],
    ) -> web.StreamResponse:
        """Before executing: delays and drops. Then the answer, true or replaced. Then what happens to the answer."""
        received.faults = [fault.fault for fault in met]
        try:
            lag_ms = await _before(request, met)
            answer = None
            times = (1 + sum(fault.fault == "execute_twice" for fault in met)) * all(fault.executes for fault in met)
            for _ in range(times):
                answer = self.edge.answer(received, sender, lag_ms)
            for fault in met:
                if fault.fault in REPLACING:
                    answer = faulty(fault, self.edge, sender, answer)
            return await self._after(request, received, met, answer or Answer(503, b"", {}, HTML))
        except Dropped:
            return web.Response()

    async def _after(
        self,
        request: web.BaseRequest,
        received: ReceivedRequest,
        met: list[Fault],
        answer: Answer,
    ) -> web.StreamResponse:
        for fault in met:
            if fault.fault == "delay_response":
                await asyncio.sleep(fault.ms / MS_PER_S)
            if fault.fault == "drop_response":
                await _drop(request, fault.how)
            if fault.fault == "garbage":
                await _write_garbage(request)
            if fault.fault == "reset_mid_body":
                await _break_off(request, answer, fault.how)
            if fault.fault == "drip_body":
                return await _drip(request, received, answer, fault.ms)
        received.status, received.error_code = answer.status, answer.error_code
        return _written(answer)


def _written(answer: Answer) -> web.Response:
    return web.Response(
        body=answer.body,
        status=answer.status,
        headers=answer.headers,
        content_type=answer.content_type,
        charset="utf-8",
    )


async def _before(request: web.BaseRequest, met: list[Fault]) -> int | None:
    """Carry out the faults that come before the execution, and tell the read lag they ask for."""
    lag_ms = None
    for fault in met:
        if fault.fault == "delay_request":
            await asyncio.sleep(fault.ms / MS_PER_S)
        if fault.fault == "drop_request":
            await _drop(request, fault.how)
        if fault.fault == "read_lag":
            lag_ms = fault.ms
    return lag_ms


async def _drop(request: web.BaseRequest, how: str) -> None:
    """End the connection without an answer: closed, reset, or silent until the client gives up.

    Raises:
        Dropped: always.
    """
    if how == "hang":
        await asyncio.sleep(LONGEST_HANG_S)
    if how == "reset":
        _reset(request)
    elif request.transport is not None:
        request.transport.close()
    raise Dropped


async def _break_off(request: web.BaseRequest, answer: Answer, how: str) -> None:
    """Send the headers and half of the body, then reset, close, or fall silent.

    Raises:
        Dropped: always.
    """
    response = await _begun(request, answer)
    await response.write(answer.body[: len(answer.body) // 2])
    await asyncio.sleep(HALF_BODY_FLUSH_S)
    await _drop(request, how)


async def _drip(request: web.BaseRequest, received: ReceivedRequest, answer: Answer, ms: int) -> web.StreamResponse:
    """Send the body in small pieces that take `ms` in all."""
    received.status, received.error_code = answer.status, answer.error_code
    response = await _begun(request, answer)
    size = -(-len(answer.body) // DRIPS) or 1
    for start in range(0, len(answer.body), size):
        await asyncio.sleep(ms / MS_PER_S / DRIPS)
        await response.write(answer.body[start : start + size])
    await response.write_eof()
    return response


async def _begun(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    headers = {**answer.headers, "Content-Length": str(len(answer.body)), "Content-Type": answer.content_type}
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(request)
    return response


async def _write_garbage(request: web.BaseRequest) -> None:
    """Send bytes that are no HTTP, then close.

    Raises:
        Dropped: always.
    """
    if request.transport is not None:
        request.transport.write(GARBAGE)
        await asyncio.sleep(HALF_BODY_FLUSH_S)
    await _drop(request, "close")


def _reset(request: web.BaseRequest) -> None:
    transport = request.transport
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    if raw is not None:
        # Lingering for zero seconds turns the close into a reset.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
