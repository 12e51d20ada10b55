"""What an order is worth, in the quote asset and without fee. Called by the rules and by the claim (worst case)."""

from decimal import Decimal

from policy.model import OrderType, Quote, Side, Terms
from policy.number import EXACT
from policy.quote import MAX_QUOTE_AGE, lack_of_quote
from policy.verdict import Lack, missing


def order_value(terms: Terms, quote: Quote | None) -> Decimal | Lack:
    """Return the order value, or the fact it lacks.

    LIMIT: amount × price. MARKET BUY: quote_amount. MARKET SELL: amount × best bid of a GOOD quote at most
    `MAX_QUOTE_AGE` old. Only the last looks at the quote. Terms of another shape have no value.
    """
    if terms.order_type is OrderType.LIMIT:
        return _product(terms.amount, terms.price)
    if terms.side is Side.BUY:
        return missing("quote_amount") if terms.quote_amount is None else terms.quote_amount
    return _at_best_bid(terms, quote)


def values_by_quote(terms: Terms) -> bool:
    """Tell whether the value of such an order depends on the market."""
    return terms.order_type is OrderType.MARKET and terms.side is Side.SELL


def _at_best_bid(terms: Terms, quote: Quote | None) -> Decimal | Lack:
    lack = lack_of_quote(quote, terms.market, MAX_QUOTE_AGE)
    if lack is not None:
        return lack
    if quote is None or not quote.bids:
        return missing(f"best bid of {terms.market}")
    return _product(terms.amount, quote.bids[0].price)


def _product(amount: Decimal | None, price: Decimal | None) -> Decimal | Lack:
    if amount is None or price is None:
        return missing("amount and price")
    return EXACT.multiply(amount, price)
