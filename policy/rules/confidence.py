"""How sure a proposer must be."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from policy.limits import Listed, Whole
from policy.model import Verdict
from policy.rule import Case
from policy.verdict import denied, passed

CONFIDENCE_NOT_ALLOWED: Final = "CONFIDENCE_NOT_ALLOWED"


@dataclass(frozen=True, slots=True)
class ConfidenceRule:
    """Admits the listed degrees of confidence (0 to 100) and no other."""

    name: ClassVar[str] = "confidence"
    codes: ClassVar[tuple[str, ...]] = (CONFIDENCE_NOT_ALLOWED,)

    allowed: Annotated[tuple[int, ...], Listed(Whole(0, 100), 1, 101)]

    def judge(self, case: Case) -> Verdict:
        """Look the stated confidence up."""
        confidence = case.proposal.confidence
        limit = ", ".join(str(one) for one in self.allowed)
        if confidence not in self.allowed:
            message = f"confidence {confidence} is not one of {limit}"
            return denied(self.name, CONFIDENCE_NOT_ALLOWED, str(confidence), limit, message)
        return passed(self.name, str(confidence), limit, "confidence is allowed")
