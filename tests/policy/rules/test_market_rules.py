from decimal import Decimal
from typing import Any

import pytest

from policy.model import OrderType, Side, Terms
from tests.policy import given

SMALL_BOUNDS = {"max_base": Decimal(2), "max_quote": Decimal(50000), "tick_size": Decimal("0.50")}

CASES = [
    (given.limit(price="50000"), {}, "OK", ""),
    (given.limit(price="50000.5"), {}, "PRICE_OFF_TICK", "50000 and 50001"),
    (given.limit(price="50000.50"), SMALL_BOUNDS, "OK", ""),
    (given.limit(price="50000.49"), SMALL_BOUNDS, "PRICE_OFF_TICK", "50000 and 50000.5"),
    (given.limit(amount="0.00100001"), {}, "OK", ""),
    (given.limit(amount="0.001000015"), {}, "TOO_MANY_DECIMALS", "0.00100001 and 0.00100002"),
    (given.limit(amount="0.00100000000"), {}, "OK", ""),
    (given.market_buy("50.01"), {}, "OK", ""),
    (given.market_buy("50.011"), {}, "TOO_MANY_DECIMALS", "50.01 and 50.02"),
    (given.market_buy("50.011"), {"notional_decimals": 3}, "OK", ""),
    (given.limit(amount="0.0001"), {}, "OK", ""),
    (given.limit(amount="0.00009999", price="60000"), {}, "BELOW_MINIMUM", "nearest legal value 0.0001"),
    (given.limit(amount="2", price="25000"), SMALL_BOUNDS, "OK", ""),
    (given.limit(amount="2.00000001", price="20000"), SMALL_BOUNDS, "ABOVE_MAXIMUM", "nearest legal value 2"),
    (given.limit(amount="1", price="50000.5"), SMALL_BOUNDS, "ABOVE_MAXIMUM", "nearest legal value 50000"),
    (given.limit(amount="0.0005", price="9999"), {}, "BELOW_MINIMUM", "the minimum is 5"),
    (given.limit(amount="0.0005", price="10000"), {}, "OK", ""),
    (given.market_buy("4.99"), {}, "BELOW_MINIMUM", "nearest legal value 5"),
    (given.market_buy("5.00"), {}, "OK", ""),
    (given.market_buy("50000.01"), SMALL_BOUNDS, "ABOVE_MAXIMUM", "nearest legal value 50000"),
    (given.market_sell("2"), SMALL_BOUNDS, "OK", ""),
    (given.market_sell("2.1"), SMALL_BOUNDS, "ABOVE_MAXIMUM", "nearest legal value 2"),
    (given.limit(amount="0"), {}, "NOT_POSITIVE", "above 0"),
    (given.limit(price="-1"), {}, "NOT_POSITIVE", "above 0"),
    (given.market_buy("0"), {}, "NOT_POSITIVE", "above 0"),
    (given.limit(), {"status": "halted"}, "MARKET_NOT_TRADING", "halted"),
    (given.limit(), {"status": "auction"}, "MARKET_NOT_TRADING", "auction"),
    (given.market_buy(), {"order_types": ("limit",)}, "ORDER_TYPE_NOT_OFFERED", "no market orders"),
    (given.limit(), {"quote": "USDC"}, "WRONG_QUOTE_CURRENCY", "USDC"),
    (Terms("BTC-EUR", Side.BUY, OrderType.MARKET, amount=Decimal(1)), {}, "TERMS_INCOMPLETE", "quote_amount alone"),
    (Terms("BTC-EUR", Side.SELL, OrderType.MARKET, quote_amount=Decimal(50)), {}, "TERMS_INCOMPLETE", "amount alone"),
    (Terms("BTC-EUR", Side.BUY, OrderType.LIMIT, amount=Decimal(1)), {}, "TERMS_INCOMPLETE", "an amount and a price"),
    (
        Terms("BTC-EUR", Side.SELL, OrderType.MARKET, amount=Decimal(1), price=Decimal(1)),
        {},
        "TERMS_INCOMPLETE",
        "no price",
    ),
    (given.limit(), {"age_seconds": Decimal(3599)}, "OK", ""),
    (given.limit(), {"age_seconds": Decimal(3600)}, "OK", ""),
    (given.limit(), {"age_seconds": Decimal("3600.000001")}, "FACT_STALE", "too old"),
    (given.limit(), {"market": "ETH-EUR"}, "FACT_MISSING", "missing"),
]


@pytest.mark.parametrize(("terms", "changes", "code", "words"), CASES)
def test_what_the_exchange_would_refuse_is_denied(terms: Terms, changes: dict[str, Any], code: str, words: str) -> None:
    seen = given.facts(market_rules=given.market_rules(**changes))
    verdict = given.verdict_of("market_rules", None, given.proposal(terms), seen)
    assert verdict.code == code
    assert words in verdict.message


def test_missing_market_rules_deny() -> None:
    assert given.verdict_of("market_rules", seen=given.facts(market_rules=None)).code == "FACT_MISSING"


def test_every_misfit_is_named_at_once() -> None:
    judged = given.proposal(given.limit(amount="0.0000999999", price="49000.7"))
    seen = given.facts(market_rules=given.market_rules(status="halted"))
    message = given.verdict_of("market_rules", None, judged, seen).message
    assert all(
        words in message for words in ("halted", "multiple of 1", "8 decimals", "minimum is 0.0001", "minimum is 5")
    )
