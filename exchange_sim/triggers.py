"""Trigger orders: when their reference reaches the trigger, they become the limit or market order they stand for.

`settled` is called after every change of a market, by whoever changed it: it fires what is due, then lets the feed
tell of the book. https://docs.bitvavo.com/docs/rest-api/create-order/.
"""

from __future__ import annotations

from exchange_sim import execution, rules
from exchange_sim.exchange import Exchange
from exchange_sim.feed import TRIGGERED
from exchange_sim.order import EXPIRED, NEW, STOPS, Order
from exchange_sim.refusal import Refusal
from exchange_sim.venue import Venue

REFERENCES = ("lastTrade", "bestBid", "bestAsk", "midPrice")


def settled(exchange: Exchange, venue: Venue) -> None:
    """Fire what is due after a change of the market, and complete a batch of book changes."""
    while venue.waiting:
        due = next((order for order in venue.waiting.values() if is_due(exchange, venue, order)), None)
        if due is None:
            break
        _fire(exchange, venue, due)
    if exchange.switches.book_batch_ms:
        exchange.feed.hold_back(venue)
    else:
        exchange.feed.flush(venue, exchange.clock.now_ns())


def is_due(exchange: Exchange, venue: Venue, order: Order) -> bool:
    """Whether the reference has reached the trigger: a stop in the direction of a loss, a profit in the other."""
    trigger = order.request.trigger
    if trigger is None or venue.rules.status != rules.TRADING:
        return False
    doubled = _doubled_reference(venue, trigger.reference)
    if doubled is None:
        return False
    fires_above = order.is_buy is (order.request.order_type in STOPS)
    if exchange.switches.trigger_direction == "reversed":
        fires_above = not fires_above
    return doubled >= 2 * trigger.amount if fires_above else doubled <= 2 * trigger.amount


def _doubled_reference(venue: Venue, name: str) -> int | None:
    """Twice the reference price, so that the middle of two prices stays whole; nothing while it is unknown."""
    if name == "lastTrade":
        return None if venue.tape.last is None else 2 * venue.tape.last.price
    bid, ask = venue.book.bids.best(), venue.book.asks.best()
    if name == "bestBid":
        return None if bid is None else 2 * bid.price
    if name == "bestAsk":
        return None if ask is None else 2 * ask.price
    return None if bid is None or ask is None else bid.price + ask.price


def _fire(exchange: Exchange, venue: Venue, order: Order) -> None:
    """Make a waiting order active, under the same id; one that cannot be paid for any more expires."""
    del venue.waiting[order.order_id]
    order.status, order.updated_ns = NEW, exchange.clock.now_ns()
    exchange.feed.order_changed(venue, order, TRIGGERED)
    try:
        execution.start(exchange, venue, order)
    except Refusal:
        execution.close(exchange, venue, order, EXPIRED)
