from decimal import Decimal

import pytest

from policy.model import Quality, Quote, Side, Terms
from tests.policy import given

COLLAR = given.policy({"price_collar": {"max_deviation": "0.1%", "max_quote_age": "5s"}})
BUY, SELL = Side.BUY, Side.SELL

# Middle 50000: a BUY may reach 50050, a SELL 49950. Each top level holds one unit; the next one is out of the collar.
CASES = [
    (given.limit(BUY, price="50049.99"), "OK"),
    (given.limit(BUY, price="50050"), "OK"),
    (given.limit(BUY, price="50050.01"), "PRICE_COLLAR"),
    (given.limit(BUY, price="1"), "OK"),
    (given.limit(SELL, price="49950.01"), "OK"),
    (given.limit(SELL, price="49950"), "OK"),
    (given.limit(SELL, price="49949.99"), "PRICE_COLLAR"),
    (given.limit(SELL, price="99999"), "OK"),
    (given.market_buy("50009.99"), "OK"),
    (given.market_buy("50010"), "OK"),
    (given.market_buy("50010.01"), "PRICE_COLLAR"),
    (given.market_buy("200310"), "PRICE_COLLAR"),
    (given.market_buy("200310.01"), "BOOK_EXHAUSTED"),
    (given.market_sell("0.99"), "OK"),
    (given.market_sell("1"), "OK"),
    (given.market_sell("1.01"), "PRICE_COLLAR"),
    (given.market_sell("4"), "PRICE_COLLAR"),
    (given.market_sell("4.01"), "BOOK_EXHAUSTED"),
]


@pytest.mark.parametrize(("terms", "code"), CASES)
def test_the_worst_price_stays_in_the_collar_on_the_harmful_side(terms: Terms, code: str) -> None:
    assert given.verdict_of("price_collar", COLLAR, given.proposal(terms)).code == code


QUOTES = [
    (None, "FACT_MISSING"),
    (given.quote(market="ETH-EUR"), "FACT_MISSING"),
    (given.quote(quality=Quality.RESYNCING), "FACT_MISSING"),
    (given.quote(quality=Quality.STALE), "FACT_STALE"),
    (given.quote(bids=()), "FACT_MISSING"),
    (given.quote(asks=()), "FACT_MISSING"),
    (given.quote(asks=given.quote().bids), "FACT_MISSING"),
    (given.quote(age_seconds=Decimal("4.999999")), "OK"),
    (given.quote(age_seconds=Decimal(5)), "OK"),
    (given.quote(age_seconds=Decimal("5.000001")), "FACT_STALE"),
]


@pytest.mark.parametrize(("quote", "code"), QUOTES)
def test_only_a_good_young_whole_quote_is_a_fact(quote: Quote | None, code: str) -> None:
    assert given.verdict_of("price_collar", COLLAR, seen=given.facts(quote=quote)).code == code
