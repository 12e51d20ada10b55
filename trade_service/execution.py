"""An execution: the one attempt at the exchange for a proposal, and what each answer makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from policy.model import Decision, ExecutionStatus, Facts, Terms
from trade_service.proposal import ProposalStatus

OPEN = frozenset({ExecutionStatus.SUBMITTING, ExecutionStatus.UNKNOWN, ExecutionStatus.SUBMITTED})
UNRESOLVED = frozenset({ExecutionStatus.SUBMITTING, ExecutionStatus.UNKNOWN})
"""May have been sent, outcome not known: only these can still be settled by an answer to our own request."""

NOT_SENT = "NOT_SENT"
"""The event of an order of which no byte left this machine: the only way from SUBMITTING to NOT_PLACED."""


@dataclass(frozen=True, slots=True)
class Fill:
    """One fill as the exchange reported it; `fee` is None until the exchange has settled it."""

    fill_id: str
    amount: Decimal
    price: Decimal
    fee: Decimal | None
    fee_currency: str | None
    taker: bool
    filled_at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the history; `number` is the user's event number, without gaps."""

    number: int
    at: datetime
    type: str
    from_status: ExecutionStatus | None
    to_status: ExecutionStatus
    evidence: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Target:
    """Which order of ours is meant, and what it must look like to be ours."""

    user_id: str
    execution_id: UUID
    client_order_id: UUID
    operator_id: int
    signed_timestamp_ms: int
    terms: Terms
    order_id: str = ""
    """The exchange's own name of it; empty until it was told."""


@dataclass(frozen=True, slots=True)
class Execution:
    """One row of `trade_executions`, with fills and events where they were asked for."""

    execution_id: UUID
    user_id: str
    proposal_id: UUID
    decision_id: UUID
    terms: Terms
    status: ExecutionStatus
    client_order_id: UUID
    order_id: str
    exchange_status: str
    operator_id: int
    claimed_at: datetime
    signed_timestamp_ms: int
    window_ms: int
    body_sha256: str
    filled_amount: Decimal
    filled_quote: Decimal
    fee_paid: Decimal
    fee_currency: str
    reject_code: int
    cancel_requested_at: datetime | None
    settled_at: datetime | None
    fills: tuple[Fill, ...] = ()
    events: tuple[Event, ...] = ()

    @property
    def target(self) -> Target:
        """What to ask the exchange for."""
        return Target(
            self.user_id,
            self.execution_id,
            self.client_order_id,
            self.operator_id,
            self.signed_timestamp_ms,
            self.terms,
            self.order_id,
        )


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """One row of `decisions`. `facts` is the JSON the rules saw; None where it was not asked for."""

    decision_id: UUID | None
    user_id: str
    proposal_id: UUID
    decision: Decision
    policy_generation: int
    facts: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class NewExecution:
    """What an allowing judgement asks the claim to insert: everything that will be sent, fixed before it is."""

    execution_id: UUID
    client_order_id: UUID
    operator_id: int
    signed_timestamp_ms: int
    signed_monotonic: float
    """Our own clock at that moment: what is left of the window is measured by it."""
    window_ms: int
    body: bytes
    worst_value: Decimal


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the pure part of a claim concluded. `execution` is set exactly when the decision allows."""

    decision_id: UUID
    decision: Decision
    facts: Facts
    policy_generation: int
    execution: NewExecution | None
    closes: bool
    """A denial that declines the proposal: the one of a PlaceOrder."""


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """What the exchange says about our order."""

    order_id: str
    exchange_status: str
    filled_amount: Decimal
    filled_quote: Decimal
    fee_paid: Decimal
    fee_currency: str
    fills: tuple[Fill, ...]


@dataclass(frozen=True, slots=True)
class Settlement:
    """A status to move to, why, and what the exchange said. `from_statuses` guards it: anything else is left alone."""

    status: ExecutionStatus
    from_statuses: frozenset[ExecutionStatus]
    event: str
    evidence: Mapping[str, object] = field(default_factory=dict)
    order: OrderFacts | None = None
    reject_code: int | None = None

    @property
    def final(self) -> bool:
        """Whether nothing is expected to follow."""
        return self.status not in OPEN


def proposal_status_after(status: ExecutionStatus, *, filled: bool) -> ProposalStatus:
    """Return where an execution leaves its proposal, of which something was `filled` or nothing.

    EXECUTED once anything traded and nothing is open.
    """
    if status in OPEN:
        return ProposalStatus.EXECUTING
    traded = filled or status is ExecutionStatus.FILLED
    return ProposalStatus.EXECUTED if traded else ProposalStatus.FAILED
