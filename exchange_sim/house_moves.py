"""What the house does in a market: takes, shows levels, changes some of them, and ends an auction.

Callers: the admin endpoints, recordings, the market's life.
"""

from __future__ import annotations

from exchange_sim import execution, matching
from exchange_sim.exchange import Exchange
from exchange_sim.matching import Taker
from exchange_sim.order import CANCEL_OLDEST
from exchange_sim.tape import Trade
from exchange_sim.triggers import settled
from exchange_sim.venue import Venue

NS_PER_MS = 1_000_000


def house_order(exchange: Exchange, venue: Venue, *, is_buy: bool, amount: int, limit: int | None) -> int:
    """Let the house take up to `amount` within `limit` and tell how much it took; nothing of it rests."""
    taken = _take(exchange, venue, is_buy=is_buy, amount=amount, limit=limit)
    exchange.house.refill(venue)
    settled(exchange, venue)
    return taken


def set_levels(exchange: Exchange, venue: Venue, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> None:
    """Replace the house's levels; a level that crosses a client's resting order fills it first.

    Raises:
        ValueError: the levels cross each other.
    """
    if bids and asks and max(price for price, _ in bids) >= min(price for price, _ in asks):
        raise ValueError("bids and asks cross")
    exchange.house.clear(venue)
    levels = [(True, price, size) for price, size in bids] + [(False, price, size) for price, size in asks]
    _show(exchange, venue, levels)
    settled(exchange, venue)


def change_levels(exchange: Exchange, venue: Venue, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> None:
    """Change some of the house's levels, (price, size), size 0 taking one away.

    Levels of the house's other side that a new level crosses go; a client's order that it crosses is filled first.
    """
    levels = [(True, price, size) for price, size in bids] + [(False, price, size) for price, size in asks]
    exchange.house.forget(venue, [(is_buy, price) for is_buy, price, size in levels if not size])
    for is_buy, price, size in levels:
        if size:
            exchange.house.make_room(venue, is_buy=is_buy, price=price)
            _show(exchange, venue, [(is_buy, price, size)])
    exchange.house.refill(venue)
    settled(exchange, venue)


def print_trade(exchange: Exchange, venue: Venue, *, is_buy: bool, amount: int, price: int) -> None:
    """Put a recorded trade on the tape: clients' orders that it reaches are filled, the rest is the market's own."""
    makers = venue.book.makers(is_buy=is_buy, limit=price)
    own = sum(maker.remaining for maker in makers if not maker.account.is_house)
    left = amount
    if own:
        left -= _take(exchange, venue, is_buy=is_buy, amount=min(own, amount), limit=price, spares_house=True)
    if left:
        now_ns = exchange.clock.now_ns()
        trade = Trade(exchange.new_fill_id(), now_ns // NS_PER_MS, now_ns, left, price, is_buy)
        exchange.feed.traded(venue, venue.tape.add(trade))
    exchange.house.refill(venue)
    settled(exchange, venue)


def uncross(exchange: Exchange, venue: Venue) -> None:
    """Match what an auction let cross, the younger order as taker, each at the older one's price."""
    while (bid := venue.book.bids.best()) and venue.book.crosses(is_buy=True, price=bid.price):
        ask = venue.book.asks.best()
        if ask is None:
            break
        pair = (next(bid.orders()), next(ask.orders()))
        order = max(pair, key=lambda each: each.created_ns)
        venue.book.own_side(is_buy=order.is_buy).remove(order)
        taker = Taker(order.is_buy, order.price, order.account, order.request.self_trade_prevention)
        takes = matching.take_amount(venue.book, taker, order.remaining)
        execution.finish_taker(exchange, venue, order, takes)
        exchange.house.refill(venue)
    settled(exchange, venue)


def _show(exchange: Exchange, venue: Venue, levels: list[tuple[bool, int, int]]) -> None:
    for is_buy, price, size in levels:
        if venue.book.crosses(is_buy=is_buy, price=price):
            _take(exchange, venue, is_buy=is_buy, amount=size, limit=price)
    exchange.house.want(venue, levels)


def _take(
    exchange: Exchange, venue: Venue, *, is_buy: bool, amount: int, limit: int | None, spares_house: bool = False
) -> int:
    """Match an order of the house with what is there; its own levels are makers too unless they are spared."""
    owner = exchange.house.account if spares_house else None
    takes = matching.take_amount(venue.book, Taker(is_buy, limit, owner, CANCEL_OLDEST), amount)
    order = exchange.house.order(venue, is_buy=is_buy, amount=amount, price=limit or 0)
    execution.match(exchange, venue, order, [take for take in takes if not take.is_prevented])
    return order.filled
