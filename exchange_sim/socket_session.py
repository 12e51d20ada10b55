"""One WebSocket: who it acts for, what it hears, how fast it talks, and the bounded way out to its client.

Callers: `sockets` reads messages into it, `broadcast` writes events to it.
"""

from __future__ import annotations

import socket
import struct
import time
from asyncio import Transport

from exchange_sim.accounts import ApiKey
from exchange_sim.refusal import Refusal
from exchange_sim.subscriptions import Subscriptions
from exchange_sim.text_frame import TextFrame

# A client that reads slower than it is written to is cut off at this many unsent bytes.
MOST_UNSENT_BYTES = 16 * 1024 * 1024
MOST_MESSAGES_PER_S = 5_000
# Frames kept for a socket that is stalled for a while; the older ones are lost, as are all of one stalled for ever.
MOST_HELD_FRAMES = 10_000
FOR_EVER_S = float("inf")


class Session:
    """The server's side of one socket."""

    def __init__(self, transport: Transport, address: str, window_bits: int) -> None:
        """Open a session; `window_bits` is the agreed compression window, 0 for none."""
        self.transport = transport
        self.address = address
        self.window_bits = window_bits
        self.key: ApiKey | None = None
        self.subscriptions = Subscriptions()
        self.is_slow = False
        self._second = 0
        self._messages = 0
        self._stalled_until_s = 0.0
        self._held: list[bytes] = []

    def count_message(self) -> None:
        """Count one message of the client.

        Raises:
            Refusal: 112, more messages in this second than a session may send.
        """
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._messages = second, 0
        self._messages += 1
        if self._messages > MOST_MESSAGES_PER_S:
            raise Refusal(112, f"Too many messages: at most {MOST_MESSAGES_PER_S} per second are allowed.")

    @property
    def is_stalled(self) -> bool:
        """Whether nothing leaves at present."""
        return bool(self._stalled_until_s) and time.monotonic() < self._stalled_until_s

    def stall(self, seconds: float) -> None:
        """Let nothing leave for a while; what is written meanwhile leaves afterwards."""
        self._stalled_until_s = time.monotonic() + seconds

    def send(self, message: TextFrame) -> None:
        """Write one message."""
        self.write(message.frame(self.window_bits))

    def write(self, frames: bytes) -> None:
        """Write whole frames, or cut the client off when too much is unsent."""
        if self.is_stalled:
            if self._stalled_until_s != FOR_EVER_S and len(self._held) < MOST_HELD_FRAMES:
                self._held.append(frames)
            return
        if self._held:
            self.release()
        transport = self.transport
        if transport.is_closing():
            return
        if transport.get_write_buffer_size() > MOST_UNSENT_BYTES:
            self.is_slow = True
            transport.abort()
            return
        transport.write(frames)

    def release(self) -> None:
        """Write what was held during a stall that is over."""
        if self._held and not self.is_stalled:
            held, self._held = b"".join(self._held), []
            self.write(held)

    def close(self) -> None:
        """End the connection without a closing handshake."""
        self.transport.close()

    def reset(self) -> None:
        """End the connection with a reset."""
        raw = self.transport.get_extra_info("socket")
        if raw is not None:
            # Lingering for zero seconds turns the close into a reset.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
