"""The nine rights a client can be given, in one vocabulary for both services; what each opens is in their tables."""

from typing import Final

READ: Final = "read"
PROPOSE: Final = "propose"
BUDGET: Final = "budget"
APPROVE: Final = "approve"
OVERRIDE: Final = "override"
EXECUTE: Final = "execute"
PLACE: Final = "place"
HALT: Final = "halt"
ADMIN: Final = "admin"

ALL: Final = (READ, PROPOSE, BUDGET, APPROVE, OVERRIDE, EXECUTE, PLACE, HALT, ADMIN)

EVERYONE: Final = "*"
"""In place of users' names: all of them, for the rights below and no other."""
SERVED_FOR_EVERYONE: Final = frozenset({READ, ADMIN})
"""A user comes to exist by a proposal: one that nobody listed by name must not."""
MEANT_FOR_EVERYONE: Final = SERVED_FOR_EVERYONE | {HALT}
"""Rights that mean something beside "*": halting everything, or a market, names no user."""
