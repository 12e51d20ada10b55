"""What the scans need from outside: rows of jobs and runs, the market, trade_service, and an analyst.

Every method of `Holds` and `Jobs` is one transaction, and raises `kernel.errors.Unavailable` without an answer.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from market_service.scan.job import (
    AnalystKind,
    Claim,
    Content,
    End,
    Job,
    JobStatus,
    Opinion,
    Run,
    Snapshot,
    TakenSnapshot,
    Turn,
)
from market_service.scan.schedule import Plan


@dataclass(frozen=True, slots=True)
class Boot:
    """One start of one process: an id of its own each time, and host and process id for people."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Change:
    """What a person changes of a job. None: leave it."""

    status: JobStatus | None = None
    next_slot: datetime | None = None
    requested_slot: datetime | None = None


class Holds(Protocol):
    """Claims, and every write under one. What a claim's fence does not cover any more is left out of the answer."""

    async def turn(self, ends: Sequence[End], lease: timedelta, limit: int) -> Turn:
        """Write how slots ended and move their jobs on; claim at most `limit` other due jobs. One statement for both.

        Jobs that others hold are passed by, longest due come first; a job is claimed again in a later turn than the one
        that ends it.
        """

    async def renew(self, lease: timedelta, claims: Collection[Claim]) -> set[tuple[UUID, int]]:
        """Prolong leases; return the jobs still held, with their fences."""

    async def release(self, claims: Collection[Claim], delay: timedelta) -> set[UUID]:
        """Give jobs back, their slots still due; anyone may claim them after `delay`. Return those given back."""

    async def keep_snapshot(self, claim: Claim, slot: datetime, snapshot: Snapshot) -> bool:
        """Store the snapshot of a slot; False: the job is another's now."""

    async def keep_opinion(self, claim: Claim, plan: Plan, opinion: Opinion) -> bool:
        """Store what the analyst said of a slot before it is proposed; False: the job is another's now."""

    async def run(self, job_id: UUID, slot: datetime) -> Run | None:
        """Read what became of a slot."""


class Ends(Protocol):
    """Where a run leaves how its slot ended."""

    async def end(self, end: End) -> bool:
        """Have it written; False: the job is another's now."""


class Jobs(Protocol):
    """Jobs and their history, as people ask for them."""

    async def create(self, content: Content, actor: str, first_slot: datetime | None) -> tuple[Job, bool]:
        """Store a job, or answer the one of that id; say whether this call made it. First slot None: now."""

    async def job(self, job_id: UUID) -> Job | None:
        """Read a job."""

    async def change(self, job_id: UUID, change: Callable[[Job, datetime], Change | None]) -> Job | None:
        """Hold the job's row, let `change` look at it and the database clock, and write what it returns."""

    async def jobs(self, user_id: str, status: JobStatus | None, after: UUID | None, limit: int) -> list[Job]:
        """List jobs in the order of their ids. An empty user: of all."""

    async def runs(self, job_id: UUID, before: datetime | None, limit: int) -> list[Run]:
        """List what became of slots, newest first."""

    async def snapshot(self, job_id: UUID, slot: datetime | None) -> TakenSnapshot | None:
        """Read the snapshot of a slot, or the newest of the job."""


class Market(Protocol):
    """What a scan asks of the market."""

    async def snapshot(self, market: str) -> Snapshot:
        """Measure a market now. Raises a `Failure` when the exchange does not say."""


class Reserved(StrEnum):
    """What ReserveBudget said."""

    CREATED = "CREATED"
    REPEATED = "REPEATED"
    DENIED = "DENIED"


class SettledAs(StrEnum):
    """How a reserved call ended."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    NOT_SENT = "NOT_SENT"


@dataclass(frozen=True, slots=True)
class Permission:
    """The answer to a reservation. Only CREATED allows the call, and only for `seconds` from when it was asked for."""

    reserved: Reserved
    seconds: float


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call cost, as the model's server says; an unknown cost is None."""

    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal | None = None
    currency: str = ""


class TradeDesk(Protocol):
    """trade_service, as far as the scanner's certificate goes: budget and propose.

    Raises `Unavailable` when there is no answer (it may have acted), `Failure` of another kind when it refused.
    """

    async def reserve(self, user_id: str, reservation_id: UUID, purpose: str) -> Permission:
        """Reserve one model call."""

    async def settle(self, user_id: str, reservation_id: UUID, outcome: SettledAs, usage: Usage) -> None:
        """Say how the call ended."""

    async def submit(self, content: Content, proposal_id: UUID, opinion: Opinion, rationale: str) -> None:
        """Submit a proposal; a repeat with the same content is fine."""


class AnalystError(Exception):
    """No opinion: `code` says why in a word; `sent` whether the call left; `usage` what it cost."""

    def __init__(self, code: str, *, sent: bool, usage: Usage | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.sent = sent
        self.usage = usage or Usage()


class Analyst(Protocol):
    """Whoever forms an opinion of a snapshot."""

    @property
    def kind(self) -> AnalystKind:
        """Whether a call of it must be reserved (MODEL)."""

    async def judge(self, content: Content, snapshot: Snapshot) -> tuple[Opinion, Usage]:
        """Form an opinion.

        Raises:
            AnalystError: there is none.
        """
