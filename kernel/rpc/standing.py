"""Whether the caller of an open stream still may have it; `kernel.rpc.interceptor` asks before each message.

A stream lives as long as its connection, an hour at most. Its caller is looked at again by the first message after what
clients may do has changed; as long as nothing did, that is one comparison.
"""

from collections.abc import Callable
from typing import Final

Number = Callable[[], int]
"""Says which access is in force: another number, another access."""


class Standing:
    """One stream's caller, who was admitted by the access of the moment it began."""

    __slots__ = ("_admit", "_in_force", "_seen")

    def __init__(self, in_force: Number, admit: Callable[[], None]) -> None:
        """Take who knows the number, and what passes the caller again or raises."""
        self._in_force: Final = in_force
        self._admit: Final = admit
        self._seen = in_force()

    def require(self) -> None:
        """Pass while the caller may go on.

        Raises:
            Forbidden: what was taken away.
        """
        if (number := self._in_force()) != self._seen:
            self._admit()
            self._seen = number
