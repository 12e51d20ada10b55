"""Who is calling and what he may do; identity is derived here and nowhere else.

On plaintext, which the server serves on loopback only, the caller is whoever has a shell on this machine: the
actor `local` with every right, recorded as unauthenticated.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from kernel.errors import Forbidden
from kernel.rpc import reasons
from kernel.rpc.call import Context

EVERY_RIGHT: Final = "*"
OPEN: Final = ""
"""In a table of rights: a method that anyone who can connect may call (health, reflection)."""


@dataclass(frozen=True, slots=True)
class Actor:
    """A caller: his name as it is recorded, whether it was proved, and his rights."""

    name: str
    authenticated: bool
    rights: frozenset[str]

    def may(self, right: str) -> bool:
        """Say whether the actor has the right; everyone has `OPEN`."""
        return right == OPEN or right in self.rights or EVERY_RIGHT in self.rights


LOCAL: Final = Actor("local", authenticated=False, rights=frozenset({EVERY_RIGHT}))
NOBODY: Final = Actor("nobody", authenticated=False, rights=frozenset())

_current: Final[ContextVar[Actor]] = ContextVar("actor", default=NOBODY)


def identify(context: Context) -> Actor:
    """Derive the actor from the connection, never from a header or a field of the request."""
    kinds = context.auth_context().get("transport_security_type", ())
    return LOCAL if list(kinds) == [b"insecure"] else NOBODY


def current_actor() -> Actor:
    """Return the actor of the call this task serves; outside a call, an actor without any right."""
    return _current.get()


def act_as(actor: Actor) -> None:
    """Make `actor` the current one for this task and the tasks it starts (the interceptor; background loops)."""
    _current.set(actor)


def require(right: str) -> None:
    """Pass when the current actor has the right.

    Raises:
        Forbidden: he has not; the right is in the metadata.
    """
    actor = current_actor()
    if not actor.may(right):
        raise Forbidden(reasons.RIGHT_MISSING, f"{actor.name} lacks the right {right}", metadata={"right": right})
