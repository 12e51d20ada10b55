"""The pause between two orders of one user."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from policy.history import counts_as_trade, lack_of_history, last_touched_at
from policy.limits import Choice, Duration
from policy.model import Verdict
from policy.number import show_duration
from policy.rule import Case
from policy.verdict import denied, lacking, passed

COOLDOWN: Final = "COOLDOWN"


class Per(StrEnum):
    """What the pause covers."""

    MARKET = "market"
    USER = "user"


@dataclass(frozen=True, slots=True)
class CooldownRule:
    """Asks for a pause after the user's last order, in the same market or in any.

    It runs from the later of claim and last fill; an order cancelled without a fill counts, one the exchange
    rejected or that was never placed does not. Exactly after the period the next order is admitted.
    """

    name: ClassVar[str] = "cooldown"
    codes: ClassVar[tuple[str, ...]] = (COOLDOWN,)

    per: Annotated[Per, Choice(Per)]
    period: Annotated[timedelta, Duration(timedelta(seconds=1), timedelta(hours=24))]

    def judge(self, case: Case) -> Verdict:
        """Compare the time since the last order that counts with the period."""
        lack = lack_of_history(case.facts)
        if lack is not None:
            return lacking(self.name, lack)
        market = case.proposal.terms.market
        covered = [one for one in case.facts.executions if self.per is Per.USER or one.terms.market == market]
        last = max((last_touched_at(one) for one in covered if counts_as_trade(one)), default=None)
        limit = show_duration(self.period)
        if last is None:
            return passed(self.name, "no earlier order", limit, "nothing to wait for")
        since = case.facts.now - last
        if since < self.period:
            message = f"the last order of this {self.per} was {show_duration(since)} ago"
            return denied(self.name, COOLDOWN, show_duration(since), limit, message, last + self.period)
        return passed(self.name, show_duration(since), limit, "the pause is over")
