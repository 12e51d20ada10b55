"""What the use cases need from outside, as they need it. Each method of a store is one transaction.

Every method may raise `kernel.errors.Unavailable`; nothing was changed then, unless it says otherwise.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from policy.model import (
    DecisionOutcome,
    ExecutionStatus,
    MarketRules,
    Override,
    PastExecution,
    Quote,
    Terms,
)
from trade_service.authority import Order
from trade_service.claiming import ClaimResult, Judge, Look, View
from trade_service.execution import Execution, Settlement, StoredDecision, Target
from trade_service.proposal import Content, ProposalStatus, StoredProposal
from trade_service.reservation import Outcome, Reservation
from trade_service.switch import Setting, Switch

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ProposalChange:
    """A move of a proposal outside a claim. Absent parts stay."""

    status: ProposalStatus
    approver: str | None = None
    approved_hash: str | None = None
    overrides: tuple[Override, ...] | None = None
    closed_by: str | None = None
    closed_reason: str | None = None


class ProposalStore(Protocol):
    """Proposals and what they lead to."""

    async def submit(
        self, content: Content, actor: str, ttl: timedelta, *, refuse: Callable[[StoredProposal], None]
    ) -> tuple[StoredProposal, bool]:
        """Store a proposal; answer the stored one and whether this call created it.

        `refuse` sees the one that was there before, and raises when it has other content.
        """
        ...

    async def look(self, user_id: str, proposal_id: UUID) -> Look | None:
        """Read a proposal with its execution and last decision, without a lock."""
        ...

    async def first_look(self, user_id: str, proposal_id: UUID) -> Look | None:
        """Look as `look` does; a proposal that was just stored here may be told from memory, as it was then.

        Good enough to begin an execution: its claim reads everything again.
        """
        ...

    async def change(
        self, user_id: str, proposal_id: UUID, change: Callable[[StoredProposal, datetime], ProposalChange | None]
    ) -> StoredProposal | None:
        """Under the user's lock, let `change` look at the proposal and the database clock, and write what it returns.

        None from `change` leaves the row as it is. None is returned for a proposal that does not exist.
        """
        ...

    async def expire(self, user_id: str, proposal_id: UUID) -> StoredProposal | None:
        """Mark a proposal whose time is over, if nothing else happened to it."""
        ...


class ClaimStore(Protocol):
    """The claim, and the same read without it."""

    async def view(self, user_id: str, proposal_id: UUID) -> View | None:
        """Read what a claim would read, without a lock."""
        ...

    async def claim(self, user_id: str, proposal_id: UUID, actor: str, judge: Judge) -> ClaimResult | None:
        """Lock the user, read, judge, write, commit. None for a proposal that does not exist."""
        ...


class ExecutionStore(Protocol):
    """Executions after their claim."""

    async def settle(self, user_id: str, execution_id: UUID, settlement: Settlement) -> Execution:
        """Move the execution, if it still stands where the settlement expects and anything is new; answer it then."""
        ...

    async def request_cancel(self, user_id: str, proposal_id: UUID, actor: str, reason: str) -> Execution | None:
        """Record the wish to cancel, once; answer the execution, final or not."""
        ...

    async def execution(self, user_id: str, proposal_id: UUID, *, events: bool) -> Execution | None:
        """Read an execution with its fills, and its events if asked."""
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: rows strictly older than the last one seen."""

    size: int
    before: tuple[datetime, UUID] | None


class ReadingStore(Protocol):
    """Lists and single reads; no lock, no write."""

    async def proposals(
        self, user_id: str, status: ProposalStatus | None, market: str, page: Page
    ) -> Sequence[StoredProposal]:
        """Newest first."""
        ...

    async def executions(
        self, user_id: str, status: ExecutionStatus | None, market: str, page: Page
    ) -> Sequence[Execution]:
        """Newest first, without fills and events."""
        ...

    async def decisions(
        self, user_id: str, proposal_id: UUID | None, outcome: DecisionOutcome | None, page: Page
    ) -> Sequence[StoredDecision]:
        """Newest first, without facts."""
        ...

    async def decision(self, user_id: str, decision_id: UUID) -> StoredDecision | None:
        """One, with facts."""
        ...


@dataclass(frozen=True, slots=True)
class BudgetView:
    """What a budget depends on: the counted reservations of the last UTC day or 60 minutes, and recent executions."""

    now: datetime
    generation: int
    reserved_at: tuple[datetime, ...]
    executions: tuple[PastExecution, ...]


class BudgetStore(Protocol):
    """Reserved model calls."""

    async def reserve(
        self,
        user_id: str,
        reservation_id: UUID,
        purpose: str,
        actor: str,
        admit: Callable[[BudgetView], bool],
    ) -> tuple[Reservation | None, bool]:
        """Under the user's lock: answer the reservation that exists, or insert one if `admit` says so."""
        ...

    async def settle(self, user_id: str, reservation_id: UUID, outcome: Outcome) -> tuple[Reservation, bool] | None:
        """Settle a reservation that is RESERVED or LAPSED; answer it, and whether this call changed it."""
        ...

    async def budget(self, user_id: str) -> BudgetView:
        """Read what is counted now."""
        ...


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """One stored policy."""

    sha256: str
    name: str
    users: tuple[str, ...]
    canonical_json: str
    stored_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PolicyGeneration:
    """A set of policies as it was put in force."""

    generation: int
    actor: str
    in_force_since: datetime
    policies: tuple[PolicyRow, ...]


class AdminStore(Protocol):
    """Trading states and policies: nobody's rows, so no user's lock."""

    async def deployment_id(self) -> UUID:
        """The namespace of every client order id."""
        ...

    async def switches(self) -> Sequence[Switch]:
        """Every switch ever set."""
        ...

    async def set_switch(self, setting: Setting, actor: str, permit: Callable[[Switch | None], None]) -> Switch:
        """Set one switch. `permit` sees the one being replaced, and raises when it may not be."""
        ...

    async def policies_in_force(self, generation: int | None = None) -> PolicyGeneration | None:
        """Read the set in force, or that of a generation; None when there is none."""
        ...

    async def policy(self, sha256: str) -> PolicyRow | None:
        """Read one policy, in force or not."""
        ...

    async def put_in_force(self, policies: Sequence[PolicyRow], actor: str) -> tuple[PolicyGeneration, bool]:
        """Store the policies and move the generation, unless they are in force already (False)."""
        ...


@dataclass(frozen=True, slots=True)
class Due:
    """An execution that needs looking at."""

    target: Target
    status: ExecutionStatus
    overdue: bool
    """SUBMITTING past its window and the margin, by the database clock."""
    cancel: bool
    """Someone asked for a cancel, its time to rest is over, or a switch cancels what is open."""


class SweepStore(Protocol):
    """Reads across users, with the reconciler's rights: it finds work, it writes nothing."""

    async def due(self, limit: int) -> Sequence[Due]:
        """Executions that are not final: unresolved, then to be cancelled, then the rest; each oldest first."""
        ...

    async def lapsed(self, limit: int) -> Sequence[tuple[str, UUID]]:
        """Reservations past their time to call."""
        ...

    async def expired(self, limit: int) -> Sequence[tuple[str, UUID]]:
        """Proposals past their time that nobody executed."""
        ...


@dataclass(frozen=True)
class Aged(Generic[T]):
    """A fact and when our request for it left, on our monotonic clock; its own age is what the answer said."""

    fact: T
    asked_at: float


class Market(Protocol):
    """What market_service knows. Ages count from when our request left."""

    async def market_rules(self, market: str) -> Aged[MarketRules] | None:
        """The exchange's rules; None when the market does not exist."""
        ...

    async def quote(self, market: str, *, bids: int, asks: int, max_age: timedelta) -> Aged[Quote] | None:
        """The top of the book, so many levels of either side; None when there is none to be had."""
        ...


@dataclass(frozen=True, slots=True)
class LookUp:
    """What a look-up gave: whether the exchange answered at all, and what follows when it has the order."""

    answered: bool
    settlement: Settlement | None


class Permit(Protocol):
    """Leave to spend one point of the exchange's rate budget."""

    def give_back(self) -> None:
        """Return it unspent."""
        ...


class Exchange(Protocol):
    """The one exchange account. Never raises for what the network or the exchange does."""

    operator_id: int

    def permit(self) -> Permit | None:
        """Take one point of the claims' share; None when it is used up."""
        ...

    def retry_after_seconds(self) -> float:
        """Say when a permit may be had again."""
        ...

    def timestamp_ms(self) -> int | None:
        """Return a lower bound of the exchange's clock, to sign by; None when it is not known well enough."""
        ...

    def body(self, terms: Terms, client_order_id: UUID) -> bytes:
        """Write the exact bytes of an order."""
        ...

    async def create(self, order: Order) -> Settlement:
        """Send these bytes, once, and say what the answer proves."""
        ...

    async def look_up(self, target: Target) -> LookUp:
        """Ask for our order by its client order id."""
        ...

    async def cancel(self, target: Target) -> None:
        """Ask for a cancel; whatever comes back, the order is read afterwards."""
        ...
