"""An HTTP/2 connection that keeps no rule: frames are sent as a test builds them, and what comes back is counted."""

import asyncio
import ssl
import struct
from collections import Counter
from contextlib import suppress
from typing import Self

from hpack import Decoder, Encoder
from hyperframe.exceptions import HyperframeError
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEADER_BYTES = 9
FRAME_BYTES = 16_384
TAKEN_SECONDS = 10.0
"""How long a write may wait for the server to read before the connection counts as not taken any more."""
UNREAD_SECONDS = 1.0
"""The same, where nothing is read here: a server that waits for that reads no more itself."""
MAX_UNSENT_BYTES = 1024 * 1024
LARGEST_WINDOW = 2**31 - 1


class Wire:
    """One connection. Counted: `seen`, frames received by name; `resets`, codes of RST_STREAM; `statuses`, of calls."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._encoder = Encoder()
        self._decoder = Decoder()
        self._listening: asyncio.Task[None] | None = None
        self.seen: Counter[str] = Counter()
        self.resets: Counter[int] = Counter()
        self.statuses: Counter[int] = Counter()
        self.answering = True
        """Whether SETTINGS and PING are acknowledged; not while a block of headers is left open."""
        self._taken_seconds = TAKEN_SECONDS
        self.goaway: GoAwayFrame | None = None
        self.ended = asyncio.Event()

    @classmethod
    async def connect(cls, address: str, context: ssl.SSLContext | None = None) -> Self:
        """Open a connection and say nothing on it."""
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
        return cls(reader, writer)

    @classmethod
    async def open(cls, address: str, context: ssl.SSLContext | None = None, **settings: int) -> Self:
        """Open a connection, send preface and SETTINGS (by the names of `SettingsFrame`), and listen."""
        wire = await cls.connect(address, context)
        codes = {getattr(SettingsFrame, name): value for name, value in settings.items()}
        wire.listen()
        await wire.send(PREFACE, SettingsFrame(settings=codes), WindowUpdateFrame(0, LARGEST_WINDOW - 65_535))
        return wire

    def listen(self) -> None:
        """Read and count what comes, until the end; a wire that does not listen takes what its buffers hold."""
        self._listening = asyncio.create_task(self._listen())

    async def send(self, *frames: Frame | bytes) -> bool:
        """Write; False once the server has gone or reads no more."""
        if self.ended.is_set():
            return False
        self._writer.write(b"".join(each if isinstance(each, bytes) else each.serialize() for each in frames))
        try:
            async with asyncio.timeout(self._taken_seconds):
                await self._writer.drain()
                await asyncio.sleep(0)  # a drain that need not wait lets nobody else run
        except (OSError, TimeoutError):
            self.ended.set()
        return not self.ended.is_set()

    def push(self, *frames: Frame) -> None:
        """Write without waiting for the server to take it, as long as there is room for it here."""
        if not self.ended.is_set() and self._writer.transport.get_write_buffer_size() < MAX_UNSENT_BYTES:
            self._writer.write(b"".join(each.serialize() for each in frames))

    def stop_reading(self) -> None:
        """Take nothing any more that the server sends."""
        if self._listening is not None:
            self._listening.cancel()
        self._taken_seconds = UNREAD_SECONDS
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]  # typed for writing only

    async def until(self, answered: int, seconds: float = 20.0) -> None:
        """Wait until so many calls have got a status."""
        async with asyncio.timeout(seconds):
            while self.statuses.total() < answered:  # noqa: ASYNC110 - frames have no event
                await asyncio.sleep(0.02)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Cut the connection."""
        if self._listening is not None:
            self._listening.cancel()
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()

    def headers(self, stream: int, path: str, *more: tuple[str, str], whole: bool = True) -> HeadersFrame:
        """Build the head of a call in one frame; not `whole` leaves it open for CONTINUATION."""
        return HeadersFrame(stream, self._block(path, more), flags=["END_HEADERS"] if whole else [])

    def call(self, stream: int, path: str, message: bytes = b"", *more: tuple[str, str]) -> list[Frame]:
        """Build a whole call: head, in as many frames as it needs, one message, end."""
        block = self._block(path, more)
        first, *rest = (block[at : at + FRAME_BYTES] for at in range(0, len(block), FRAME_BYTES))
        head: list[Frame] = [HeadersFrame(stream, first, flags=[] if rest else ["END_HEADERS"])]
        head += [continuation(stream, each, last=each is rest[-1]) for each in rest]
        return [*head, DataFrame(stream, framed(message), flags=["END_STREAM"])]

    def _block(self, path: str, more: tuple[tuple[str, str], ...]) -> bytes:
        usual = [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", path)]
        usual += [("te", "trailers"), ("content-type", "application/grpc"), *more]
        return bytes(self._encoder.encode(usual, huffman=False))

    def data(self, stream: int, fragment: bytes, *flags: str) -> DataFrame:
        """Build a piece of a message."""
        return DataFrame(stream, fragment, flags=flags)

    def window(self, stream: int, more_bytes: int) -> WindowUpdateFrame:
        """Build leave to send so many bytes more."""
        return WindowUpdateFrame(stream, more_bytes)

    async def _listen(self) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, HyperframeError):
            while True:
                frame, length = Frame.parse_frame_header(memoryview(await self._reader.readexactly(FRAME_HEADER_BYTES)))
                frame.parse_body(memoryview(await self._reader.readexactly(length)))
                self._note(frame)
        self.ended.set()

    def _note(self, frame: Frame) -> None:
        self.seen[type(frame).__name__.removesuffix("Frame")] += 1
        if isinstance(frame, RstStreamFrame):
            self.resets[frame.error_code] += 1
        elif isinstance(frame, GoAwayFrame):
            self.goaway = frame
        elif isinstance(frame, HeadersFrame):
            fields = self._decoder.decode(frame.data, raw=True)
            self.statuses.update(int(value) for name, value in fields if name == b"grpc-status")
        elif self.answering and isinstance(frame, SettingsFrame | PingFrame) and "ACK" not in frame.flags:
            answer = (
                SettingsFrame(flags=["ACK"]) if isinstance(frame, SettingsFrame) else ping(frame.opaque_data, "ACK")
            )
            self._writer.write(answer.serialize())


def framed(message: bytes, *, compressed: bool = False) -> bytes:
    """Put gRPC's five bytes before a message."""
    return struct.pack(">?I", compressed, len(message)) + message


def ping(opaque: bytes = bytes(8), *flags: str) -> PingFrame:
    """Build a PING."""
    return PingFrame(0, opaque, flags=flags)


def reset(stream: int) -> RstStreamFrame:
    """Build a cancellation of a stream."""
    return RstStreamFrame(stream, error_code=8)


def continuation(stream: int, fragment: bytes, *, last: bool = False) -> ContinuationFrame:
    """Build a CONTINUATION."""
    return ContinuationFrame(stream, fragment, flags=["END_HEADERS"] if last else [])
