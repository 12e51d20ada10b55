"""No buying back and forth: the pause between opposite orders in one market."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar, Final

from policy.history import counts_for_flip, is_open, lack_of_history, last_touched_at
from policy.limits import Duration
from policy.model import PastExecution, Verdict
from policy.number import show_duration
from policy.rule import Case
from policy.verdict import denied, lacking, passed

ANTI_FLIP: Final = "ANTI_FLIP"
OPPOSITE_ORDER_OPEN: Final = "OPPOSITE_ORDER_OPEN"


@dataclass(frozen=True, slots=True)
class AntiFlipRule:
    """Denies an order while an opposite one of the user in the market is open, and for a period after it traded.

    The period runs from the later of claim and last fill; an order that never filled does not count once it is
    closed. Exactly after the period the opposite order is admitted.
    """

    name: ClassVar[str] = "anti_flip"
    codes: ClassVar[tuple[str, ...]] = (ANTI_FLIP, OPPOSITE_ORDER_OPEN)

    period: Annotated[timedelta, Duration(timedelta(seconds=1), timedelta(hours=24))]

    def judge(self, case: Case) -> Verdict:
        """Look for open opposite orders, then compare the time since the last one that traded."""
        lack = lack_of_history(case.facts)
        if lack is not None:
            return lacking(self.name, lack)
        opposite = _opposite(case)
        still_open = [one for one in opposite if is_open(one)]
        if still_open:
            observed = f"{len(still_open)}, first {still_open[-1].proposal_id}"
            message = f"a {still_open[-1].terms.side} of this user is still open in {case.proposal.terms.market}"
            return denied(self.name, OPPOSITE_ORDER_OPEN, observed, "0 open", message)
        return self._judge_period(case, opposite)

    def _judge_period(self, case: Case, opposite: list[PastExecution]) -> Verdict:
        last = max((last_touched_at(one) for one in opposite), default=None)
        limit = show_duration(self.period)
        if last is None:
            return passed(self.name, "no opposite order", limit, "nothing to flip")
        since = case.facts.now - last
        if since < self.period:
            side = case.proposal.terms.side.opposite
            message = f"the last {side} in {case.proposal.terms.market} was {show_duration(since)} ago"
            return denied(self.name, ANTI_FLIP, show_duration(since), limit, message, last + self.period)
        return passed(self.name, show_duration(since), limit, "the pause is over")


def _opposite(case: Case) -> list[PastExecution]:
    terms = case.proposal.terms
    return [
        one
        for one in case.facts.executions
        if one.terms.market == terms.market and one.terms.side is terms.side.opposite and counts_for_flip(one)
    ]
