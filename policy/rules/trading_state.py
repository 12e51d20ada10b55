"""The kill switch as a rule: always judged, first."""

from dataclasses import dataclass
from typing import ClassVar, Final

from policy.model import Scope, Side, State, TradingState, Verdict
from policy.rule import Case
from policy.verdict import denied, lacking, missing, passed

TRADING_HALTED: Final = "TRADING_HALTED"
REDUCE_ONLY: Final = "REDUCE_ONLY"

_STRICTNESS: Final = (State.ACTIVE, State.REDUCE_ONLY, State.HALTED)


@dataclass(frozen=True, slots=True)
class TradingStateRule:
    """Denies while trading is halted globally, in the market or for the user; REDUCE_ONLY admits SELL only.

    The most restrictive state holds. The GLOBAL state must have been read: without it nothing shows that the
    switch was looked at, and a missing fact denies.
    """

    name: ClassVar[str] = "trading_state"
    codes: ClassVar[tuple[str, ...]] = (TRADING_HALTED, REDUCE_ONLY)

    def judge(self, case: Case) -> Verdict:
        """Compare the strictest state that covers the proposal with what its side needs."""
        covering = [row for row in case.facts.trading_states if _covers(row, case)]
        if not any(row.scope is Scope.GLOBAL for row in covering):
            return lacking(self.name, missing("GLOBAL trading state"))
        strictest = max(covering, key=lambda row: _STRICTNESS.index(row.state))
        observed = f"{strictest.state} ({strictest.scope})"
        if strictest.state is State.HALTED:
            return denied(self.name, TRADING_HALTED, observed, "ACTIVE", f"trading is halted: {strictest.reason}")
        if strictest.state is State.REDUCE_ONLY and case.proposal.terms.side is not Side.SELL:
            return denied(self.name, REDUCE_ONLY, observed, "ACTIVE", f"only SELL is admitted: {strictest.reason}")
        return passed(self.name, observed, "ACTIVE, or REDUCE_ONLY for a SELL", "trading is open to this order")


def _covers(row: TradingState, case: Case) -> bool:
    if row.scope is Scope.MARKET:
        return row.subject == case.proposal.terms.market
    if row.scope is Scope.USER:
        return row.subject == case.proposal.user_id
    return True
