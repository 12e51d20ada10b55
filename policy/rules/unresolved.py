"""No further order in a market while the fate of an earlier one is unknown: always judged."""

from dataclasses import dataclass
from typing import ClassVar, Final

from policy.history import is_unresolved, lack_of_history
from policy.model import Verdict
from policy.rule import Case
from policy.verdict import denied, lacking, passed

UNRESOLVED: Final = "UNRESOLVED"


@dataclass(frozen=True, slots=True)
class UnresolvedRule:
    """Denies while an execution of the user in this market is SUBMITTING or UNKNOWN.

    A caller that lost an answer and asks again under a new id must not trade a second time.
    """

    name: ClassVar[str] = "unresolved"
    codes: ClassVar[tuple[str, ...]] = (UNRESOLVED,)

    def judge(self, case: Case) -> Verdict:
        """Look for an unresolved execution in the proposal's market."""
        market = case.proposal.terms.market
        unresolved = [one for one in case.facts.executions if one.terms.market == market and is_unresolved(one)]
        if unresolved:
            observed = f"{len(unresolved)}, first {unresolved[-1].proposal_id} {unresolved[-1].status}"
            message = f"an earlier order in {market} may or may not exist; it must be settled first"
            return denied(self.name, UNRESOLVED, observed, "0", message)
        lack = lack_of_history(case.facts)
        if lack is not None:
            return lacking(self.name, lack)
        return passed(self.name, "0", "0", f"no unresolved order in {market}")
