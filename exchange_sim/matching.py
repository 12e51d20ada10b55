"""What an incoming order would take from a book: a plan, made before anything moves.

Planning first lets fill-or-kill, post-only and balance checks decide on the whole match. Where an order meets one of
its own account, the plan says so instead of trading. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from exchange_sim import money
from exchange_sim.accounts import Account
from exchange_sim.order import CANCEL_BOTH, CANCEL_NEWEST, CANCEL_OLDEST, DECREMENT_AND_CANCEL, Order
from exchange_sim.order_book import OrderBook

STOPPING = frozenset({CANCEL_NEWEST, CANCEL_BOTH})


class Take(NamedTuple):
    """One match to be: from whom, and how much base; or a self-trade that is not to be."""

    maker: Order
    amount: int
    is_prevented: bool = False


class Taker(NamedTuple):
    """Who takes, within which price (None: any), and what happens when it meets its own account's orders."""

    is_buy: bool
    limit: int | None = None
    account: Account | None = None
    prevention: str = DECREMENT_AND_CANCEL


class Budget(NamedTuple):
    """A buy by quote: fee-inclusive atoms to spend, the fee rate, the steps, and whether fees round per order."""

    atoms: int
    rate: int
    amount_step: int
    quote_step: int
    rounds_per_order: bool


def traded_amount(takes: list[Take]) -> int:
    """The base that a plan trades."""
    return sum(take.amount for take in takes if not take.is_prevented)


def take_amount(book: OrderBook, taker: Taker, amount: int) -> list[Take]:
    """Plan to take `amount` of base; the plan falls short where the book does."""
    takes = []
    for maker in book.makers(is_buy=taker.is_buy, limit=taker.limit):
        is_own = maker.account is taker.account
        taken = min(amount, maker.remaining)
        takes.append(Take(maker, taken, is_own))
        if is_own and taker.prevention in STOPPING:
            break
        if is_own and taker.prevention == CANCEL_OLDEST:
            continue
        amount -= taken
        if not amount:
            break
    return takes


def spend(book: OrderBook, taker: Taker, budget: Budget) -> list[Take]:
    """Plan a market buy whose value and fees stay within a budget.

    The rounding of the last debit spends what the rounding of its amount left over, as recorded: a budget of 10 bought
    for 9.97506229713 and paid a fee of 0.02493770287.
    """
    takes: list[Take] = []
    total, scaled, left = budget.atoms, 0, budget.atoms
    for maker in book.makers(is_buy=True, limit=taker.limit):
        affordable = money.affordable_amount(left, maker.price, budget.rate, budget.amount_step)
        taken = min(affordable, maker.remaining)
        if not taken:
            break
        is_own = maker.account is taker.account
        takes.append(Take(maker, taken, is_own))
        if is_own and taker.prevention in STOPPING:
            break
        if is_own and taker.prevention == CANCEL_OLDEST:
            continue
        exact = money.scaled_debit(taken * maker.price, budget.rate)
        if budget.rounds_per_order and not is_own:
            scaled += exact
            left = total - money.ceil_scaled(scaled, budget.quote_step)
        else:
            rounded = money.ceil_scaled(exact, budget.quote_step)
            total, left = total - rounded, left - rounded
        if left <= 0:
            break
    return takes


def sell_for(book: OrderBook, taker: Taker, quote: int, amount_step: int) -> list[Take]:
    """Plan a market sell of as much base as brings `quote` atoms before fees."""
    takes, left = [], quote
    for maker in book.makers(is_buy=False, limit=taker.limit):
        taken = min(left // (maker.price * amount_step) * amount_step, maker.remaining)
        is_own = maker.account is taker.account
        if taken:
            takes.append(Take(maker, taken, is_own))
            if is_own and taker.prevention in STOPPING:
                break
            if is_own and taker.prevention == CANCEL_OLDEST:
                continue
            left -= taken * maker.price
        if taken < maker.remaining:
            break
    return takes
