"""Moves the money of one match, to the atom: balances, holds, fees, fills, and the public trade.

Called by `trading` for each planned take. What one side pays, the other side and the fee pot receive.
"""

from __future__ import annotations

from exchange_sim import money
from exchange_sim.accounts import Account
from exchange_sim.exchange import Exchange
from exchange_sim.fixed import ATOMS_PER_AMOUNT
from exchange_sim.matching import Take
from exchange_sim.order import FILLED, PARTIALLY_FILLED, Fill, Order, OrderRequest
from exchange_sim.rules import MarketRules
from exchange_sim.tape import Trade
from exchange_sim.venue import Venue


def settle(exchange: Exchange, venue: Venue, taker: Order, take: Take) -> None:
    """Carry one match out at the maker's price, and tell of its fills and of the public trade."""
    now_ns, price = exchange.clock.now_ns(), take.maker.price
    fill_id = exchange.new_fill_id()
    for order, is_taker in ((taker, True), (take.maker, False)):
        fee = _move(exchange, venue.rules, order, take, is_taker=is_taker)
        order.filled += take.amount
        order.filled_quote += take.amount * price
        if not order.account.is_house:
            fill = Fill(fill_id, take.amount, price, is_taker, fee, now_ns, exchange.clock.steady_ms())
            _note_fill(venue, order, fill)
            exchange.feed.order_filled(venue, order, fill)
    trade = venue.tape.add(Trade(fill_id, now_ns // 1_000_000, now_ns, take.amount, price, taker.is_buy))
    exchange.feed.traded(venue, trade)


def release(order: Order, rules: MarketRules) -> None:
    """Give the hold of a closed order back."""
    rehold(order, rules, 0)


def rehold(order: Order, rules: MarketRules, needed: int) -> None:
    """Hold another amount for an order than until now; the free balance gives or takes the difference."""
    balance = order.account.balance(rules.quote if order.is_buy else rules.base)
    balance.available -= needed - order.hold
    balance.held += needed - order.hold
    order.hold = needed


def limit_hold(exchange: Exchange, rules: MarketRules, account: Account, request: OrderRequest, remaining: int) -> int:
    """Atoms that what remains of a limit order must hold: a buy its value and fee, a sell its base."""
    if not request.is_buy:
        return remaining * ATOMS_PER_AMOUNT
    rate = account.taker_rate
    if request.post_only and exchange.switches.post_only_hold == "maker":
        rate = account.maker_rate
    return money.debit(remaining * (request.price or 0), rate, rules.quote_step)


def trigger_hold(rules: MarketRules, account: Account, request: OrderRequest) -> int:
    """Atoms that a market order waiting for its trigger holds, reckoned at the trigger's price."""
    price = request.trigger.amount if request.trigger else 0
    if request.is_buy:
        return request.quote or money.debit((request.amount or 0) * price, account.taker_rate, rules.quote_step)
    amount = request.amount
    if amount is None:
        step_value = price * rules.amount_step
        amount = -(-(request.quote or 0) // step_value) * rules.amount_step
    return amount * ATOMS_PER_AMOUNT


def _move(exchange: Exchange, rules: MarketRules, order: Order, take: Take, *, is_taker: bool) -> int:
    gross = take.amount * take.maker.price
    if order.account.is_house:
        sign = 1 if order.is_buy else -1
        order.account.balance(rules.base).available += sign * take.amount * ATOMS_PER_AMOUNT
        order.account.balance(rules.quote).available -= sign * gross
        order.remaining -= take.amount
        return 0
    rate = order.account.taker_rate if is_taker else order.account.maker_rate
    if order.is_buy:
        fee = _pay(exchange, rules, order, take, rate) - gross
    else:
        fee = gross - _earn(exchange, rules, order, take, rate)
    order.fee_paid += fee
    exchange.fees[rules.quote] = exchange.fees.get(rules.quote, 0) + fee
    return fee


def _pay(exchange: Exchange, rules: MarketRules, order: Order, take: Take, rate: int) -> int:
    """Debit a buyer. Rounding may exceed the hold by cents; the rest's hold is never eaten into."""
    balance = order.account.balance(rules.quote)
    wanted = _rounded_debit(exchange, rules, order, take, rate)
    rest_hold = _rest_hold(exchange, rules, order, take, wanted)
    paid = min(wanted, balance.available + order.hold - rest_hold)
    balance.available += order.hold - rest_hold - paid
    balance.held += rest_hold - order.hold
    order.hold = rest_hold
    order.moved += paid
    order.account.balance(rules.base).available += take.amount * ATOMS_PER_AMOUNT
    return paid


def _rounded_debit(exchange: Exchange, rules: MarketRules, order: Order, take: Take, rate: int) -> int:
    gross = take.amount * take.maker.price
    if exchange.switches.fee_rounding == "per_fill":
        wanted = money.debit(gross, rate, rules.quote_step)
    else:
        order.scaled_moves += money.scaled_debit(gross, rate)
        wanted = money.ceil_scaled(order.scaled_moves, rules.quote_step) - order.moved
    return wanted if order.request.quote is None else min(wanted, order.quote_remaining)


def _rest_hold(exchange: Exchange, rules: MarketRules, order: Order, take: Take, paid: int) -> int:
    """Count the order down by this take and tell what the rest of it must hold."""
    if order.request.quote is not None:
        order.quote_remaining -= paid
        return order.quote_remaining
    order.remaining -= take.amount
    if order.request.price is None:
        return 0
    return limit_hold(exchange, rules, order.account, order.request, order.remaining)


def _earn(exchange: Exchange, rules: MarketRules, order: Order, take: Take, rate: int) -> int:
    """Credit a seller out of the base it held."""
    gross = take.amount * take.maker.price
    if exchange.switches.fee_rounding == "per_fill":
        earned = money.credit(gross, rate, rules.quote_step)
    else:
        order.scaled_moves += money.scaled_credit(gross, rate)
        earned = money.floor_scaled(order.scaled_moves, rules.quote_step) - order.moved
    order.moved += earned
    order.account.balance(rules.base).held -= take.amount * ATOMS_PER_AMOUNT
    order.account.balance(rules.quote).available += earned
    order.hold -= take.amount * ATOMS_PER_AMOUNT
    if order.request.quote is None:
        order.remaining -= take.amount
    else:
        order.quote_remaining -= gross
    return earned


def _note_fill(venue: Venue, order: Order, fill: Fill) -> None:
    order.fills.append(fill)
    order.updated_ns = fill.at_ns
    done = not order.remaining if order.request.quote is None else False
    order.status = FILLED if done else PARTIALLY_FILLED
    order.account.fills.setdefault(venue.rules.market, []).append((order, fill))
