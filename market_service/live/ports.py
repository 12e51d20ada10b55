"""What the live use cases need from one another and from outside; `feed` implements the first for the real socket."""

from collections.abc import AsyncIterator, Iterable
from typing import Protocol

from bitvavo.frames import Frame
from bitvavo.proof import Proof
from bitvavo.topics import Topic


class Hearing(Protocol):
    """The exchange's voice: topics are wanted by count, and what is said of them comes to a `Listener`."""

    def want(self, topic: Topic) -> None:
        """Hear of a topic, once more; the exchange is asked only by the first who wants it."""

    def release(self, topic: Topic) -> None:
        """Hear of it once less; the exchange goes on telling for a while, in case somebody comes back."""

    def hears(self, topic: Topic) -> bool:
        """Say whether the exchange has acknowledged the topic on the present socket."""

    @property
    def proof(self) -> Proof | None:
        """The newest moment before which all that the exchange said has arrived; None without a socket."""


class Listener(Protocol):
    """One kind of live data, told by the feed in the order of the frames."""

    def heard(self, frame: Frame) -> None:
        """Take a frame of this listener's channel."""

    def subscribed(self, topics: Iterable[Topic]) -> None:
        """Learn that frames of these topics come from now on."""

    def unsubscribed(self, topic: Topic) -> None:
        """Learn that nobody wants the topic any more and no frame of it will come."""

    def unreadable(self, market: str | None) -> None:
        """Learn that a frame could not be read: of this market, or of any."""

    def lost(self) -> None:
        """Learn that the socket is gone, and every subscription with it."""


class Line(Protocol):
    """One open socket, as `bitvavo.websocket.Socket` is."""

    @property
    def proof(self) -> Proof | None:
        """When the last answered ping left."""

    async def subscribe(self, topics: Iterable[Topic], request_id: int) -> None:
        """Ask to hear; the acknowledgement has the request id."""

    async def unsubscribe(self, topics: Iterable[Topic], request_id: int) -> None:
        """Ask to hear no more; the acknowledgement has the request id."""

    def frames(self) -> AsyncIterator[bytes]:
        """Say every frame; raises `SocketLostError` in the end."""

    async def close(self) -> None:
        """Close it."""


class Opener(Protocol):
    """Opens lines, as `bitvavo.websocket.SocketOpener` does."""

    async def open(self) -> Line:
        """Open one; raises `SocketRefusedError`."""


class Tap(Protocol):
    """Is shown everything as it arrives, such as a recorder."""

    def frame(self, raw: bytes, *, readable: bool) -> None:
        """See a frame, before anyone acts on it."""

    def socket(self, state: str) -> None:
        """See the socket "open" or "lost"."""
