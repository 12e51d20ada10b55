"""The decision: every rule's verdict, and what follows from them. Called by the claim, by CheckProposal, by replay.

Pure: the same policy, proposal and facts give the same decision for ever, on any machine.
"""

from collections.abc import Iterator
from dataclasses import replace
from decimal import localcontext
from typing import Final

from policy.history import is_exit
from policy.model import (
    Decision,
    DecisionOutcome,
    Facts,
    Override,
    Proposal,
    Verdict,
    VerdictOutcome,
)
from policy.number import EXACT
from policy.policy import Disabled, Policy, PolicyMissing
from policy.rule import Case, Rule
from policy.rules.approval import ApprovalRule
from policy.rules.market_rules import MarketRulesRule
from policy.rules.trading_state import TradingStateRule
from policy.rules.unresolved import UnresolvedRule
from policy.value import order_value
from policy.verdict import (
    DISABLED,
    EXEMPT_EXIT,
    FACT_MISSING,
    FACT_STALE,
    OVERRIDDEN,
    RULE_ERROR,
    Lack,
    denied,
    lacking,
    passed,
)

EXCHANGE_CLOCK_UNKNOWN: Final = "EXCHANGE_CLOCK_UNKNOWN"
DATABASE_CLOCK_WENT_BACK: Final = "DATABASE_CLOCK_WENT_BACK"

CLOCK: Final = "clock"
POLICY: Final = "policy"
VALUE: Final = "value"
OVERRIDABLE: Final = frozenset({"cooldown", "anti_flip"})

_NEVER_LIFTED: Final = frozenset({FACT_MISSING, FACT_STALE})


def decide(policy: Policy | PolicyMissing, proposal: Proposal, facts: Facts) -> Decision:
    """Judge a proposal. Never raises; all rules are always judged; ALLOW only when every verdict is PASS.

    Order of the verdicts: `clock` and `policy` only when they deny; trading_state, market_rules, unresolved,
    approval; then the policy's rules in the catalogue's order; `value` only when it alone denies.
    """
    with localcontext(EXACT):
        verdicts = tuple(_verdicts(policy, proposal, facts))
        if _all_pass(verdicts):
            verdicts += tuple(_value_verdicts(proposal, facts))
    allowed = _all_pass(verdicts)
    outcome = DecisionOutcome.ALLOW if allowed else DecisionOutcome.DENY
    if isinstance(policy, PolicyMissing):
        return Decision(outcome, verdicts, "", "", facts.now)
    return Decision(outcome, verdicts, policy.name, policy.sha256, facts.now)


def _verdicts(policy: Policy | PolicyMissing, proposal: Proposal, facts: Facts) -> Iterator[Verdict]:
    yield from _clock_verdicts(facts)
    if isinstance(policy, PolicyMissing):
        yield denied(POLICY, policy.reason.value, "no policy", "exactly one", f"no policy judges {proposal.user_id}")
        case, approval = Case(proposal, facts, ""), ApprovalRule(required=True)
    else:
        case, approval = Case(proposal, facts, policy.quote_currency), policy.approval
    for rule in (TradingStateRule(), MarketRulesRule(), UnresolvedRule(), approval):
        yield _judge_safely(rule, case)
    if isinstance(policy, Policy):
        for entry in policy.rules:
            yield _judge_entry(entry, policy, case)


def _clock_verdicts(facts: Facts) -> Iterator[Verdict]:
    if not facts.exchange_clock_known:
        message = "the exchange's clock was not read recently and well enough to sign by"
        yield denied(CLOCK, EXCHANGE_CLOCK_UNKNOWN, "unknown", "known", message)
    if facts.clock_went_back:
        message = "the database's clock reads earlier than what it wrote before"
        yield denied(CLOCK, DATABASE_CLOCK_WENT_BACK, "went back", "never goes back", message)


def _value_verdicts(proposal: Proposal, facts: Facts) -> Iterator[Verdict]:
    """Deny what no rule has valued and nothing can: no order is sent of which nobody could say what it is worth."""
    try:
        value = order_value(proposal.terms, facts.quote)
    except Exception:  # noqa: BLE001 - as for a rule: whatever went wrong denies
        yield _error(VALUE)
        return
    if isinstance(value, Lack):
        yield lacking(VALUE, value)


def _all_pass(verdicts: tuple[Verdict, ...]) -> bool:
    return all(verdict.outcome is VerdictOutcome.PASS for verdict in verdicts)


def _judge_entry(entry: Rule | Disabled, policy: Policy, case: Case) -> Verdict:
    """Judge one rule of the policy. Cases in this order: disabled; an exempt exit; judged, then perhaps overridden."""
    if isinstance(entry, Disabled):
        return passed(entry.name, "disabled", "disabled", entry.reason, DISABLED)
    if policy.exits.exempts(entry.name) and _is_exit_safely(case):
        return passed(entry.name, "a SELL within the position", "exits: exempt", "an exit is exempt", EXEMPT_EXIT)
    return _lift(_judge_safely(entry, case), case)


def _judge_safely(rule: Rule, case: Case) -> Verdict:
    try:
        return rule.judge(case)
    except Exception:  # noqa: BLE001 - whatever went wrong, a rule that could not be judged denies
        return _error(rule.name)


def _error(rule: str) -> Verdict:
    return Verdict(rule, VerdictOutcome.ERROR, RULE_ERROR, "error", "a verdict", "this rule could not be judged")


def _is_exit_safely(case: Case) -> bool:
    try:
        return is_exit(case.proposal, case.facts)
    except Exception:  # noqa: BLE001 - not shown to be an exit, so the rule is judged
        return False


def _lift(verdict: Verdict, case: Case) -> Verdict:
    """Turn a denial into a PASS where an approver said so; never an error, never a missing or stale fact."""
    if verdict.outcome is not VerdictOutcome.DENY or verdict.code in _NEVER_LIFTED or verdict.rule not in OVERRIDABLE:
        return verdict
    override = next((one for one in case.proposal.overrides if _holds(one, verdict.rule, case)), None)
    if override is None:
        return verdict
    message = f"{verdict.code} overridden by {override.actor} until {override.until.isoformat()}: {override.reason}"
    return replace(verdict, outcome=VerdictOutcome.PASS, code=OVERRIDDEN, message=message, next_possible_at=None)


def _holds(override: Override, rule: str, case: Case) -> bool:
    someone_else = override.actor != case.proposal.submitted_by
    return override.rule == rule and override.until > case.facts.now and someone_else and bool(override.reason.strip())
