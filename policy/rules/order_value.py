"""How small and how large one order may be."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar, Final

from policy.limits import Money
from policy.model import Verdict
from policy.number import show_number
from policy.rule import Case
from policy.value import order_value
from policy.verdict import Lack, denied, lacking, passed

ORDER_VALUE_BELOW_MIN: Final = "ORDER_VALUE_BELOW_MIN"
ORDER_VALUE_ABOVE_MAX: Final = "ORDER_VALUE_ABOVE_MAX"


@dataclass(frozen=True, slots=True)
class OrderValueRule:
    """Bounds the value of one order in the quote currency; both bounds are admitted themselves.

    LIMIT: amount × price; MARKET BUY: quote_amount; MARKET SELL: amount × best bid. Without fee.
    """

    name: ClassVar[str] = "order_value"
    codes: ClassVar[tuple[str, ...]] = (ORDER_VALUE_BELOW_MIN, ORDER_VALUE_ABOVE_MAX)

    min: Annotated[Decimal, Money()]
    max: Annotated[Decimal, Money()]

    def __post_init__(self) -> None:
        """Refuse bounds in the wrong order."""
        if self.min > self.max:
            message = "min at or below max"
            raise ValueError(message)

    def judge(self, case: Case) -> Verdict:
        """Compare the order value with both bounds."""
        value = order_value(case.proposal.terms, case.facts.quote)
        if isinstance(value, Lack):
            return lacking(self.name, value)
        shown = show_number(value)
        if value < self.min:
            message = f"order value {shown} is below the minimum"
            return denied(self.name, ORDER_VALUE_BELOW_MIN, shown, show_number(self.min), message)
        if value > self.max:
            message = f"order value {shown} is above the maximum"
            return denied(self.name, ORDER_VALUE_ABOVE_MAX, shown, show_number(self.max), message)
        return passed(
            self.name, shown, f"{show_number(self.min)} to {show_number(self.max)}", "order value is in bounds"
        )
