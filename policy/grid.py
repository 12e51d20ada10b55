"""The exchange's grid: how a number misses what a market accepts, and the nearest numbers that do not.

Called by the market_rules rule. Facts: https://docs.bitvavo.com/ (markets: tickSize, quantityDecimals,
notionalDecimals and the minimum and maximum order in base and quote).
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from policy.model import MarketRules, OrderType, Side, Terms
from policy.number import EXACT, show_number, show_shortest

PRICE_OFF_TICK: Final = "PRICE_OFF_TICK"
TOO_MANY_DECIMALS: Final = "TOO_MANY_DECIMALS"
BELOW_MINIMUM: Final = "BELOW_MINIMUM"
ABOVE_MAXIMUM: Final = "ABOVE_MAXIMUM"
NOT_POSITIVE: Final = "NOT_POSITIVE"
TERMS_INCOMPLETE: Final = "TERMS_INCOMPLETE"

MISFIT_CODES: Final = (
    PRICE_OFF_TICK,
    TOO_MANY_DECIMALS,
    BELOW_MINIMUM,
    ABOVE_MAXIMUM,
    NOT_POSITIVE,
    TERMS_INCOMPLETE,
)


@dataclass(frozen=True, slots=True)
class Misfit:
    """One way in which the terms do not fit the market; `message` names the nearest legal values."""

    code: str
    observed: str
    limit: str
    message: str


def misfits(terms: Terms, rules: MarketRules) -> tuple[Misfit, ...]:
    """Return every misfit of the numbers, none when they fit.

    The counter value of a market order is not known beforehand, so only the number it states is bounded.
    """
    if terms.order_type is OrderType.LIMIT:
        return _limit_order(terms, rules)
    if terms.price is not None:
        return (_incomplete("a MARKET order has no price"),)
    return _market_buy(terms, rules) if terms.side is Side.BUY else _market_sell(terms, rules)


def _limit_order(terms: Terms, rules: MarketRules) -> tuple[Misfit, ...]:
    price, amount = terms.price, terms.amount
    if price is None or amount is None or terms.quote_amount is not None:
        return (_incomplete("a LIMIT order has an amount and a price"),)
    value = EXACT.multiply(amount, price)
    return (*_price(price, rules), *_amount(amount, rules), *_bounds("value", value, rules.min_quote, rules.max_quote))


def _market_buy(terms: Terms, rules: MarketRules) -> tuple[Misfit, ...]:
    if terms.quote_amount is None or terms.amount is not None:
        return (_incomplete("a MARKET BUY has a quote_amount alone"),)
    return _quote_amount(terms.quote_amount, rules)


def _market_sell(terms: Terms, rules: MarketRules) -> tuple[Misfit, ...]:
    if terms.amount is None or terms.quote_amount is not None:
        return (_incomplete("a MARKET SELL has an amount alone"),)
    return _amount(terms.amount, rules)


def _price(price: Decimal, rules: MarketRules) -> tuple[Misfit, ...]:
    if price <= 0:
        return (_not_positive("price", price),)
    tick = rules.tick_size
    if not EXACT.remainder(price, tick):
        return ()
    limit = f"multiple of {show_number(tick)}"
    return (Misfit(PRICE_OFF_TICK, show_number(price), limit, f"price must be a {limit}; {_nearest(price, tick)}"),)


def _amount(amount: Decimal, rules: MarketRules) -> tuple[Misfit, ...]:
    if amount <= 0:
        return (_not_positive("amount", amount),)
    step = _step(rules.quantity_decimals)
    return (
        *_decimals("amount", amount, rules.quantity_decimals),
        *_bounds("amount", amount, rules.min_base, rules.max_base, step),
    )


def _quote_amount(quote_amount: Decimal, rules: MarketRules) -> tuple[Misfit, ...]:
    if quote_amount <= 0:
        return (_not_positive("quote_amount", quote_amount),)
    step = _step(rules.notional_decimals)
    return (
        *_decimals("quote_amount", quote_amount, rules.notional_decimals),
        *_bounds("quote_amount", quote_amount, rules.min_quote, rules.max_quote, step),
    )


def _decimals(what: str, number: Decimal, decimals: int) -> tuple[Misfit, ...]:
    step = _step(decimals)
    if not EXACT.remainder(number, step):
        return ()
    limit = f"{decimals} decimals"
    message = f"{what} may have {limit} at most; {_nearest(number, step)}"
    return (Misfit(TOO_MANY_DECIMALS, show_number(number), limit, message),)


def _bounds(what: str, number: Decimal, low: Decimal, high: Decimal, step: Decimal | None = None) -> tuple[Misfit, ...]:
    if number < low:
        nearest = low if step is None else _up(low, step)
        return (_out(BELOW_MINIMUM, what, number, low, f"the minimum is {show_number(low)}", nearest),)
    if number > high:
        nearest = high if step is None else _down(high, step)
        return (_out(ABOVE_MAXIMUM, what, number, high, f"the maximum is {show_number(high)}", nearest),)
    return ()


def _out(code: str, what: str, number: Decimal, limit: Decimal, why: str, nearest: Decimal) -> Misfit:
    message = f"{what}: {why}; nearest legal value {show_shortest(nearest)}"
    return Misfit(code, show_number(number), show_number(limit), message)


def _incomplete(message: str) -> Misfit:
    return Misfit(TERMS_INCOMPLETE, "other fields", message, message)


def _not_positive(what: str, number: Decimal) -> Misfit:
    return Misfit(NOT_POSITIVE, show_number(number), "above 0", f"{what} must be above 0")


def _nearest(number: Decimal, step: Decimal) -> str:
    below, above = _down(number, step), _up(number, step)
    if not below:
        return f"nearest legal value {show_shortest(above)}"
    return f"nearest legal values {show_shortest(below)} and {show_shortest(above)}"


def _down(number: Decimal, step: Decimal) -> Decimal:
    return EXACT.multiply(EXACT.divide_int(number, step), step)


def _up(number: Decimal, step: Decimal) -> Decimal:
    below = _down(number, step)
    return below if below == number else EXACT.add(below, step)


def _step(decimals: int) -> Decimal:
    return EXACT.scaleb(Decimal(1), Decimal(-decimals))
