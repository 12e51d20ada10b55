import json
from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal

import pytest

from policy.canonical import policy_from_canonical
from policy.engine import decide
from policy.model import Facts, Override, Proposal, Scope, Side
from policy.policy import canonical_json
from policy.record import (
    facts_from_json,
    facts_to_json,
    proposal_from_json,
    proposal_to_json,
    verdicts_from_json,
    verdicts_to_json,
)
from tests.policy import given

POLICY = given.policy(
    {"price_collar": {"max_deviation": "1%", "max_quote_age": "5s"}}, approval={"required_above": "10"}
)
HISTORY = (
    given.execution(ago=timedelta(minutes=5, microseconds=1), last_fill_at=given.NOW - timedelta(microseconds=7)),
    given.execution(given.market_sell("0.10"), number=3, filled_value=Decimal("1E+2")),
)
FACTS = given.facts(
    executions=HISTORY,
    trading_states=(given.state(), given.state(Scope.USER, "alice")),
    position=Decimal("-0.10"),
)
PROPOSAL = given.proposal(
    given.limit(Side.SELL, amount="0.00100"),
    approval=given.approval(),
    overrides=(Override("cooldown", "carol", "news – really", given.NOW + given.HOUR),),
)


def through_text(value: object) -> object:
    """As the database keeps it; a float in it would fail here."""
    return json.loads(json.dumps(value, allow_nan=False), parse_float=pytest.fail)


@pytest.mark.parametrize("facts", [FACTS, given.facts(), given.facts(market_rules=None, quote=None)])
def test_facts_come_back_exactly(facts: Facts) -> None:
    back = facts_from_json(through_text(facts_to_json(facts)))  # type: ignore[arg-type]
    assert back == facts
    assert str(back) == str(facts)


@pytest.mark.parametrize("proposal", [PROPOSAL, given.proposal(), given.proposal(given.market_buy("50.00"))])
def test_a_proposal_comes_back_exactly(proposal: Proposal) -> None:
    back = proposal_from_json(through_text(proposal_to_json(proposal)))  # type: ignore[arg-type]
    assert back == proposal
    assert str(back) == str(proposal)


def test_a_decision_can_be_replayed_from_what_was_stored() -> None:
    decision = decide(POLICY, PROPOSAL, FACTS)
    stored = (canonical_json(POLICY), json.dumps(proposal_to_json(PROPOSAL)), json.dumps(facts_to_json(FACTS)))
    policy = policy_from_canonical(stored[0])
    replayed = decide(policy, proposal_from_json(json.loads(stored[1])), facts_from_json(json.loads(stored[2])))
    assert replayed == decision
    assert verdicts_from_json(through_text(verdicts_to_json(decision.verdicts))) == decision.verdicts  # type: ignore[arg-type]


def test_moments_are_utc_with_microseconds() -> None:
    assert facts_to_json(FACTS)["now"] == "2026-09-24T12:00:00.000000+00:00"
    with pytest.raises(ValueError, match="aware"):
        facts_to_json(replace(FACTS, now=given.NOW.replace(tzinfo=None)))


@pytest.mark.parametrize("field", [one.name for one in fields(Facts)])
def test_a_field_that_is_missing_or_of_another_type_is_refused(field: str) -> None:
    recorded = facts_to_json(FACTS)
    without = {key: value for key, value in recorded.items() if key != field}
    for value in (without, recorded | {field: 1.5}, recorded | {"more": 1}):
        with pytest.raises((ValueError, TypeError, AttributeError)):
            facts_from_json(value)
