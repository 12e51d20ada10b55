"""A reserved language-model call, and the budget's windows as they are shown."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID


class ReservationStatus(StrEnum):
    """Where a reservation stands. Every status but NOT_SENT counts, at the moment it was reserved."""

    RESERVED = "RESERVED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    NOT_SENT = "NOT_SENT"
    LAPSED = "LAPSED"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a reserved call ended, as its caller says it."""

    status: ReservationStatus
    model: str
    input_tokens: int
    output_tokens: int
    cost: Decimal | None
    cost_currency: str


@dataclass(frozen=True, slots=True)
class Reservation:
    """One row of `gpt_usage_log`."""

    user_id: str
    reservation_id: UUID
    purpose: str
    reserved_at: datetime
    call_before: datetime
    outcome: Outcome
    settled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Window:
    """One limited window of a budget: `limit`, `used` and `left` in the unit of `name`."""

    name: str
    limit: Decimal
    used: Decimal
    left: Decimal
    next_free_at: datetime | None
