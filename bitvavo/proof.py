"""What is said of a WebSocket to those who never see one: that it was refused or lost, and until when it was alive."""

from dataclasses import dataclass
from datetime import datetime


class SocketRefusedError(Exception):
    """No socket: `too_soon` when the exchange says that we open them too quickly (HTTP 429)."""

    def __init__(self, reason: str, *, too_soon: bool = False) -> None:
        """Keep a reason of ours; no text of another library."""
        super().__init__(reason)
        self.too_soon = too_soon


class SocketLostError(Exception):
    """The socket is of no use any more: closed, reset, silent, or it sent what is no text frame.

    `too_soon` when the exchange says that our messages come too fast.
    """

    def __init__(self, reason: str, *, too_soon: bool = False) -> None:
        """Keep a reason of ours; no text of another library."""
        super().__init__(reason)
        self.too_soon = too_soon


@dataclass(frozen=True, slots=True)
class Proof:
    """A moment at which the exchange had certainly not yet said what has not arrived: wall clock and monotonic."""

    as_of: datetime
    at: float
