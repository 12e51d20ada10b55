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

Pair = tuple[Decimal, Decimal]
"""Price without trailing zeros, and size. A plain tuple: a book makes one for every level that changes."""

Change = tuple[int, Pair | None]
"""Units of a price and what is offered there now; None when nothing is."""

_PLAIN: Final = re.compile(r"(0|[1-9][0-9]{0,29})(?:\.([0-9]{1,15}))?", re.ASCII)
_prices: Final[dict[str, tuple[int, Decimal]]] = {}


def read_changes(name: str, pairs: object) -> list[Change]:
    """Read the levels of one side, `[["75516.00", "0.1"], …]`; `name` is the field's, for the refusal.

    Raises:
        MalformedError: not a list of pairs of plain decimals, a price that is zero or finer than 10⁻¹².
    """
    if type(pairs) is not list:
        _refuse(name)
    changes: list[Change] = []
    known, is_plain = _prices.get, _PLAIN.fullmatch
    for pair in pairs:
        if type(pair) is not list or len(pair) != 2:  # noqa: PLR2004 - price and size
            _refuse(name)
        price, size = pair
        if type(price) is not str or type(size) is not str:
            _refuse(name)
        units, value = known(price) or _read_price(name, price)
        if size == "0":
            changes.append((units, None))
            continue
        if not is_plain(size):
            _refuse(name)
        amount = Decimal(size)
        changes.append((units, (value, amount) if amount else None))
    return changes


def units_of(price: Decimal) -> int:
    """Return a price as a whole number of 10⁻¹².

    Raises:
        MalformedError: it is finer than that.
    """
    units = price.scaleb(UNIT_DIGITS)
    if units != units.to_integral_value():
        _refuse("price")
    return int(units)


def shortest(value: Decimal) -> Decimal:
    """Return the same number without trailing zeros and without an exponent: 75516.00 is 75516, 100 stays 100."""
    short = value.normalize()
    return short.quantize(Decimal(1)) if _exponent(short) > 0 else short


def _exponent(value: Decimal) -> int:
    exponent: Any = value.as_tuple().exponent
    return int(exponent)


def _read_price(name: str, text: str) -> tuple[int, Decimal]:
    if not _PLAIN.fullmatch(text):
        _refuse(name)
    value = shortest(Decimal(text))
    units = units_of(value)
    if units <= 0:
        _refuse(name)
    if len(_prices) >= MAX_REMEMBERED:
        _prices.clear()
    _prices[text] = read = units, value
    return read


def _refuse(name: str) -> NoReturn:
    message = f"{name}: not a list of price and size"
    raise MalformedError(message)
