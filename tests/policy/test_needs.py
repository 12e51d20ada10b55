from datetime import timedelta
from decimal import Decimal

import pytest

from policy.engine import decide
from policy.model import Side, Terms
from policy.needs import WALK_LEVELS, Needs, facts_needed
from policy.policy import MissingReason, Policy, PolicyMissing
from tests.policy import given

NO_QUOTE = Needs(market_rules=True, quote=False, bids=0, asks=0, max_quote_age=timedelta(0))
COLLAR = {"price_collar": {"max_deviation": "1%", "max_quote_age": "2s"}}
OFF = {"order_value": {"disabled": "a test"}}


def needs(bids: int, asks: int, age: int) -> Needs:
    return Needs(market_rules=True, quote=True, bids=bids, asks=asks, max_quote_age=timedelta(seconds=age))


CASES = [
    (given.policy(), given.limit(), NO_QUOTE),
    (given.policy(), given.market_buy(), NO_QUOTE),
    (given.policy(), given.market_sell(), needs(1, 1, 5)),
    (given.policy(OFF), given.market_sell(), needs(1, 1, 5)),
    (given.policy(OFF), given.limit(Side.SELL), NO_QUOTE),
    (given.policy(COLLAR), given.limit(Side.SELL), needs(1, 1, 2)),
    (given.policy(COLLAR), given.market_buy(), needs(1, WALK_LEVELS, 2)),
    (given.policy(COLLAR), given.market_sell(), needs(WALK_LEVELS, 1, 2)),
    (PolicyMissing(MissingReason.NO_POLICY), given.market_sell(), NO_QUOTE),
]


@pytest.mark.parametrize(("policy", "terms", "expected"), CASES)
def test_only_what_a_rule_in_force_looks_at_is_fetched(policy: Policy, terms: Terms, expected: Needs) -> None:
    assert facts_needed(policy, terms) == expected


@pytest.mark.parametrize(("policy", "terms", "expected"), CASES[:-1])
def test_a_quote_that_is_not_needed_is_not_missed(policy: Policy, terms: Terms, expected: Needs) -> None:
    seen = given.facts(quote=None, position=Decimal(1))
    decision = decide(policy, given.proposal(terms), seen)
    assert ("FACT_MISSING" in {verdict.code for verdict in decision.verdicts}) is expected.quote
