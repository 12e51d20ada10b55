"""What a rule is: a frozen value of limits with one pure question, `judge`.

The engine asks; `policy/catalogue.py` lists who is asked, in which order.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from policy.model import Facts, Proposal, Verdict


@dataclass(frozen=True, slots=True)
class Case:
    """All that a rule may look at. `quote_currency` is the policy's; empty when there is no policy."""

    proposal: Proposal
    facts: Facts
    quote_currency: str


class Rule(Protocol):
    """A rule. The first line of its docstring is its public documentation.

    `name` is the key in a policy file and in every verdict; `codes` are the codes of its own that a verdict may
    carry, beside those of `policy/verdict.py`.
    """

    name: ClassVar[str]
    codes: ClassVar[tuple[str, ...]]

    def judge(self, case: Case) -> Verdict:
        """Return PASS or DENY. An exception counts as ERROR, which denies."""
        ...
