"""Keeps one socket to the exchange open as long as anything is wanted, and tells each listener its frames.

`app` runs it beside the server. However many readers want a topic, the exchange is asked for it once (see `wants`).
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from bitvavo.frames import (
    BookDelta,
    CandleChange,
    Frame,
    MalformedFrameError,
    Refused,
    Subscribed,
    TickerChange,
    TradeSeen,
    read_frame,
)
from bitvavo.proof import Proof, SocketLostError, SocketRefusedError
from bitvavo.reconnect import Backoff
from bitvavo.topics import MAX_TOPICS_PER_MESSAGE, Channel, Topic
from kernel import logs
from kernel.alarms import raise_alarm
from kernel.telemetry import counter, gauge
from market_service.live.ports import Line, Listener, Opener, Tap
from market_service.live.wants import Wants

ACKNOWLEDGED_SECONDS: Final = 5.0
SUBSCRIPTION_REFUSED: Final = "SUBSCRIPTION_REFUSED"
RATE_CODES: Final = frozenset({105, 110, 112})
"""The exchange's codes for messages that came too fast: https://docs.bitvavo.com/docs/errors/."""

_CHANNELS: Final[Mapping[type, Channel]] = {
    BookDelta: Channel.BOOK,
    TickerChange: Channel.TICKER,
    TradeSeen: Channel.TRADES,
    CandleChange: Channel.CANDLES,
}

_FRAMES: Final = counter("market_frames_total", "Frames of the exchange's WebSocket, by what became of them.", ["how"])
_SOCKETS: Final = counter("market_sockets_total", "Attempts at a WebSocket to the exchange, by their end.", ["end"])
_TOPICS: Final = gauge("market_topics", "Topics that the exchange has acknowledged on the present socket.")

Pay = Callable[[], Awaitable[None]]


class Feed:
    """The exchange's voice. Belongs to one event loop."""

    def __init__(
        self,
        opener: Opener,
        pay: Pay,
        *,
        tap: Tap | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Open sockets by `opener`; `pay` waits until a message may be sent; `tap` is shown all that arrives."""
        self._opener = opener
        self._pay = pay
        self._tap = tap
        self._monotonic = monotonic
        self._backoff = Backoff(chance)
        self._wants = Wants(monotonic)
        self._listeners: dict[Channel, Listener] = {}
        self._line: Line | None = None
        self._hearing: set[Topic] = set()
        self._asked: dict[int, Sequence[Topic]] = {}
        self._again: list[Sequence[Topic]] = []
        self._requests = 0
        self._counted = {how: _FRAMES.labels(how) for how in ("told", "answer", "unasked", "unreadable")}

    def listen(self, channel: Channel, listener: Listener) -> None:
        """Tell `listener` the frames of a channel; once for each channel, before anything is wanted."""
        self._listeners[channel] = listener

    def want(self, topic: Topic) -> None:
        """Hear of a topic, once more."""
        self._wants.add(topic)

    def release(self, topic: Topic) -> None:
        """Hear of it once less; it lingers."""
        self._wants.remove(topic)

    def hears(self, topic: Topic) -> bool:
        """Say whether the exchange has acknowledged the topic on the present socket."""
        return topic in self._hearing

    @property
    def proof(self) -> Proof | None:
        """The newest moment before which all that the exchange said has arrived; None without a socket."""
        return None if self._line is None else self._line.proof

    async def run(self) -> None:
        """Converse until cancelled."""
        while True:
            await self._wants.some()
            pause_seconds = await self._once()
            await asyncio.sleep(pause_seconds)

    async def _once(self) -> float:
        """Open a socket and use it to its end; return how long to wait before the next."""
        try:
            line = await self._opener.open()
        except SocketRefusedError as refusal:
            _SOCKETS.labels("too_soon" if refusal.too_soon else "refused").inc()
            logs.log("socket_refused", level=logs.WARNING, reason=str(refusal))
            return self._backoff.refused() if refusal.too_soon else self._backoff.failed()
        opened, too_soon = self._monotonic(), False
        self._line = line
        self._show("open")
        try:
            await self._converse(line)
        except* SocketLostError as lost:
            _SOCKETS.labels("lost").inc()
            logs.log("socket_lost", level=logs.WARNING, reason=str(lost.exceptions[0]))
            too_soon = lost.subgroup(_is_too_soon) is not None
        finally:
            self._forget()
            await line.close()
        pause_seconds = self._backoff.lost(self._monotonic() - opened) if self._wants else 0.0
        return self._backoff.refused() if too_soon else pause_seconds

    async def _converse(self, line: Line) -> None:
        # The socket ends when it is lost, or when nothing has been wanted for a while.
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(self._ask(line))
            reading = tasks.create_task(self._read(line))
            await asyncio.wait((asking, reading), return_when=asyncio.FIRST_COMPLETED)
            reading.cancel()
            asking.cancel()

    async def _read(self, line: Line) -> None:
        async for raw in line.frames():
            self._take(raw)

    async def _ask(self, line: Line) -> None:
        """Make the exchange tell what is wanted and nothing else, until nothing is."""
        asked: set[Topic] = set()
        while wanted := self._wants.now():
            for topics in _in_messages(sorted(wanted - asked)):
                await self._subscribe(line, topics)
                asked.update(topics)
            for topics in _in_messages(sorted(asked - wanted)):
                asked.difference_update(await self._let_go(line, topics))
            await self._acknowledged(line)
            await self._wants.changed()

    async def _subscribe(self, line: Line, topics: Sequence[Topic]) -> None:
        await self._pay()
        # Noted before it is sent: the acknowledgement may be read while we still wait for the send.
        self._asked[self._next_request()] = topics
        await line.subscribe(topics, self._requests)

    async def _let_go(self, line: Line, topics: Sequence[Topic]) -> Sequence[Topic]:
        """Return what nobody wants any more, after the wait for the points too: who came back meanwhile misses nothing.

        The listeners are told before it is sent: whoever comes back during the send finds nothing and begins anew.
        """
        await self._pay()
        gone = [topic for topic in topics if topic not in self._wants]
        self._unhear(gone)
        if gone:
            await line.unsubscribe(gone, self._next_request())
        return gone

    def _next_request(self) -> int:
        self._requests += 1
        return self._requests

    async def _acknowledged(self, line: Line) -> None:
        ends = self._monotonic() + ACKNOWLEDGED_SECONDS
        while self._asked or self._again:
            if self._again:
                await self._subscribe(line, self._again.pop())
                ends = self._monotonic() + ACKNOWLEDGED_SECONDS
            if self._monotonic() > ends:
                raise SocketLostError("a subscription was not acknowledged")
            await asyncio.sleep(0.01)

    def _take(self, raw: bytes) -> None:
        try:
            frame = read_frame(raw)
        except MalformedFrameError as error:
            self._unreadable(raw, error)
            return
        if self._tap is not None:
            self._tap.frame(raw, readable=True)
        channel = _CHANNELS.get(type(frame))
        if channel is not None and channel in self._listeners:
            self._counted["told"].inc()
            self._listeners[channel].heard(frame)
        else:
            self._answered(frame)

    def _answered(self, frame: Frame) -> None:
        if isinstance(frame, Subscribed):
            self._counted["answer"].inc()
            self._subscribed(frame)
        elif isinstance(frame, Refused):
            self._counted["answer"].inc()
            self._refused(frame)
        else:
            self._counted["unasked"].inc()

    def _subscribed(self, frame: Subscribed) -> None:
        topics = self._asked.pop(self._request_of(frame), ())
        new = [topic for topic in topics if topic in frame.topics and topic not in self._hearing]
        self._hearing.update(new)
        _TOPICS.set(len(self._hearing))
        for channel, listener in self._listeners.items():
            if mine := [topic for topic in new if topic.channel is channel]:
                listener.subscribed(mine)

    def _request_of(self, frame: Subscribed) -> int:
        # Whether an acknowledgement names its request is not documented: one that does not is of what it lists.
        if frame.request_id is not None:
            return frame.request_id
        return next((number for number, topics in self._asked.items() if frame.topics.issuperset(topics)), 0)

    def _refused(self, frame: Refused) -> None:
        # What is too fast ends the socket. Nothing of a message is heard when one topic of it is refused, such as a
        # market that is gone: its halves are asked for, until only that one is left out.
        topics = self._asked.pop(frame.request_id or 0, ())
        if frame.code in RATE_CODES:
            raise SocketLostError("the exchange refuses messages that come too fast", too_soon=True)
        if len(topics) > 1:
            half = len(topics) // 2
            self._again += [topics[half:], topics[:half]]
        elif topics:
            message = "the exchange refused a subscription"
            raise_alarm(SUBSCRIPTION_REFUSED, message, subject=topics[0].market, exchange_code=frame.code)

    def _unreadable(self, raw: bytes, error: MalformedFrameError) -> None:
        self._counted["unreadable"].inc()
        logs.log("frame_unreadable", level=logs.WARNING, reason=str(error), market=error.market, bytes=len(raw))
        if self._tap is not None:
            self._tap.frame(raw, readable=False)
        for listener in self._listeners.values():
            listener.unreadable(error.market)

    def _unhear(self, topics: Sequence[Topic]) -> None:
        for topic in topics:
            self._hearing.discard(topic)
            if topic.channel in self._listeners:
                self._listeners[topic.channel].unsubscribed(topic)
        _TOPICS.set(len(self._hearing))

    def _forget(self) -> None:
        self._line = None
        self._hearing.clear()
        self._asked.clear()
        self._again.clear()
        _TOPICS.set(0)
        self._show("lost")
        for listener in self._listeners.values():
            listener.lost()

    def _show(self, state: str) -> None:
        if self._tap is not None:
            self._tap.socket(state)


def _is_too_soon(error: BaseException) -> bool:
    return isinstance(error, SocketLostError) and error.too_soon


def _in_messages(topics: Sequence[Topic]) -> list[Sequence[Topic]]:
    # One channel a message: a refusal of one then leaves the others alone.
    split: dict[Channel, list[Topic]] = {}
    for topic in topics:
        split.setdefault(topic.channel, []).append(topic)
    most = MAX_TOPICS_PER_MESSAGE
    return [each[at : at + most] for each in split.values() for at in range(0, len(each), most)]
