"""Price levels as a book event writes them, read strictly and fast; `bitvavo.frames` and `bitvavo.book` call it.

A price becomes a whole number of 10⁻¹² (its *units*), so that "75516.00" of an event and "75516" of a snapshot are
the same key. The same prices come again and again, so what was read is remembered, within a bound.
"""

import re
from decimal import Decimal
from typing import Any, Final, NoReturn

from bitvavo.strict_json import MalformedError

UNIT_DIGITS: Final = 12
MAX_REMEMBERED: Final = 65_536

Pair = tuple[str, str]
"""Price, without trailing zeros, and size: plain decimals as text, for that is how they come and how they go."""

Prices = list[tuple[int, str]]
"""Units of each price, and its text without trailing zeros."""

Changes = tuple[Prices, list[str]]
"""The levels of one side that changed: their prices, and what is offered there now, "0" where nothing is any more. Two
lists and no pairs: a book takes thousands of them a second."""

# Possessive: what was taken is never given back, so a refusal takes no longer than an acceptance.
_PLAIN: Final = re.compile(r"(?:0|[1-9][0-9]{0,29}+)(?:\.[0-9]{1,15}+)?", re.ASCII)
_PLAIN_LIST: Final = re.compile(rf"(?:{_PLAIN.pattern},)*+{_PLAIN.pattern}", re.ASCII)
_LISTS: Final = frozenset({list})

_prices: Final[dict[str, tuple[int, str]]] = {}


def read_changes(name: str, pairs: object) -> Changes:
    """Read the levels of one side, `[["75516.00", "0.1"], …]`; `name` is the field's, for the refusal.

    Raises:
        MalformedError: not a list of pairs of plain decimals, a price that is zero or finer than 10⁻¹².
    """
    if type(pairs) is not list:
        _refuse(name)
    if not pairs:
        return [], []
    try:
        return _changes(name, pairs)
    except (TypeError, ValueError):
        _refuse(name)


def _changes(name: str, pairs: list[Any]) -> Changes:
    # All sizes are judged by one look at all of them: one by one, that alone would take a third of a frame's time.
    sizes = [size for _, size in pairs]
    joined = ",".join(sizes)
    if set(map(type, pairs)) != _LISTS or joined.count(",") >= len(pairs) or not _PLAIN_LIST.fullmatch(joined):
        _refuse(name)
    known = _prices.get
    return [known(text) or _read_price(name, text) for text, _ in pairs], sizes


def units_of(price: Decimal) -> int:
    """Return a price as a whole number of 10⁻¹².

    Raises:
        MalformedError: it is finer than that.
    """
    units = price.scaleb(UNIT_DIGITS)
    if units != units.to_integral_value():
        _refuse("price")
    return int(units)


def shortest(value: Decimal) -> str:
    """Return the number as text without trailing zeros and without an exponent: 75516.00 is "75516", 100 is "100"."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _read_price(name: str, text: str) -> tuple[int, str]:
    if not _PLAIN.fullmatch(text):
        _refuse(name)
    units = units_of(Decimal(text))
    if units <= 0:
        _refuse(name)
    if len(_prices) >= MAX_REMEMBERED:
        _prices.clear()
    _prices[text] = read = units, shortest(Decimal(text))
    return read


def _refuse(name: str) -> NoReturn:
    message = f"{name}: not a list of price and size"
    raise MalformedError(message)
