"""What counts: how each status of an earlier execution enters caps, cooldown, anti-flip and budget.

| status | trade_caps, cooldown | attempts | anti_flip | order value |
|---|---|---|---|---|
| SUBMITTING, UNKNOWN, SUBMITTED | yes | yes | yes | worst case |
| FILLED, CANCELED with fills | yes | yes | yes | value filled |
| CANCELED, nothing filled | yes | yes | no | 0 |
| REJECTED, NOT_PLACED | no | yes | no | 0 |

A cancelled order without a fill still counts: otherwise a caller that cancels could trade without end.
"""

from datetime import datetime
from decimal import Decimal
from typing import Final

from policy.model import ExecutionStatus, Facts, PastExecution, Proposal, Side
from policy.number import EXACT
from policy.verdict import Lack, missing

UNRESOLVED_STATUSES: Final = frozenset({ExecutionStatus.SUBMITTING, ExecutionStatus.UNKNOWN})
OPEN_STATUSES: Final = UNRESOLVED_STATUSES | {ExecutionStatus.SUBMITTED}
DONE_STATUSES: Final = frozenset({ExecutionStatus.FILLED, ExecutionStatus.CANCELED})
TRADE_STATUSES: Final = OPEN_STATUSES | DONE_STATUSES

_NOTHING: Final = Decimal(0)


def is_unresolved(execution: PastExecution) -> bool:
    """Tell whether nobody knows yet if this order exists."""
    return execution.status in UNRESOLVED_STATUSES


def is_open(execution: PastExecution) -> bool:
    """Tell whether this order may still trade."""
    return execution.status in OPEN_STATUSES


def counts_as_trade(execution: PastExecution) -> bool:
    """Tell whether it counts for trade_caps, cooldown and repeat_intent. Every execution counts as an attempt."""
    return execution.status in TRADE_STATUSES


def counts_for_flip(execution: PastExecution) -> bool:
    """Tell whether it counts for anti_flip: open, or something was filled."""
    return (
        is_open(execution)
        or execution.status is ExecutionStatus.FILLED
        or (execution.status is ExecutionStatus.CANCELED and execution.filled_amount > 0)
    )


def value_counted(execution: PastExecution) -> Decimal:
    """Return what it takes from the order value budget, in the quote asset. Sells take nothing."""
    if execution.terms.side is not Side.BUY:
        return _NOTHING
    if is_open(execution):
        return execution.worst_value
    if execution.status in DONE_STATUSES:
        return execution.filled_value
    return _NOTHING


def last_touched_at(execution: PastExecution) -> datetime:
    """Return the later of claim and last fill: where cooldown and anti_flip start."""
    if execution.last_fill_at is None:
        return execution.claimed_at
    return max(execution.claimed_at, execution.last_fill_at)


def lack_of_history(facts: Facts) -> Lack | None:
    """Return the lack of a complete history, or None: whoever counts must have seen all rows."""
    if facts.history_complete:
        return None
    return missing("complete history of executions", f"{len(facts.executions)} rows, and there are more", "all rows")


def is_exit(proposal: Proposal, facts: Facts) -> bool:
    """Tell whether this is a SELL within the position, less what the user's own open SELLs there still sell."""
    terms = proposal.terms
    if terms.side is not Side.SELL or terms.amount is None or not facts.history_complete:
        return False
    free = facts.position
    for execution in facts.executions:
        if execution.terms.market == terms.market and execution.terms.side is Side.SELL and is_open(execution):
            free = EXACT.subtract(free, _remaining(execution))
    return terms.amount <= free


def _remaining(execution: PastExecution) -> Decimal:
    amount = execution.terms.amount
    return _NOTHING if amount is None else max(_NOTHING, EXACT.subtract(amount, execution.filled_amount))
