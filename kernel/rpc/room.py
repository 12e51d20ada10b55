"""How many calls are served at once, and how much of that one caller, or streams, can take.

gRPC's own limit answers without details and knows no callers; this one says when to come again, and leaves others a
place. A seat is held until gRPC has handed the whole answer over, so that what nobody reads stays counted.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final

from kernel.errors import Exhausted
from kernel.rpc import reasons

SHARE_PERCENT: Final = 75
"""Of the seats: what streams may hold together, and what one proved caller may. Streams stay, and would leave no
seat for a question; one caller who goes wrong would leave none for the kill switch."""

Leave = Callable[[object], None]


class Room:
    """The seats of a server, or of a service of it that must be answered whatever the others do."""

    def __init__(self, seats: int) -> None:
        """Begin empty."""
        self._seats = seats
        self._share = max(1, seats * SHARE_PERCENT // 100)
        self._taken = 0
        self._streams = 0
        self._of_caller: Counter[str] = Counter()

    def enter(self, caller: str | None, *, stream: bool) -> Leave:
        """Take a seat; `caller` is None for one who did not prove who he is. Returns how to leave, once.

        Raises:
            Exhausted: there is none, or none for him.
        """
        self._require(caller, stream=stream)
        self._count(caller, 1, stream=stream)
        return lambda _: self._count(caller, -1, stream=stream)

    def _require(self, caller: str | None, *, stream: bool) -> None:
        if self._taken >= self._seats:
            raise _full(f"{self._seats} calls are being served")
        if stream and self._streams >= self._share:
            raise _full(f"{self._share} streams are open")
        if caller is not None and self._of_caller[caller] >= self._share:
            raise _full(f"{self._share} calls of {caller} are being served")

    def _count(self, caller: str | None, by: int, *, stream: bool) -> None:
        self._taken += by
        self._streams += by if stream else 0
        if caller is not None:
            self._of_caller[caller] += by
            if not self._of_caller[caller]:
                del self._of_caller[caller]


def _full(what: str) -> Exhausted:
    return Exhausted(reasons.OVERLOADED, f"{what}; nothing was done")
