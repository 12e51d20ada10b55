"""The same wish again under another id."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar, Final

from policy.history import counts_as_trade, lack_of_history
from policy.limits import Duration
from policy.model import Terms, Verdict
from policy.number import show_duration
from policy.rule import Case
from policy.verdict import denied, lacking, passed

REPEAT_INTENT: Final = "REPEAT_INTENT"


@dataclass(frozen=True, slots=True)
class RepeatIntentRule:
    """Denies a second order of the same market, side and size within the window, whatever its id.

    Sizes are compared as numbers: 0.10 repeats 0.1. The window runs by claim time; orders the exchange rejected or
    that were never placed do not count. Exactly after the window it is admitted.
    """

    name: ClassVar[str] = "repeat_intent"
    codes: ClassVar[tuple[str, ...]] = (REPEAT_INTENT,)

    window: Annotated[timedelta, Duration(timedelta(seconds=1), timedelta(hours=24))]

    def judge(self, case: Case) -> Verdict:
        """Look for an earlier order of the same intent."""
        lack = lack_of_history(case.facts)
        if lack is not None:
            return lacking(self.name, lack)
        terms = case.proposal.terms
        same = [one for one in case.facts.executions if counts_as_trade(one) and _same_intent(one.terms, terms)]
        last = max((one.claimed_at for one in same), default=None)
        limit = show_duration(self.window)
        if last is None:
            return passed(self.name, "no such order", limit, "this intent is new")
        since = case.facts.now - last
        if since < self.window:
            message = f"the same {terms.side} of the same size in {terms.market} was claimed {show_duration(since)} ago"
            return denied(self.name, REPEAT_INTENT, show_duration(since), limit, message, last + self.window)
        return passed(self.name, show_duration(since), limit, "the window is over")


def _same_intent(one: Terms, other: Terms) -> bool:
    if one.market != other.market or one.side is not other.side:
        return False
    same_amount = one.amount is not None and one.amount == other.amount
    same_quote_amount = one.quote_amount is not None and one.quote_amount == other.quote_amount
    return same_amount or same_quote_amount
