"""Decimal numbers as text, in and out: the only way money and quantities enter or leave the system.

`Decimal()` alone takes full-width digits, `1_0`, spaces, `1e5` and `NaN`; comparing the last raises, and
`int(Decimal("1E+1000000"))` takes half a minute. So the text is judged before `Decimal` sees it.
"""

import re
from decimal import Decimal
from typing import Final

MAX_WHOLE_DIGITS: Final = 12
MAX_FRACTION_DIGITS: Final = 12
PATTERN: Final = r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?$"
"""What is accepted, in the form that a .proto or a policy's schema can quote."""

_ACCEPTED: Final = re.compile(r"(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?", re.ASCII)


def parse_decimal(text: str) -> Decimal:
    """Read a plain non-negative decimal number; the digits are kept as written ("1.50" has two decimals).

    Raises:
        ValueError: any other text; the message does not repeat it.
    """
    if not _ACCEPTED.fullmatch(text):
        message = (
            f"not a plain decimal number of at most {MAX_WHOLE_DIGITS} digits, a point and {MAX_FRACTION_DIGITS} more"
        )
        raise ValueError(message)
    return Decimal(text)


def plain(value: Decimal) -> str:
    """Write `value` without an exponent, its digits kept: Decimal("1.50") is "1.50", Decimal("1E+3") is "1000".

    Raises:
        ValueError: NaN and the infinities, which no amount is.
    """
    if not value.is_finite():
        message = f"not a number that can be written: {value}"
        raise ValueError(message)
    return f"{value:f}"
