"""Carries an order out: what it would take, what it must hold, its matches, and what becomes of the rest of it.

Called for new, updated and fired orders by `trading` and `triggers`, and for orders of the house by `house_moves`.
"""

from __future__ import annotations

from dataclasses import replace

from exchange_sim import matching, money, rules, settlement
from exchange_sim.exchange import Exchange
from exchange_sim.feed import CANCELED as TOLD_CANCELED
from exchange_sim.feed import EXPIRED as TOLD_EXPIRED
from exchange_sim.feed import RESTATED, TRADED
from exchange_sim.fixed import ATOMS_PER_AMOUNT
from exchange_sim.matching import Budget, Take, Taker
from exchange_sim.order import (
    CANCEL_NEWEST,
    CANCEL_OLDEST,
    CANCELED,
    DECREMENT_AND_CANCEL,
    EXPIRED,
    FILLED,
    Order,
)
from exchange_sim.refusal import Refusal
from exchange_sim.settlement import settle
from exchange_sim.venue import Venue

PREVENTED = "cancelOnSelfTradePrevention"
DECREMENTED = "decrementOnSelfTradePrevention"
POST_ONLY = "cancelPostOnly"
PROTECTED = "cancelOnExecutionPriceProtection"
PER_CENT = 100


def start(exchange: Exchange, venue: Venue, order: Order) -> None:
    """Carry out an order that has fired; what it held while it waited pays for it.

    Raises:
        Refusal: 216, and nothing has changed.
    """
    takes = plan(exchange, venue, order)
    hold(exchange, venue, order, takes)
    execute(exchange, venue, order, takes)


def plan(exchange: Exchange, venue: Venue, order: Order) -> list[Take]:
    """What an order would take from the book now."""
    request = order.request
    if venue.rules.status == rules.AUCTION:
        return []
    limit = request.price if request.price is not None else _protection(exchange, venue, order)
    taker = Taker(order.is_buy, limit, order.account, request.self_trade_prevention)
    if request.quote is None:
        return matching.take_amount(venue.book, taker, order.remaining)
    if not request.is_buy:
        return matching.sell_for(venue.book, taker, request.quote, venue.rules.amount_step)
    steps = (venue.rules.amount_step, venue.rules.quote_step)
    per_order = exchange.switches.fee_rounding == "per_order"
    return matching.spend(venue.book, taker, Budget(request.quote, order.account.taker_rate, *steps, per_order))


def hold(exchange: Exchange, venue: Venue, order: Order, takes: list[Take]) -> None:
    """Set aside what an order may cost.

    Raises:
        Refusal: 216, and nothing has changed.
    """
    needed = _needed(exchange, venue, order, takes)
    check_funds(venue, order, needed)
    if order.is_buy and order.request.price is None and order.request.quote is None:
        return
    settlement.rehold(order, venue.rules, needed)


def check_funds(venue: Venue, order: Order, needed: int) -> None:
    """Refuse an order that needs more than its hold and what is free.

    Raises:
        Refusal: 216.
    """
    balance = order.account.balance(venue.rules.quote if order.is_buy else venue.rules.base)
    if needed > balance.available + order.hold:
        raise Refusal(216, "You do not have sufficient balance to complete this operation.")


def execute(exchange: Exchange, venue: Venue, order: Order, takes: list[Take]) -> None:
    """Carry a plan out; post-only and fill-or-kill orders may end without a match."""
    request = order.request
    if request.post_only and takes:
        close(exchange, venue, order, CANCELED, POST_ONLY)
        return
    if request.time_in_force == "FOK" and matching.traded_amount(takes) < order.remaining:
        close(exchange, venue, order, exchange.switches.unfilled_rest_status)
        return
    has_traded = match(exchange, venue, order, takes)
    _finish(exchange, venue, order, has_traded=has_traded)
    exchange.house.refill(venue)


def match(exchange: Exchange, venue: Venue, taker: Order, takes: list[Take]) -> bool:
    """Settle each take of a plan, and tell whether anything was traded.

    The taker's change is told for every take but the last: that one is told with what becomes of the rest.
    """
    has_traded = False
    for take in takes:
        if take.is_prevented:
            _prevent(exchange, venue, taker, take)
            continue
        if has_traded and not taker.account.is_house:
            exchange.feed.order_changed(venue, taker, TRADED)
        _settle(exchange, venue, taker, take)
        has_traded = True
    return has_traded


def finish_taker(exchange: Exchange, venue: Venue, order: Order, takes: list[Take]) -> None:
    """Match an order that an auction left crossing, and let the rest of it rest."""
    _finish(exchange, venue, order, has_traded=match(exchange, venue, order, takes))


def close(exchange: Exchange, venue: Venue, order: Order, status: str, restatement: str | None = None) -> None:
    """Give an order its final state, its hold back, and tell of it; a full fill is told as a trade by its match."""
    if order.is_resting:
        venue.book.own_side(is_buy=order.is_buy).remove(order)
    if order.account.is_house:
        return
    market = venue.rules.market
    order.status, order.restatement = status, restatement or order.restatement
    order.updated_ns = exchange.clock.now_ns()
    order.closed_steady_ms = exchange.clock.steady_ms()
    settlement.release(order, venue.rules)
    venue.waiting.pop(order.order_id, None)
    order.account.open_orders.pop((market, order.order_id), None)
    order.account.open_count[market] -= 1
    venue.open_client_ids.discard(order.request.client_order_id or "")
    if status != FILLED:
        exchange.feed.order_changed(venue, order, TOLD_EXPIRED if status == EXPIRED else TOLD_CANCELED)


def _settle(exchange: Exchange, venue: Venue, taker: Order, take: Take) -> None:
    maker = take.maker
    settle(exchange, venue, taker, take)
    venue.book.own_side(is_buy=maker.is_buy).traded(maker, take.amount)
    if maker.account.is_house and exchange.switches.house_refills:
        exchange.house.touched(venue, maker)
    if not maker.remaining:
        close(exchange, venue, maker, FILLED)
    if not maker.account.is_house:
        exchange.feed.order_changed(venue, maker, TRADED)


def _finish(exchange: Exchange, venue: Venue, order: Order, *, has_traded: bool) -> None:
    """Rest what may rest, close what is done, expire or cancel what is left of an order that may not rest."""
    if not order.is_open:
        return
    status, restatement = _outcome(exchange, venue, order)
    if status == FILLED:
        close(exchange, venue, order, FILLED)
    elif status is None:
        venue.book.own_side(is_buy=order.is_buy).add(order)
    if has_traded:
        exchange.feed.order_changed(venue, order, TRADED)
    if status not in (None, FILLED):
        close(exchange, venue, order, status, restatement)


def _outcome(exchange: Exchange, venue: Venue, order: Order) -> tuple[str | None, str | None]:
    """The final state and its reason; no state for an order that rests."""
    request = order.request
    if _is_spent(venue, order) if request.quote is not None else not order.remaining:
        return FILLED, None
    if request.price is not None:
        return (None if request.time_in_force == "GTC" else exchange.switches.unfilled_rest_status), None
    # The book goes on, so it was the protection that stopped the order.
    best = (venue.book.asks if order.is_buy else venue.book.bids).best()
    return (EXPIRED, None) if best is None else (CANCELED, PROTECTED)


def _protection(exchange: Exchange, venue: Venue, order: Order) -> int | None:
    """The worst price at which a market order is executed."""
    per_cent = exchange.switches.market_protection_per_cent
    best = (venue.book.asks if order.is_buy else venue.book.bids).best()
    if per_cent is None or best is None:
        return None
    if order.is_buy:
        return best.price * (PER_CENT + per_cent) // PER_CENT
    return -(-best.price * max(0, PER_CENT - per_cent) // PER_CENT)


def _needed(exchange: Exchange, venue: Venue, order: Order, takes: list[Take]) -> int:
    request = order.request
    if request.price is not None:
        return settlement.limit_hold(exchange, venue.rules, order.account, request, order.remaining)
    if not order.is_buy:
        amount = order.remaining if request.quote is None else matching.traded_amount(takes)
        return amount * ATOMS_PER_AMOUNT
    if request.quote is not None:
        return request.quote
    rate, step = order.account.taker_rate, venue.rules.quote_step
    trades = (take for take in takes if not take.is_prevented)
    return sum(money.debit(take.amount * take.maker.price, rate, step) for take in trades)


def _is_spent(venue: Venue, order: Order) -> bool:
    """Whether less is left of an order by quote than the smallest amount costs at its last price."""
    if not order.fills:
        return False
    price, rate = order.fills[-1].price, order.account.taker_rate if order.is_buy else 0
    return not money.affordable_amount(order.quote_remaining, price, rate, venue.rules.amount_step)


def _prevent(exchange: Exchange, venue: Venue, taker: Order, take: Take) -> None:
    """Keep an account from trading with itself, as the incoming order says."""
    mode = taker.request.self_trade_prevention
    if mode == DECREMENT_AND_CANCEL:
        for order in (take.maker, taker):
            _decrement(exchange, venue, order, take)
        return
    if mode != CANCEL_NEWEST:
        close(exchange, venue, take.maker, CANCELED, PREVENTED)
    if mode != CANCEL_OLDEST:
        close(exchange, venue, taker, CANCELED, PREVENTED)


def _decrement(exchange: Exchange, venue: Venue, order: Order, take: Take) -> None:
    """Make an order smaller by a trade that is not to be; nothing left of it is a cancel."""
    request, value = order.request, take.amount * take.maker.price
    if request.quote is not None:
        rate = order.account.taker_rate if order.is_buy else 0
        less = min(order.quote_remaining, money.debit(value, rate, venue.rules.quote_step if order.is_buy else 1))
        order.quote_remaining -= less
        order.request = replace(request, quote=request.quote - less)
        if order.is_buy:
            settlement.rehold(order, venue.rules, order.quote_remaining)
    else:
        left = order.remaining - take.amount
        if order.is_resting:
            venue.book.own_side(is_buy=order.is_buy).resize(order, left)
        order.remaining = left
        order.request = replace(request, amount=(request.amount or 0) - take.amount)
        _rehold_rest(exchange, venue, order)
    order.restatement, order.updated_ns = DECREMENTED, exchange.clock.now_ns()
    if not order.remaining and not order.quote_remaining:
        close(exchange, venue, order, CANCELED, DECREMENTED)
    else:
        exchange.feed.order_changed(venue, order, RESTATED)


def _rehold_rest(exchange: Exchange, venue: Venue, order: Order) -> None:
    """Hold what the rest of an order by amount needs; a market buy holds nothing at all."""
    if order.request.price is not None:
        needed = settlement.limit_hold(exchange, venue.rules, order.account, order.request, order.remaining)
    else:
        needed = 0 if order.is_buy else order.remaining * ATOMS_PER_AMOUNT
    settlement.rehold(order, venue.rules, needed)
