"""What an incoming order would take from a book: a plan, made before anything moves.

Planning first lets fill-or-kill, post-only and balance checks decide on the whole match. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from exchange_sim import money
from exchange_sim.order import Order
from exchange_sim.order_book import OrderBook


class Take(NamedTuple):
    """One match to be: from whom, and how much base."""

    maker: Order
    amount: int


class Budget(NamedTuple):
    """A buy by quote: fee-inclusive atoms to spend, the fee rate, the steps, and whether fees round per order."""

    atoms: int
    rate: int
    amount_step: int
    quote_step: int
    rounds_per_order: bool


def take_amount(book: OrderBook, *, is_buy: bool, amount: int, limit: int | None) -> list[Take]:
    """Plan to take `amount` of base within `limit`; the plan falls short where the book does."""
    takes = []
    for maker in book.makers(is_buy=is_buy, limit=limit):
        taken = min(amount, maker.remaining)
        takes.append(Take(maker, taken))
        amount -= taken
        if not amount:
            break
    return takes


def spend(book: OrderBook, budget: Budget) -> list[Take]:
    """Plan a market buy whose value and fees stay within a budget.

    The rounding of the last debit spends what the rounding of its amount left over, as recorded: a budget of 10 bought
    for 9.97506229713 and paid a fee of 0.02493770287.
    """
    takes: list[Take] = []
    left, scaled = budget.atoms, 0
    for maker in book.makers(is_buy=True, limit=None):
        affordable = money.affordable_amount(left, maker.price, budget.rate, budget.amount_step)
        taken = min(affordable, maker.remaining)
        if not taken:
            break
        takes.append(Take(maker, taken))
        exact = money.scaled_debit(taken * maker.price, budget.rate)
        if budget.rounds_per_order:
            scaled += exact
            left = budget.atoms - money.ceil_scaled(scaled, budget.quote_step)
        else:
            left -= money.ceil_scaled(exact, budget.quote_step)
        if left <= 0:
            break
    return takes


def sell_for(book: OrderBook, quote: int, amount_step: int) -> list[Take]:
    """Plan a market sell of as much base as brings `quote` atoms before fees."""
    takes, left = [], quote
    for maker in book.makers(is_buy=False, limit=None):
        taken = min(left // (maker.price * amount_step) * amount_step, maker.remaining)
        if taken:
            takes.append(Take(maker, taken))
            left -= taken * maker.price
        if taken < maker.remaining:
            break
    return takes
