from decimal import Decimal

import pytest

from policy.model import Quality, Quote, Terms
from tests.policy import given

CASES = [
    (given.market_buy("24.999999"), "ORDER_VALUE_BELOW_MIN"),
    (given.market_buy("25"), "OK"),
    (given.market_buy("25.000001"), "OK"),
    (given.market_buy("199.999999"), "OK"),
    (given.market_buy("200"), "OK"),
    (given.market_buy("200.000001"), "ORDER_VALUE_ABOVE_MAX"),
    (given.limit(amount="0.004", price="50000"), "OK"),
    (given.limit(amount="0.004", price="50000.000001"), "ORDER_VALUE_ABOVE_MAX"),
    # 25 meant as EUR but written as an amount of BTC: the value counts, not the field.
    (given.limit(amount="25", price="50000"), "ORDER_VALUE_ABOVE_MAX"),
    (given.market_sell("0.004"), "OK"),
    (given.market_sell("0.00400081"), "ORDER_VALUE_ABOVE_MAX"),
    (given.market_sell("0.0005"), "ORDER_VALUE_BELOW_MIN"),
]


@pytest.mark.parametrize(("terms", "code"), CASES)
def test_both_bounds_are_admitted_themselves(terms: Terms, code: str) -> None:
    assert given.verdict_of("order_value", judged=given.proposal(terms)).code == code


QUOTES = [
    (None, "FACT_MISSING"),
    (given.quote(market="ETH-EUR"), "FACT_MISSING"),
    (given.quote(bids=()), "FACT_MISSING"),
    (given.quote(quality=Quality.RESYNCING), "FACT_MISSING"),
    (given.quote(quality=Quality.STALE), "FACT_STALE"),
    (given.quote(age_seconds=Decimal("4.999999")), "OK"),
    (given.quote(age_seconds=Decimal(5)), "OK"),
    (given.quote(age_seconds=Decimal("5.000001")), "FACT_STALE"),
    (given.quote(asks=given.quote().bids), "FACT_MISSING"),
]


@pytest.mark.parametrize(("quote", "code"), QUOTES)
def test_a_market_sell_has_a_value_only_by_a_good_quote(quote: Quote | None, code: str) -> None:
    judged, seen = given.proposal(given.market_sell()), given.facts(quote=quote)
    assert given.verdict_of("order_value", None, judged, seen).code == code


def test_other_orders_need_no_quote() -> None:
    assert given.verdict_of("order_value", seen=given.facts(quote=None)).code == "OK"


def test_no_digit_is_rounded_away() -> None:
    # The product is 1e11 − 1e-23: 28 digits, Python's default, would round it up to the minimum itself.
    judged_by = given.policy({"order_value": {"min": "100000000000", "max": "200000000000"}})
    judged = given.proposal(given.limit(amount="100000.000000000001", price="999999.99999999999"))
    assert given.verdict_of("order_value", judged_by, judged).code == "ORDER_VALUE_BELOW_MIN"
