"""What passes between a claim and its judge: the view read under the lock, the judgement, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from policy.model import PastExecution, TradingState
from trade_service.authority import SendAuthority
from trade_service.execution import Execution, Judgement, StoredDecision
from trade_service.proposal import StoredProposal


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of a proposal without a lock: its execution, and its last decision with that one's age.

    `remembered`: told from memory, so something may have become of it elsewhere.
    """

    proposal: StoredProposal
    execution: Execution | None
    decision: StoredDecision | None
    decision_age_seconds: float
    remembered: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """Everything a claim depends on, read by one statement; `now` is the database clock, read after the lock."""

    now: datetime
    protocol_min: int
    protocol_max: int
    generation: int
    proposal: StoredProposal
    trading_states: tuple[TradingState, ...]
    executions: tuple[PastExecution, ...]
    history_complete: bool
    position: Decimal
    last_decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class Expire:
    """A judgement: the proposal's time is over."""


@dataclass(frozen=True, slots=True)
class Reload:
    """A judgement: another policy generation is in force than the one at hand; load it and start again."""

    generation: int


Judge = Callable[[View], Judgement | Expire | Reload]


@dataclass(frozen=True, slots=True)
class Claimed:
    """The execution is ours, and this process alone may send it."""

    authority: SendAuthority
    decision: StoredDecision


@dataclass(frozen=True, slots=True)
class Denied:
    """The decision is stored; there is no execution."""

    decision: StoredDecision


@dataclass(frozen=True, slots=True)
class Exists:
    """Someone else's claim came first; nothing was written."""


@dataclass(frozen=True, slots=True)
class Collided:
    """A row moved although its user's lock was held; nothing was written. Start again."""


ClaimResult = Claimed | Denied | Exists | Collided | Expire | Reload
