"""How much a user may spend: on orders (judged here) and on model calls (judged by `policy/budget.py`)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, ClassVar, Final

from policy.history import lack_of_history, value_counted
from policy.limits import Money, Whole
from policy.model import Facts, Side, Verdict
from policy.number import EXACT, show_number, total
from policy.rule import Case
from policy.value import order_value
from policy.verdict import Lack, denied, lacking, passed
from policy.window import DAY, HOUR

BUDGET_ORDER_VALUE: Final = "BUDGET_ORDER_VALUE"
BUDGET_GPT_CALLS: Final = "BUDGET_GPT_CALLS"

MAX_CALLS: Final = 10_000


@dataclass(frozen=True, slots=True)
class CallBudget:
    """Model calls: per rolling 60 minutes, and per UTC day because it follows a bill. 0 admits none."""

    per_hour: Annotated[int, Whole(0, MAX_CALLS)]
    per_day: Annotated[int, Whole(0, MAX_CALLS)]


@dataclass(frozen=True, slots=True)
class ValueBudget:
    """Order value bought, in the quote currency: per rolling 24 h and, if stated, per rolling 60 minutes."""

    per_day: Annotated[Decimal, Money()]
    per_hour: Annotated[Decimal | None, Money()] = None


@dataclass(frozen=True, slots=True)
class BudgetRule:
    """Bounds what the user's BUYs may cost per rolling hour and day, and how many model calls may be reserved.

    Open orders count with their worst case, closed ones with what was filled. A SELL takes nothing. A budget of n
    admits exactly n.
    """

    name: ClassVar[str] = "budget"
    codes: ClassVar[tuple[str, ...]] = (BUDGET_ORDER_VALUE, BUDGET_GPT_CALLS)

    gpt_calls: CallBudget
    order_value: ValueBudget

    def judge(self, case: Case) -> Verdict:
        """Compare what counts, plus this order, with the budgets of order value."""
        if case.proposal.terms.side is not Side.BUY:
            return passed(self.name, "0", self._limit(), "a SELL takes nothing from the budget")
        lack = lack_of_history(case.facts)
        if lack is not None:
            return lacking(self.name, lack)
        value = order_value(case.proposal.terms, case.facts.quote)
        if isinstance(value, Lack):
            return lacking(self.name, value)
        spent = [_Spent("per_day", self.order_value.per_day, DAY, case.facts)]
        if self.order_value.per_hour is not None:
            spent.insert(0, _Spent("per_hour", self.order_value.per_hour, HOUR, case.facts))
        return self._judge_spent(spent, value)

    def _judge_spent(self, spent: "list[_Spent]", value: Decimal) -> Verdict:
        observed = ", ".join(f"{one.key} {show_number(one.total)} + {show_number(value)}" for one in spent)
        over = [one for one in spent if EXACT.add(one.total, value) > one.budget]
        if not over:
            return passed(self.name, observed, self._limit(), "the order fits the budget")
        moments = [one.room_at(value) for one in over]
        room_at = None if None in moments else max(moment for moment in moments if moment is not None)
        message = "exceeded: order_value " + ", ".join(one.key for one in over)
        return denied(self.name, BUDGET_ORDER_VALUE, observed, self._limit(), message, room_at)

    def _limit(self) -> str:
        per_hour = self.order_value.per_hour
        hourly = "" if per_hour is None else f"per_hour {show_number(per_hour)}, "
        return f"{hourly}per_day {show_number(self.order_value.per_day)}"


class _Spent:
    """What counts against one budget within its window."""

    __slots__ = ("budget", "claims", "key", "total", "window")

    def __init__(self, key: str, budget: Decimal, window: timedelta, facts: Facts) -> None:
        self.key, self.budget, self.window = key, budget, window
        inside = [one for one in facts.executions if facts.now - one.claimed_at < window]
        self.claims = sorted((one.claimed_at, value_counted(one)) for one in inside)
        self.total = total(value for _, value in self.claims)

    def room_at(self, value: Decimal) -> datetime | None:
        """Return when enough has left the window for `value`; None if it alone is over the budget."""
        left = EXACT.add(self.total, value)
        for claimed_at, counted in self.claims:
            left = EXACT.subtract(left, counted)
            if left <= self.budget:
                return claimed_at + self.window
        return None
