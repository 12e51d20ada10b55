"""A human's yes, as a rule: always judged, by the policy in force at the claim."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar, Final

from policy.limits import Flag, Money
from policy.model import Proposal, Verdict
from policy.number import show_number
from policy.rule import Case
from policy.value import order_value
from policy.verdict import Lack, denied, lacking, passed

APPROVAL_REQUIRED: Final = "APPROVAL_REQUIRED"
APPROVAL_CONTENT_CHANGED: Final = "APPROVAL_CONTENT_CHANGED"
APPROVER_IS_SUBMITTER: Final = "APPROVER_IS_SUBMITTER"


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """Asks for the yes of someone who is not the submitter, for this very content, always or above an order value.

    Either `required`, or `required_above`: exactly that value needs none, anything above does. An approval of other
    content denies even where none is needed.
    """

    name: ClassVar[str] = "approval"
    codes: ClassVar[tuple[str, ...]] = (APPROVAL_REQUIRED, APPROVAL_CONTENT_CHANGED, APPROVER_IS_SUBMITTER)

    required: Annotated[bool | None, Flag()] = None
    required_above: Annotated[Decimal | None, Money()] = None

    def __post_init__(self) -> None:
        """Refuse both and neither."""
        if (self.required is None) == (self.required_above is None):
            message = "exactly one of required, required_above"
            raise ValueError(message)

    def judge(self, case: Case) -> Verdict:
        """Decide whether an approval is needed, then whether this one will do."""
        proposal = case.proposal
        approval = proposal.approval
        if approval is not None and approval.content_hash != proposal.content_hash:
            message = "the approval was given for other content"
            observed, limit = approval.content_hash, proposal.content_hash
            return denied(self.name, APPROVAL_CONTENT_CHANGED, observed, limit, message)
        value = None if self.required_above is None else order_value(proposal.terms, case.facts.quote)
        limit = self._limit()
        if self._not_needed(value):
            return passed(self.name, _shown(value), limit, "no approval is needed")
        if approval is None:
            return self._unapproved(value, limit)
        return self._judge_approver(proposal, approval.approver)

    def _not_needed(self, value: Decimal | Lack | None) -> bool:
        if self.required_above is None:
            return self.required is False
        return isinstance(value, Decimal) and value <= self.required_above

    def _unapproved(self, value: Decimal | Lack | None, limit: str) -> Verdict:
        if isinstance(value, Lack):
            return lacking(self.name, value)
        return denied(self.name, APPROVAL_REQUIRED, _shown(value), limit, "this order needs an approval")

    def _judge_approver(self, proposal: Proposal, approver: str) -> Verdict:
        if approver == proposal.submitted_by:
            message = "who submitted a proposal may not approve it"
            return denied(self.name, APPROVER_IS_SUBMITTER, approver, "someone else", message)
        return passed(self.name, f"approved by {approver}", self._limit(), "approved for exactly this content")

    def _limit(self) -> str:
        if self.required_above is None:
            return "always" if self.required else "never"
        return f"above {show_number(self.required_above)}"


def _shown(value: Decimal | Lack | None) -> str:
    return show_number(value) if isinstance(value, Decimal) else "no approval"
