"""Who is calling, what he may do and for whom; the current call's actor is kept here.

On plaintext, which the server serves on loopback only, the caller is whoever has a shell on this machine: the
actor `local` with every right, recorded as unauthenticated. Over TLS `kernel.rpc.access` says who he is.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, TypeAlias

from kernel.errors import Forbidden
from kernel.rpc import reasons
from kernel.rpc.call import Context
from kernel.rpc.rights import EVERYONE, SERVED_FOR_EVERYONE

EVERY_RIGHT: Final = "*"
OPEN: Final = ""
"""In a table of rights: a method that anyone who can connect may call (health, reflection)."""

Right: TypeAlias = "str | tuple[str, ...]"
"""What a method needs: a right, or one of several."""


@dataclass(frozen=True, slots=True)
class Actor:
    """A caller: his name as it is recorded, whether it was proved, his rights, and the users he may speak for.

    `certificate`: SHA-256 of the certificate he came with, in hex; empty on plaintext.
    """

    name: str
    authenticated: bool
    rights: frozenset[str]
    users: frozenset[str] = frozenset()
    certificate: str = ""

    def may(self, right: Right) -> bool:
        """Say whether the actor has the right, or one of them; everyone has `OPEN`."""
        return right == OPEN or EVERY_RIGHT in self.rights or not self.rights.isdisjoint(_each(right))

    def serves(self, user: str, right: Right) -> bool:
        """Say whether he may use the right for that user; an empty name stands for all users at once."""
        if user and user in self.users:
            return True
        return EVERYONE in self.users and (EVERY_RIGHT in self.rights or SERVED_FOR_EVERYONE.issuperset(_each(right)))


LOCAL: Final = Actor("local", authenticated=False, rights=frozenset({EVERY_RIGHT}), users=frozenset({EVERYONE}))
NOBODY: Final = Actor("nobody", authenticated=False, rights=frozenset())

Identify = Callable[[Context], Actor]

_current: Final[ContextVar[Actor]] = ContextVar("actor", default=NOBODY)


def identify_local(context: Context) -> Actor:
    """Derive the actor from a plaintext connection, never from a header or a field of the request."""
    kinds = context.auth_context().get("transport_security_type", ())
    return LOCAL if list(kinds) == [b"insecure"] else NOBODY


def current_actor() -> Actor:
    """Return the actor of the call this task serves; outside a call, an actor without any right."""
    return _current.get()


def act_as(actor: Actor) -> None:
    """Make `actor` the current one for this task and the tasks it starts (the interceptor; background loops)."""
    _current.set(actor)


def require(right: Right) -> None:
    """Pass when the current actor has the right, or one of them.

    Raises:
        Forbidden: he has not; the right is in the metadata.
    """
    actor = current_actor()
    if not actor.may(right):
        needed = " or ".join(_each(right))
        raise Forbidden(reasons.RIGHT_MISSING, f"{actor.name} lacks the right {needed}", metadata={"right": needed})


def require_user(user: str, right: Right) -> None:
    """Pass when the current actor may use `right` for `user`; the interceptor asks this for users a request names.

    Raises:
        Forbidden: he may not; user and right are in the metadata.
    """
    actor = current_actor()
    if not actor.serves(user, right):
        whom = f"the user {user}" if user else "all users at once"
        used = " or ".join(_each(right))
        message = f"{actor.name} may not use the right {used} for {whom}"
        raise Forbidden(reasons.USER_NOT_ALLOWED, message, metadata={"user": user, "right": used})


def _each(right: Right) -> tuple[str, ...]:
    return (right,) if isinstance(right, str) else right
