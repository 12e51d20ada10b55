"""Which facts the rules in force need, so that the caller fetches no others. Called before a claim."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from policy.model import OrderType, Side, Terms
from policy.policy import Policy, PolicyMissing
from policy.quote import MAX_QUOTE_AGE
from policy.rules.price_collar import PriceCollarRule
from policy.value import values_by_quote

# A market order is walked through at most this many levels of the side it trades against; thinner than that denies.
WALK_LEVELS: Final = 50
TOP_LEVELS: Final = 1


@dataclass(frozen=True, slots=True)
class Needs:
    """Facts to fetch: levels of either side of the book and its greatest age, all 0 when no quote is needed."""

    market_rules: bool
    quote: bool
    bids: int
    asks: int
    max_quote_age: timedelta


def facts_needed(policy: Policy | PolicyMissing, terms: Terms) -> Needs:
    """Return what a decision about such terms may look at. Market rules always; a quote by rule and shape."""
    needs = () if isinstance(policy, PolicyMissing) else _quote_needs(policy, terms)
    if not needs:
        return Needs(market_rules=True, quote=False, bids=0, asks=0, max_quote_age=timedelta(0))
    walked, age = max(levels for levels, _ in needs), min(age for _, age in needs)
    bids, asks = (TOP_LEVELS, walked) if terms.side is Side.BUY else (walked, TOP_LEVELS)
    return Needs(market_rules=True, quote=True, bids=bids, asks=asks, max_quote_age=age)


def _quote_needs(policy: Policy, terms: Terms) -> tuple[tuple[int, timedelta], ...]:
    # Pairs of levels of the side that the order trades against, and the greatest age.
    needs = []
    if values_by_quote(terms):  # whatever the rules say: an order without a value is not sent
        needs.append((TOP_LEVELS, MAX_QUOTE_AGE))
    walked = WALK_LEVELS if terms.order_type is OrderType.MARKET else TOP_LEVELS
    needs.extend((walked, rule.max_quote_age) for rule in policy.rules if isinstance(rule, PriceCollarRule))
    return tuple(needs)
