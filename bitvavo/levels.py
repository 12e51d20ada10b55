"""Price levels as a book event writes them, read strictly and fast; `bitvavo.frames` and `bitvavo.book` call it.

A price becomes a whole number of 10⁻¹², so that "75516.00" of an event and "75516" of a snapshot are the same key.
Asks count negative: on either side the greatest number, the level's *rank*, is the best. The same prices come again
and again, so what was read is remembered, within a bound.
"""

import re
from decimal import Decimal
from typing import Final, NoReturn

from bitvavo.strict_json import MalformedError

UNIT_DIGITS: Final = 12
MAX_REMEMBERED: Final = 65_536
BID: Final = 1
ASK: Final = -1

Pair = tuple[str, str]
"""Price and size: plain decimals as text, for that is how they come and how they go."""

Price = tuple[int, str]
"""A price's rank, and its text without trailing zeros."""

Changes = list[tuple[Price, str]]
"""The levels of one side that changed, and what is offered there now: "0" where nothing is any more."""

NOTHING: Final = "0"

# A number ends where a comma stands, so a refusal looks back over one number at most. Nothing possessive: CPython
# before 3.11.5 matches groups under them wrongly.
_PLAIN: Final = re.compile(r"(?:0|[1-9][0-9]{0,29})(?:\.[0-9]{1,15})?", re.ASCII)
# The same, but that nothing is written "0" and in no other way, so that no size needs to be looked at by itself.
_SIZE: Final = r"(?:0(?:\.(?=0{0,14}[1-9])[0-9]{1,15})?|[1-9][0-9]{0,29}(?:\.[0-9]{1,15})?)"
_SIZES: Final = re.compile(rf"(?:{_SIZE},)*{_SIZE}", re.ASCII)


class _Prices(dict[str, Price]):
    """The prices of one side by the text they came in; what is not there is read."""

    __slots__ = ("_sign",)

    def __init__(self, sign: int) -> None:
        super().__init__()
        self._sign = sign

    def __missing__(self, text: str) -> Price:
        if not _PLAIN.fullmatch(text):
            _refuse("price")
        price = Decimal(text)
        rank = rank_of(price, self._sign)
        if not rank:
            _refuse("price")
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        self[text] = found = rank, shortest(price)
        return found


_bids: Final = _Prices(BID)
_asks: Final = _Prices(ASK)


def read_changes(bids: list[Pair], asks: list[Pair]) -> tuple[Changes, Changes]:
    """Read the levels of both sides as they are written: `[("75516.00", "0.1"), …]`.

    Raises:
        MalformedError: not plain decimals, a price that is zero or finer than 10⁻¹².
    """
    # All sizes are judged by one look at all of them: one by one, that alone would take a third of a frame's time.
    sizes = [size for _, size in bids]
    sizes += [size for _, size in asks]
    joined = ",".join(sizes)
    if sizes and (not _SIZES.fullmatch(joined) or joined.count(",") >= len(sizes)):
        bids, asks = _one_by_one(bids), _one_by_one(asks)
    return [(_bids[price], size) for price, size in bids], [(_asks[price], size) for price, size in asks]


def rank_of(price: Decimal, sign: int) -> int:
    """Return a price as a whole number of 10⁻¹², times its side's sign.

    Raises:
        MalformedError: it is finer than that.
    """
    units = price.scaleb(UNIT_DIGITS)
    if units != units.to_integral_value():
        _refuse("price")
    return int(units) * sign


def shortest(value: Decimal) -> str:
    """Return the number as text without trailing zeros and without an exponent: 75516.00 is "75516", 100 is "100"."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _one_by_one(rows: list[Pair]) -> list[Pair]:
    if not all(_PLAIN.fullmatch(size) for _, size in rows):
        _refuse("size")
    return [(price, size if size.strip("0.") else NOTHING) for price, size in rows]


def _refuse(name: str) -> NoReturn:
    message = f"{name}: not a plain decimal, or too fine"
    raise MalformedError(message)
