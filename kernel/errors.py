"""The failures a use case may raise, by kind; `kernel.rpc.status` turns each into one gRPC status.

A denial is an answer, not a failure. `reason` is always a value of the service's `ErrorReason` enum, so that a
caller can branch on it; `metadata` carries what changes, as text. No failure carries another exception's text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One wrong field: its path in the request, and what was expected."""

    path: str
    description: str


@dataclass(frozen=True, slots=True)
class StateViolation:
    """One unmet condition: its type, what it is about, and what would mend it."""

    type: str
    subject: str
    description: str


@dataclass(eq=False)
class Failure(Exception):  # noqa: N818 - the project's word; "error" is what a client sees
    """Something that could not be decided. Subclasses name the kind."""

    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    def __str__(self) -> str:
        """Return reason and message, for logs."""
        return f"{self.reason}: {self.message}"


@dataclass(eq=False)
class Invalid(Failure):
    """The request can never be served as it is (INVALID_ARGUMENT); every wrong field is named."""

    violations: tuple[FieldViolation, ...] = ()


@dataclass(eq=False)
class NotFound(Failure):
    """What the request names does not exist, or not for this user (NOT_FOUND)."""


@dataclass(eq=False)
class Conflict(Failure):
    """The id exists with other contents (ALREADY_EXISTS)."""


@dataclass(eq=False)
class NotNow(Failure):
    """The state of things forbids it; repeating alone does not help (FAILED_PRECONDITION)."""

    violations: tuple[StateViolation, ...] = ()


@dataclass(eq=False)
class Forbidden(Failure):
    """The caller lacks the right (PERMISSION_DENIED)."""


@dataclass(eq=False)
class Exhausted(Failure):
    """A budget or limit is used up; try again after `retry_after_seconds` (RESOURCE_EXHAUSTED)."""

    retry_after_seconds: float = 1.0


@dataclass(eq=False)
class Unavailable(Failure):
    """Something this service needs is down; nothing was changed; try again later (UNAVAILABLE)."""

    retry_after_seconds: float = 1.0
