"""One message on its way to many sockets: written, framed and compressed once, sent as the same bytes to all.

Server frames carry no mask (RFC 6455 §5.1), and a message compressed on its own is valid after any other (RFC 7692
§7.2.3), so nothing in a frame depends on the socket it goes to but the size of the compression window.
"""

from __future__ import annotations

import struct
import zlib

_TEXT, _COMPRESSED_TEXT = 0x81, 0xC1
_SHORTEST_16_BIT, _SHORTEST_64_BIT = 126, 65_536
_FLUSH_TAIL = 4
# Lighter than the library's default: the stream is sent to loopback.
_COMPRESSION_LEVEL = 1
_MEMORY_LEVEL = 8


class TextFrame:
    """A text message and its frames by compression window (0: uncompressed)."""

    __slots__ = ("_frames", "payload")

    def __init__(self, payload: bytes) -> None:
        """Take the text as UTF-8."""
        self.payload = payload
        self._frames: dict[int, bytes] = {}

    def frame(self, window_bits: int = 0) -> bytes:
        """The whole frame for a socket that agreed to this window."""
        found = self._frames.get(window_bits)
        if found is None:
            found = self._frames[window_bits] = _framed(self.payload, window_bits)
        return found


def _framed(payload: bytes, window_bits: int) -> bytes:
    if not window_bits:
        return _header(_TEXT, len(payload)) + payload
    squeezer = zlib.compressobj(_COMPRESSION_LEVEL, zlib.DEFLATED, -window_bits, _MEMORY_LEVEL)
    squeezed = (squeezer.compress(payload) + squeezer.flush(zlib.Z_SYNC_FLUSH))[:-_FLUSH_TAIL]
    return _header(_COMPRESSED_TEXT, len(squeezed)) + squeezed


def _header(first: int, length: int) -> bytes:
    if length < _SHORTEST_16_BIT:
        return bytes((first, length))
    if length < _SHORTEST_64_BIT:
        return struct.pack("!BBH", first, 126, length)
    return struct.pack("!BBQ", first, 127, length)
