"""The words of the policy engine: what is proposed, what is known, what was decided.

Everything here is a value. `trade_service` fills these from its database and from `market_service`;
the rules only read them. Money and quantities are `Decimal`, moments are aware UTC, ages are seconds.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID


class Side(StrEnum):
    """Which way an order trades."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> "Side":
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """How the price of an order is set."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"


class TimeInForce(StrEnum):
    """How long a limit order may rest."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


@dataclass(frozen=True, slots=True)
class Terms:
    """What is wanted, digit for digit as the caller wrote it; nothing is ever rounded.

    One of three shapes: LIMIT has `amount`, `price`, `time_in_force`, `post_only`; a MARKET BUY has
    `quote_amount`; a MARKET SELL has `amount`. `amount` is in the base asset, `quote_amount` in the quote asset.
    """

    market: str
    side: Side
    order_type: OrderType
    amount: Decimal | None = None
    price: Decimal | None = None
    quote_amount: Decimal | None = None
    time_in_force: TimeInForce | None = None
    post_only: bool = False


@dataclass(frozen=True, slots=True)
class Approval:
    """A human's yes, bound to the content he saw."""

    approver: str
    content_hash: str
    approved_at: datetime


@dataclass(frozen=True, slots=True)
class Override:
    """An approver's leave to pass one rule (`cooldown` or `anti_flip` only) for a while."""

    rule: str
    actor: str
    reason: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal as the engine judges it."""

    user_id: str
    proposal_id: UUID
    terms: Terms
    confidence: int
    content_hash: str
    submitted_by: str
    submitted_at: datetime
    expires_at: datetime
    approval: Approval | None = None
    overrides: tuple[Override, ...] = ()


class State(StrEnum):
    """A trading state; the most restrictive of all scopes holds."""

    ACTIVE = "ACTIVE"
    REDUCE_ONLY = "REDUCE_ONLY"
    HALTED = "HALTED"


class Scope(StrEnum):
    """What a trading state covers."""

    GLOBAL = "GLOBAL"
    MARKET = "MARKET"
    USER = "USER"


@dataclass(frozen=True, slots=True)
class TradingState:
    """One row of the kill switch. `subject` is the market or the user; empty for GLOBAL."""

    scope: Scope
    subject: str
    state: State
    reason: str


class Quality(StrEnum):
    """How far a quote can be trusted. Only GOOD is a fact; anything else counts as missing."""

    GOOD = "GOOD"
    RESYNCING = "RESYNCING"
    STALE = "STALE"


@dataclass(frozen=True, slots=True)
class Level:
    """One price level of a book: price in the quote asset, size in the base asset."""

    price: Decimal
    size: Decimal


@dataclass(frozen=True, slots=True)
class Quote:
    """The top of a market's book. `bids` fall, `asks` rise; both may be empty. `age_seconds` at the judgement."""

    market: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    quality: Quality
    age_seconds: Decimal


@dataclass(frozen=True, slots=True)
class MarketRules:
    """What the exchange accepts in a market. Bounds are inclusive. `age_seconds` at the judgement."""

    market: str
    status: str
    base: str
    quote: str
    tick_size: Decimal
    quantity_decimals: int
    notional_decimals: int
    min_base: Decimal
    min_quote: Decimal
    max_base: Decimal
    max_quote: Decimal
    order_types: tuple[str, ...]
    age_seconds: Decimal


class ExecutionStatus(StrEnum):
    """Where an execution stands. We deny, the exchange rejects."""

    SUBMITTING = "SUBMITTING"
    UNKNOWN = "UNKNOWN"
    SUBMITTED = "SUBMITTED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    NOT_PLACED = "NOT_PLACED"


@dataclass(frozen=True, slots=True)
class PastExecution:
    """One earlier execution of the same user, as far as counting needs it.

    `worst_value` is what the order may cost at most, in the quote asset; `filled_value` what its fills cost,
    without fee; `filled_amount` what they moved, in the base asset.
    """

    proposal_id: UUID
    terms: Terms
    status: ExecutionStatus
    claimed_at: datetime
    last_fill_at: datetime | None
    worst_value: Decimal
    filled_value: Decimal
    filled_amount: Decimal


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a decision may depend on besides policy and proposal. Missing facts are None, and deny.

    `executions`: the user's executions claimed or filled within 24 h, or still open, newest first;
    `history_complete` is False when there were more than the caller reads. `position`: net base amount of the user's
    own fills in the proposal's market. `clock_went_back`: the database's clock reads earlier than what it
    wrote before. `exchange_clock_known`: the exchange's clock was read recently and well enough to sign by.
    """

    now: datetime
    trading_states: tuple[TradingState, ...]
    market_rules: MarketRules | None
    quote: Quote | None
    executions: tuple[PastExecution, ...]
    history_complete: bool
    position: Decimal
    clock_went_back: bool
    exchange_clock_known: bool


class VerdictOutcome(StrEnum):
    """What one rule said. ERROR is not a denial by the rule, yet it denies."""

    PASS = "PASS"  # noqa: S105 - no password
    DENY = "DENY"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule's answer.

    `code` is a constant a caller may branch on; `observed` and `limit` are the two values compared, as text;
    `next_possible_at` is the first moment at which this rule alone would pass, None if time will not help.
    """

    rule: str
    outcome: VerdictOutcome
    code: str
    observed: str
    limit: str
    message: str
    next_possible_at: datetime | None = None


class DecisionOutcome(StrEnum):
    """All rules passed, or at least one did not."""

    ALLOW = "ALLOW"
    DENY = "DENY"


@dataclass(frozen=True, slots=True)
class Decision:
    """Every verdict, in the order judged, and what follows from them. `policy_sha256` is empty without a policy."""

    outcome: DecisionOutcome
    verdicts: tuple[Verdict, ...]
    policy_name: str
    policy_sha256: str
    decided_at: datetime
