"""Exact arithmetic and the way numbers are shown; every rule calculates in `EXACT`, whatever the caller's context is.

Two numbers of 12 + 12 digits multiply to 48 digits: Python's default of 28 would round a limit silently.
"""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from typing import Final

# An inexact result raises, and an error in a rule denies: no limit is ever compared with a rounded number.
EXACT: Final = Context(prec=100, traps=[DivisionByZero, Inexact, InvalidOperation, Overflow])

_MICROSECOND: Final = timedelta(microseconds=1)
_PLAIN_DIGITS: Final = 40


def seconds(duration: timedelta) -> Decimal:
    """Return a duration in seconds, exactly (`total_seconds` would be a float)."""
    return EXACT.scaleb(Decimal(duration // _MICROSECOND), Decimal(-6))


def total(numbers: Iterable[Decimal]) -> Decimal:
    """Return the exact sum, 0 of none."""
    result = Decimal(0)
    for number in numbers:
        result = EXACT.add(result, number)
    return result


def show_number(number: Decimal) -> str:
    """Return a number as written, without an exponent unless it would be absurdly long."""
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and abs(exponent) <= _PLAIN_DIGITS:
        return format(number, "f")
    return str(number)


def show_shortest(number: Decimal) -> str:
    """Return a number without exponent and without trailing zeros: equal numbers are shown equally."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def show_duration(duration: timedelta) -> str:
    """Return a duration in seconds: ``1800s``, ``0.5s``."""
    return f"{show_shortest(seconds(duration))}s"
