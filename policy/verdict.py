"""How verdicts are made, and the codes that more than one rule uses. Called by the rules and the engine."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from policy.model import Verdict, VerdictOutcome

OK: Final = "OK"
FACT_MISSING: Final = "FACT_MISSING"
FACT_STALE: Final = "FACT_STALE"
RULE_ERROR: Final = "RULE_ERROR"
EXEMPT_EXIT: Final = "EXEMPT_EXIT"
OVERRIDDEN: Final = "OVERRIDDEN"
DISABLED: Final = "DISABLED"

SHARED_CODES: Final = (OK, FACT_MISSING, FACT_STALE, RULE_ERROR, EXEMPT_EXIT, OVERRIDDEN, DISABLED)


@dataclass(frozen=True, slots=True)
class Lack:
    """A fact that cannot be used: `code` FACT_MISSING or FACT_STALE, which fact, what was seen, what is accepted."""

    code: str
    fact: str
    observed: str
    limit: str


def missing(fact: str, observed: str = "nothing", limit: str = "present") -> Lack:
    """Return the lack of a fact that is not there."""
    return Lack(FACT_MISSING, fact, observed, limit)


def passed(rule: str, observed: str, limit: str, message: str, code: str = OK) -> Verdict:
    """Return a PASS."""
    return Verdict(rule, VerdictOutcome.PASS, code, observed, limit, message)


def denied(
    rule: str, code: str, observed: str, limit: str, message: str, next_possible_at: datetime | None = None
) -> Verdict:
    """Return a DENY; `next_possible_at` only where time alone helps."""
    return Verdict(rule, VerdictOutcome.DENY, code, observed, limit, message, next_possible_at)


def lacking(rule: str, lack: Lack) -> Verdict:
    """Return the DENY of a rule whose fact is missing or stale."""
    word = "too old" if lack.code == FACT_STALE else "missing"
    return denied(rule, lack.code, lack.observed, lack.limit, f"{lack.fact} is {word}, and a {word} fact denies")
