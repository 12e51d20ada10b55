"""Exact fixed-point numbers as plain integers, read from and written to the exchange's decimal strings.

Amounts count 10^-8 of the base asset, prices 10^-12 of the quote asset, and money (balances, holds, fees) counts
atoms of 10^-20. An amount times a price is therefore a number of atoms without any rounding.
"""

from __future__ import annotations

import re
from functools import lru_cache

AMOUNT_DIGITS = 8
PRICE_DIGITS = 12
ATOM_DIGITS = AMOUNT_DIGITS + PRICE_DIGITS
ATOMS_PER_AMOUNT: int = 10**PRICE_DIGITS

# Prices and amounts repeat, and writing them is much of an answer's cost.
MOST_REMEMBERED = 65_536

# Plain notation only: no sign, no exponent, no thousands mark, no leading dot.
_PLAIN = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,40}))?\Z")


def read(text: object, digits: int) -> tuple[int, int]:
    """Read a decimal string as (units of 10^-digits, decimals written); finer digits are cut off.

    Raises:
        ValueError: not a string in plain notation.
    """
    match = _PLAIN.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("not a decimal string")
    whole, fraction = match.group(1), match.group(2) or ""
    return int(whole + fraction[:digits].ljust(digits, "0")), len(fraction)


def exact(text: object, digits: int) -> int:
    """Read a decimal string that must fit into 10^-digits units.

    Raises:
        ValueError: not a plain decimal string, or finer than the unit.
    """
    units, decimals = read(text, digits)
    if decimals > digits and str(text).rstrip("0")[-(decimals - digits) :].strip("0"):
        raise ValueError(f"more than {digits} decimals")
    return units


@lru_cache(MOST_REMEMBERED)
def write(units: int, digits: int) -> str:
    """Write units of 10^-digits in plain notation without trailing zeros, as the exchange does."""
    if not units:
        return "0"
    if units < 0:
        return "-" + write(-units, digits)
    text = str(units)
    if len(text) <= digits:
        text = text.rjust(digits + 1, "0")
    fraction = text[-digits:].rstrip("0")
    return f"{text[:-digits]}.{fraction}" if fraction else text[:-digits]


def write_amount(units: int) -> str:
    """Write an amount of the base asset."""
    return write(units, AMOUNT_DIGITS)


def write_price(units: int) -> str:
    """Write a price."""
    return write(units, PRICE_DIGITS)


def write_atoms(atoms: int) -> str:
    """Write a balance, hold, fee or quote value."""
    return write(atoms, ATOM_DIGITS)
