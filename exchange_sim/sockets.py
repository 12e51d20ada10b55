"""Serves WebSockets: handshake, messages in, pings, faults of messages; `broadcast` tells events.

The library does the handshake and reads frames; frames out are our own, so that one is written for many sockets.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import orjson
from aiohttp import WSMessage, WSMsgType, web

from exchange_sim.actions import SUBSCRIBE, UNSUBSCRIBE, Actions, Message, refused
from exchange_sim.broadcast import Broadcast
from exchange_sim.edge import Edge
from exchange_sim.faults import SOCKET_METHOD, Fault, Faults
from exchange_sim.ledger import ReceivedRequest
from exchange_sim.push_faults import PushFaults
from exchange_sim.rate_limits import ban_text
from exchange_sim.refusal import Refusal
from exchange_sim.socket_session import Session
from exchange_sim.text_frame import TextFrame

PATHS = ("/v2", "/ws")
MOST_MESSAGE_BYTES = 1024 * 1024
# Messages that faults delay, of all sockets together.
MOST_DELAYED_MESSAGES = 10_000
MS_PER_S = 1_000
PING = b"\x89\x04ping"
_PONG = 0x8A
FAULT_TEXT = "An injected fault."


class Sockets:
    """All WebSockets of one exchange."""

    def __init__(self, edge: Edge, faults: Faults) -> None:
        """Share an exchange, its limits and its faults with REST."""
        self.broadcast = Broadcast(edge.exchange, PushFaults(faults))
        self._edge = edge
        self._faults = faults
        self._actions = Actions(edge)
        self._sessions: dict[Session, float] = {}
        self._clock: asyncio.Task[None] | None = None
        self._delayed: set[asyncio.Task[None]] = set()
        self.cut_off = 0

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Carry one socket from its handshake to its end."""
        response = web.WebSocketResponse(autoping=False, max_msg_size=MOST_MESSAGE_BYTES)
        await response.prepare(request)
        transport = request.transport
        if transport is None:
            return response
        session = Session(transport, request.remote or "", int(response.compress))
        self._open(session)
        try:
            async for message in response:
                self._take(session, message)
        finally:
            self._close(session)
        return response

    async def stop(self) -> None:
        """End all sockets and what is delayed for them."""
        for session in list(self._sessions):
            session.close()
        tasks = [*self._delayed, *([] if self._clock is None else [self._clock])]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    def _open(self, session: Session) -> None:
        self._sessions[session] = self._next_ping_s()
        if self._clock is None:
            self._clock = asyncio.create_task(self._run())

    def _close(self, session: Session) -> None:
        self.broadcast.leave(session, session.subscriptions.topics)
        self._sessions.pop(session, None)
        self.cut_off += session.is_slow

    async def _run(self) -> None:
        """End a batch of events at each interval, ping who is due, and let go of what a stall held."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            self.broadcast.tick()
            now_s = loop.time()
            for session, ping_s in self._sessions.items():
                session.release()
                if now_s >= ping_s:
                    session.write(PING)
                    self._sessions[session] = self._next_ping_s()
            interval_s = max(1, self._edge.exchange.switches.book_batch_ms) / MS_PER_S
            due_s = max(due_s + interval_s, now_s)
            await asyncio.sleep(due_s - now_s)

    def _next_ping_s(self) -> float:
        return asyncio.get_running_loop().time() + self._edge.exchange.switches.ping_interval_ms / MS_PER_S

    def _take(self, session: Session, frame: WSMessage) -> None:
        """Cases: a text, answered; a ping, answered; a binary frame, which the exchange has no use for."""
        if frame.type is WSMsgType.PING:
            session.write(bytes((_PONG, len(frame.data))) + bytes(frame.data))
        elif frame.type is WSMsgType.TEXT:
            self._take_text(session, frame.data)
        elif frame.type is WSMsgType.BINARY:
            self._take_text(session, bytes(frame.data).decode("utf-8", "replace"))

    def _take_text(self, session: Session, text: str) -> None:
        message = self._actions.read(text)
        note = self._actions.received(session, message, text)
        self._edge.exchange.ledger.received(note)
        met = []
        if self._faults.rules:
            met = self._faults.meeting(SOCKET_METHOD, note.target, text.encode(), note.key or "")
        if not met:
            self._reply(session, self._execute(session, message, note))
            return
        note.faults = [fault.fault for fault in met]
        if len(self._delayed) >= MOST_DELAYED_MESSAGES:
            session.reset()
            return
        task = asyncio.create_task(self._take_with_faults(session, message, note, met))
        self._delayed.add(task)
        task.add_done_callback(self._delayed.discard)

    def _execute(
        self,
        session: Session,
        message: Message | None,
        note: ReceivedRequest,
        lag_ms: int | None = None,
    ) -> dict[str, object]:
        before = list(session.subscriptions.topics) if note.target in (SUBSCRIBE, UNSUBSCRIBE) else None
        reply = self._actions.answer(session, message, note, lag_ms)
        if before is not None:
            now = session.subscriptions.topics
            self.broadcast.leave(session, [topic for topic in before if topic not in now])
            known = set(before)
            self.broadcast.follow(session, [topic for topic in now if topic not in known])
        return reply

    def _reply(self, session: Session, reply: dict[str, object]) -> None:
        if self.broadcast.overtakes():
            self.broadcast.flush_account_events()
        # A snapshot comes after the events that it includes.
        self.broadcast.drain()
        session.send(TextFrame(orjson.dumps(reply)))

    async def _take_with_faults(
        self,
        session: Session,
        message: Message | None,
        note: ReceivedRequest,
        met: list[Fault],
    ) -> None:
        """Before executing: delays and drops. Then the reply, true or replaced. Then what happens to the reply."""
        lag_ms = None
        for fault in met:
            if fault.fault == "delay_request":
                await asyncio.sleep(fault.ms / MS_PER_S)
            if fault.fault == "drop_request":
                _drop(session, fault.how)
                return
            if fault.fault == "read_lag":
                lag_ms = fault.ms
        reply = None
        if all(fault.executes for fault in met):
            reply = self._execute(session, message, note, lag_ms)
        for fault in met:
            if fault.fault == "delay_response":
                await asyncio.sleep(fault.ms / MS_PER_S)
            if fault.fault == "drop_response":
                note.status = note.error_code = None
                _drop(session, fault.how)
                return
        session.send(TextFrame(self._replaced(session, message, met, reply, note)))

    def _replaced(
        self,
        session: Session,
        message: Message | None,
        met: list[Fault],
        reply: dict[str, object] | None,
        note: ReceivedRequest,
    ) -> bytes:
        """The text of the reply after the faults that write another."""
        text = orjson.dumps(reply) if reply is not None else b"{}"
        for fault in met:
            if fault.fault in ("error_code", "ban"):
                refusal = self._refusal(session, fault)
                note.status, note.error_code = refusal.status, refusal.code
                text = orjson.dumps(refused(self._edge, message, refusal))
            elif fault.fault == "truncated_json":
                text = text[: len(text) // 2]
            elif fault.fault == "oversized_body":
                text += b" " * fault.size_bytes
            elif fault.fault == "replace_body":
                text = fault.body.encode()
        return text

    def _refusal(self, session: Session, fault: Fault) -> Refusal:
        if fault.fault == "error_code":
            return Refusal(fault.code, FAULT_TEXT)
        bucket, now_ms = self._edge.bucket(session.key, session.address), self._edge.exchange.now_ms()
        self._edge.limits.ban(bucket, now_ms)
        if fault.ms:
            bucket.banned_until_ms = now_ms + fault.ms
        return Refusal(105, ban_text(bucket.banned_until_ms))


def is_handshake(request: web.BaseRequest) -> bool:
    """Whether a request asks for a WebSocket at an address that has one."""
    path = request.raw_path.partition("?")[0]
    return request.headers.get("upgrade", "").lower() == "websocket" and path.startswith(PATHS)


def _drop(session: Session, how: str) -> None:
    """Leave a message without a reply: closed, reset, or silent while the socket stays open."""
    if how == "close":
        session.close()
    elif how == "reset":
        session.reset()
