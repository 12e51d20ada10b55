"""A switch of the kill switch's board, as stored."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from policy.model import Scope, State

STRICTNESS: Final = {State.ACTIVE: 0, State.REDUCE_ONLY: 1, State.HALTED: 2}


@dataclass(frozen=True, slots=True)
class Switch:
    """One row of `trading_state`; `subject` is the market or user, empty for GLOBAL."""

    scope: Scope
    subject: str
    state: State
    cancel_open_orders: bool
    generation: int
    reason: str
    actor: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Setting:
    """What someone wants a switch to be. `expected_generation` is 0 when he did not say."""

    scope: Scope
    subject: str
    state: State
    cancel_open_orders: bool
    reason: str
    expected_generation: int

    def loosens(self, current: State, *, cancelling: bool) -> bool:
        """Whether setting this allows more than `current` did."""
        return STRICTNESS[self.state] < STRICTNESS[current] or (cancelling and not self.cancel_open_orders)
