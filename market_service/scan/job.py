"""What a scan job is, and what became of one of its slots; everything in `market_service.scan` speaks in these words.

A slot is the moment a job was to run at; its name for ever. The fence is the number of the claim under which
something is written.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from kernel.decimals import plain


class AnalystKind(StrEnum):
    """Who judges a snapshot: fixed rules, or a language model, whose calls are reserved first."""

    RULES = "RULES"
    MODEL = "MODEL"


class MissedPolicy(StrEnum):
    """What happens to slots whose moment passed unclaimed; docs/scans.md has the table."""

    SKIP = "SKIP"
    LATEST_ONCE = "LATEST_ONCE"
    BACKFILL = "BACKFILL"


class JobStatus(StrEnum):
    """Whether slots become due."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"


class RunStatus(StrEnum):
    """What became of a slot. Only DECIDED is not final: the opinion is kept and not proposed yet."""

    DECIDED = "DECIDED"
    GATED = "GATED"
    BUDGET_DENIED = "BUDGET_DENIED"
    HELD = "HELD"
    PROPOSED = "PROPOSED"
    FAILED = "FAILED"


class Side(StrEnum):
    """What an analyst says: buy, sell, or leave it."""

    BUY = "BUY"
    SELL = "SELL"
    HOLD = "HOLD"


@dataclass(frozen=True, slots=True)
class Pace:
    """How often: `every`, moved within `least` and `most` by volatility and failures; all equal is a fixed pace.

    `reference_volatility` is the volatility at which `every` is right; None: volatility does not move the pace.
    """

    every: timedelta
    least: timedelta
    most: timedelta
    reference_volatility: Decimal | None


@dataclass(frozen=True, slots=True)
class Gate:
    """What a snapshot must show to reach the analyst; None asks nothing. Moves count in either direction."""

    min_volatility: Decimal | None = None
    min_move_1h: Decimal | None = None
    min_volume_z: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """What a caller asked for; never changes. Amounts None: that side is never proposed."""

    job_id: UUID
    user_id: str
    market: str
    analyst: AnalystKind
    pace: Pace
    missed: MissedPolicy
    backfill_max: int
    scans_per_day: int
    gate: Gate
    buy_quote_amount: Decimal | None
    sell_amount: Decimal | None
    valid_for: timedelta | None

    def content_hash(self) -> str:
        """Return the SHA-256 over every field, by name; equal contents have equal hashes."""
        text = "\n".join(f"{name}={value}" for name, value in _written(self).items())
        return hashlib.sha256(text.encode()).hexdigest()

    def differing(self, other: "Content") -> tuple[str, ...]:
        """Name the fields in which another content differs."""
        ours, theirs = _written(self), _written(other)
        return tuple(name for name in ours if ours[name] != theirs[name])


@dataclass(frozen=True, slots=True)
class Hold:
    """Who holds a job: his boot's id and name, since when and until when, by the database clock."""

    owner: UUID
    owner_name: str
    claimed_at: datetime
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Job:
    """A job as stored."""

    content: Content
    status: JobStatus
    pace: timedelta
    next_slot: datetime
    requested_slot: datetime | None
    fence: int
    hold: Hold | None
    failures: int
    counted_on: date
    counted: int
    missed: int
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """A job claimed by this boot at `now` (database clock): what a run needs of it.

    `fence`: under which its writes are made. `attempt` counts claims since a slot last ended.
    """

    content: Content
    pace: timedelta
    next_slot: datetime
    requested_slot: datetime | None
    fence: int
    failures: int
    counted_on: date
    counted: int
    now: datetime
    attempt: int

    @property
    def job_id(self) -> UUID:
        """Whose claim it is."""
        return self.content.job_id

    @property
    def key(self) -> tuple[UUID, int]:
        """Job and fence: one claim and no other."""
        return self.job_id, self.fence


@dataclass(frozen=True, slots=True)
class Opinion:
    """What an analyst said: data that cannot approve, override or raise a limit.

    `amount` in the quote asset for BUY, in the base asset for SELL, None for HOLD.
    """

    side: Side
    confidence: int
    amount: Decimal | None
    rationale: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A market at a moment: `as_of` our clock when it was read; shares of 1; None without enough candles."""

    market: str
    as_of: datetime
    price: Decimal
    volatility: Decimal | None
    move_1h: Decimal | None
    move_4h: Decimal | None
    volume_z: Decimal | None


@dataclass(frozen=True, slots=True)
class TakenSnapshot:
    """A snapshot as stored for a slot."""

    job_id: UUID
    slot: datetime
    fence: int
    taken_at: datetime
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class End:
    """How a slot ended, and how its job goes on: written as one, under the fence.

    `slot` and `status` None: nothing was run, the job only moves on; else the run counts to `scans_per_day`.
    """

    job_id: UUID
    fence: int
    slot: datetime | None
    requested: bool
    status: RunStatus | None
    failure: str
    proposal_id: UUID | None
    opinion: Opinion | None
    missed: int
    next_slot: datetime
    pace: timedelta
    failures: int

    @property
    def key(self) -> tuple[UUID, int]:
        """Of which claim it is the end."""
        return self.job_id, self.fence


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn came to: the keys of the ends that counted, and the jobs claimed."""

    ended: frozenset[tuple[UUID, int]]
    claims: Sequence[Claim]


@dataclass(frozen=True, slots=True)
class Run:
    """What became of a slot, as stored."""

    job_id: UUID
    slot: datetime
    status: RunStatus
    requested: bool
    missed_before: int
    fence: int
    owner: UUID
    owner_name: str
    claimed_at: datetime
    recorded_at: datetime
    opinion: Opinion | None
    proposal_id: UUID | None
    failure: str


def slot_text(slot: datetime) -> str:
    """Write a slot in its one spelling, of which ids are made: UTC, microseconds."""
    return slot.astimezone(UTC).isoformat(timespec="microseconds")


def _written(value: object, prefix: str = "") -> dict[str, str]:
    # Decimals in plain notation and without trailing zeros: "25" and "25.00" are the same wish.
    text: dict[str, str] = {}
    for field in fields(value):  # type: ignore[arg-type]  # only dataclasses of this module come here
        found, name = getattr(value, field.name), prefix + field.name
        if isinstance(found, (Pace, Gate)):
            text |= _written(found, f"{name}.")
        else:
            text[name] = plain(found.normalize()) if isinstance(found, Decimal) else str(found)
    return text
