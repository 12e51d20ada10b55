"""What an incoming order would take from a book: a plan, made before anything moves.

Planning first lets fill-or-kill, post-only and balance checks decide on the whole match. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from exchange_sim import money
from exchange_sim.order import Order
from exchange_sim.order_book import OrderBook


class Take(NamedTuple):
    """One match to be: from whom, how much base, and the buyer's whole debit where a budget dictates it."""

    maker: Order
    amount: int
    debit: int | None = None


class Budget(NamedTuple):
    """A buy by quote: fee-inclusive atoms to spend, the fee rate, and the steps of base and quote."""

    atoms: int
    rate: int
    amount_step: int
    quote_step: int


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
    """Plan a market buy that spends a fee-inclusive budget.

    The last take spends what is left to the atom: its fee absorbs the rounding of the amount, as recorded
    (a budget of 10 bought for 9.97506229713 and paid a fee of 0.02493770287).
    """
    takes, left = [], budget.atoms
    for maker in book.makers(is_buy=True, limit=None):
        affordable = money.affordable_amount(left, maker.price, budget.rate, budget.amount_step)
        cost = money.debit(maker.remaining * maker.price, budget.rate, budget.quote_step)
        if affordable > maker.remaining and cost < left:
            takes.append(Take(maker, maker.remaining, cost))
            left -= cost
            continue
        taken = min(affordable, maker.remaining)
        if taken:
            takes.append(Take(maker, taken, left))
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
