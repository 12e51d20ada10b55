"""Fees, holds and their rounding, reproducing the exchange's recorded answers to the last digit.

Quote money is rounded to the quote asset's decimals against the client: a buy's whole debit goes up, a sell's whole
credit goes down, and the fee is the difference to the exact value of the fill. Pure; the settlement calls it.
Rates: https://bitvavo.com/en/fees.
"""

from __future__ import annotations

# Rates count 10^-8, so 0.25 % is 250,000.
RATE_DIGITS = 8
RATE_SCALE: int = 10**RATE_DIGITS


def debit(gross: int, rate: int, step: int) -> int:
    """Quote atoms a buyer pays for a fill of `gross` atoms, fee included, rounded up to `step` atoms."""
    return -(-gross * (RATE_SCALE + rate) // (RATE_SCALE * step)) * step


def credit(gross: int, rate: int, step: int) -> int:
    """Quote atoms a seller receives for a fill of `gross` atoms, fee taken off, rounded down to `step` atoms."""
    return gross * (RATE_SCALE - rate) // (RATE_SCALE * step) * step


def scaled_debit(gross: int, rate: int) -> int:
    """The exact debit in 10^-8 atoms: what a cumulative rounding adds up."""
    return gross * (RATE_SCALE + rate)


def scaled_credit(gross: int, rate: int) -> int:
    """The exact credit in 10^-8 atoms."""
    return gross * (RATE_SCALE - rate)


def ceil_scaled(scaled: int, step: int) -> int:
    """Round a sum of exact debits up to `step` atoms."""
    return -(-scaled // (RATE_SCALE * step)) * step


def floor_scaled(scaled: int, step: int) -> int:
    """Round a sum of exact credits down to `step` atoms."""
    return scaled // (RATE_SCALE * step) * step


def affordable_amount(budget: int, price: int, rate: int, amount_step: int) -> int:
    """The largest amount, in whole `amount_step`s, whose value plus fee stays within `budget` atoms."""
    return budget * RATE_SCALE // ((RATE_SCALE + rate) * price * amount_step) * amount_step
