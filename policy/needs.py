"""Which facts the rules in force need, so that the caller fetches no others. Called before a claim."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from policy.model import OrderType, Terms
from policy.policy import Policy, PolicyMissing
from policy.quote import MAX_QUOTE_AGE
from policy.rules.order_value import OrderValueRule
from policy.rules.price_collar import PriceCollarRule
from policy.value import values_by_quote

# A market order is walked through at most this many levels; thinner than that within them denies.
WALK_LEVELS: Final = 50
TOP_LEVELS: Final = 1


@dataclass(frozen=True, slots=True)
class Needs:
    """Facts to fetch: `depth` levels of the book and its greatest age, both 0 when no quote is needed."""

    market_rules: bool
    quote: bool
    depth: int
    max_quote_age: timedelta


def facts_needed(policy: Policy | PolicyMissing, terms: Terms) -> Needs:
    """Return what a decision about such terms may look at. Market rules always; a quote by rule and shape."""
    needs = () if isinstance(policy, PolicyMissing) else _quote_needs(policy, terms)
    if not needs:
        return Needs(market_rules=True, quote=False, depth=0, max_quote_age=timedelta(0))
    depth, age = max(depth for depth, _ in needs), min(age for _, age in needs)
    return Needs(market_rules=True, quote=True, depth=depth, max_quote_age=age)


def _quote_needs(policy: Policy, terms: Terms) -> tuple[tuple[int, timedelta], ...]:
    needs = []
    valued = policy.approval.required_above is not None or any(
        isinstance(rule, OrderValueRule) for rule in policy.rules
    )
    if valued and values_by_quote(terms):
        needs.append((TOP_LEVELS, MAX_QUOTE_AGE))
    depth = WALK_LEVELS if terms.order_type is OrderType.MARKET else TOP_LEVELS
    needs.extend((depth, rule.max_quote_age) for rule in policy.rules if isinstance(rule, PriceCollarRule))
    return tuple(needs)
