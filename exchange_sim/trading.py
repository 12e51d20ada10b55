"""What clients do with orders: place, update, cancel one or many. Everything here is synchronous.

Callers: the private endpoints, and the groups that expire.
"""

from __future__ import annotations

from collections.abc import Iterable

from exchange_sim import execution, rules, settlement
from exchange_sim.accounts import Account
from exchange_sim.exchange import Exchange
from exchange_sim.feed import PLACED, UPDATED
from exchange_sim.order import AWAITING_TRIGGER, CANCELED, NEW, PARTIALLY_FILLED, Order, OrderRequest
from exchange_sim.order_view import order_answer
from exchange_sim.refusal import Refusal, not_found
from exchange_sim.triggers import settled
from exchange_sim.venue import Venue


def place(exchange: Exchange, account: Account, request: OrderRequest) -> Order:
    """Create an order and match it as far as it goes, or let it wait for its trigger.

    Raises:
        Refusal: the market's state or rules, a used client order id, too many open orders, too little balance.
    """
    venue = exchange.venues[request.market]
    _check(exchange, venue, request)
    _check_client_id(exchange, venue, request)
    limit = venue.rules.max_open_orders
    if limit is not None and account.open_count.get(request.market, 0) >= limit:
        raise Refusal(235, f"Too many open orders in {request.market}: the limit is {limit}.")
    order = _create(exchange, venue, account, request)
    if request.trigger is not None:
        _wait(exchange, venue, order)
    else:
        takes = execution.plan(exchange, venue, order)
        execution.hold(exchange, venue, order, takes)
        _register(exchange, venue, order)
        execution.execute(exchange, venue, order, takes)
    settled(exchange, venue)
    return order


def update(exchange: Exchange, venue: Venue, order: Order, request: OrderRequest) -> None:
    """Replace what an open order wants. It leaves the book, and comes back behind all others of its price.

    Raises:
        Refusal: the market's state or rules, 205 an amount that is filled already, 216 too little balance.
    """
    _check(exchange, venue, request)
    remaining = (request.amount or 0) - order.filled
    if request.amount is not None and remaining <= 0:
        raise Refusal(205, "amount parameter is invalid.")
    needed = _open_hold(exchange, venue, order, request, remaining)
    execution.check_funds(venue, order, needed)
    if order.is_resting:
        venue.book.own_side(is_buy=order.is_buy).remove(order)
    settlement.rehold(order, venue.rules, needed)
    order.request, order.remaining, order.price = request, max(remaining, 0), request.price or 0
    order.quote_remaining = request.quote or 0
    order.updated_ns = exchange.clock.now_ns()
    order.busy_until_ms = exchange.clock.steady_ms() + exchange.switches.update_busy_ms
    exchange.feed.order_changed(venue, order, UPDATED)
    if order.is_waiting:
        venue.waiting[order.order_id] = venue.waiting.pop(order.order_id)
    else:
        order.status = PARTIALLY_FILLED if order.filled else NEW
        execution.execute(exchange, venue, order, execution.plan(exchange, venue, order))
    settled(exchange, venue)


def cancel(exchange: Exchange, venue: Venue, order: Order, restatement: str | None = None) -> None:
    """Cancel an open order.

    Raises:
        Refusal: 423 in a halted market, where not even this works; 240 when it is closed or being updated.
    """
    if venue.rules.status == rules.HALTED:
        raise Refusal(423, f"Market {venue.rules.market} is halted.")
    check_reachable(exchange, order)
    _cancel(exchange, venue, order, restatement)
    exchange.house.refill(venue)
    settled(exchange, venue)


def cancel_many(
    exchange: Exchange, orders: Iterable[tuple[Venue, Order]], restatement: str | None = None
) -> list[Order]:
    """Cancel open orders, of markets that are not halted, and tell which; nothing trades in between."""
    wanted = [(venue, order) for venue, order in orders if venue.rules.status != rules.HALTED]
    for venue, order in wanted:
        _cancel(exchange, venue, order, restatement)
    for venue in {venue.rules.market: venue for venue, _ in wanted}.values():
        exchange.house.refill(venue)
        settled(exchange, venue)
    return [order for _, order in wanted]


def check_reachable(exchange: Exchange, order: Order) -> None:
    """Refuse to touch an order that is closed, or that an update keeps out of reach.

    Raises:
        Refusal: 240.
    """
    if not order.is_open or exchange.clock.steady_ms() < order.busy_until_ms:
        raise not_found()


def _cancel(exchange: Exchange, venue: Venue, order: Order, restatement: str | None) -> None:
    lag_ms = exchange.switches.cancel_read_lag_ms
    if lag_ms:
        order.stale_answer = order_answer(order, venue.rules, exchange)
        order.stale_until_ms = exchange.clock.steady_ms() + lag_ms
    execution.close(exchange, venue, order, CANCELED, restatement)


def _check(exchange: Exchange, venue: Venue, request: OrderRequest) -> None:
    """Refuse an order that the market's state, its rules or a delisting do not allow."""
    if exchange.is_delisted(venue.rules.base):
        raise Refusal(219, f"Market {request.market} is delisted.")
    rules.check_status(venue.rules, request)
    best = (venue.book.asks if request.is_buy else venue.book.bids).best()
    reference = request.trigger.amount if request.trigger is not None else best.price if best else None
    rules.check_sizes(venue.rules, request, reference)


def _check_client_id(exchange: Exchange, venue: Venue, request: OrderRequest) -> None:
    used = venue.open_client_ids
    if exchange.switches.closed_client_order_id == "refused":
        used = venue.by_client_id.keys()  # type: ignore[assignment]
    if request.client_order_id in used:
        raise Refusal(220, "An order with this clientOrderId exists already in this market.")


def _create(exchange: Exchange, venue: Venue, account: Account, request: OrderRequest) -> Order:
    now_ns = exchange.clock.now_ns()
    return Order(
        order_id=exchange.new_order_id(venue),
        account=account,
        request=request,
        created_ns=now_ns,
        created_steady_ms=exchange.clock.steady_ms(),
        remaining=request.amount or 0,
        quote_remaining=request.quote or 0,
        is_buy=request.is_buy,
        price=request.price or 0,
        status=NEW if request.trigger is None else AWAITING_TRIGGER,
        updated_ns=now_ns,
    )


def _wait(exchange: Exchange, venue: Venue, order: Order) -> None:
    """Let a trigger order wait, holding what it will need.

    Raises:
        Refusal: 216, and nothing has changed.
    """
    needed = _open_hold(exchange, venue, order, order.request, order.remaining)
    execution.check_funds(venue, order, needed)
    settlement.rehold(order, venue.rules, needed)
    venue.waiting[order.order_id] = order
    _register(exchange, venue, order)


def _open_hold(exchange: Exchange, venue: Venue, order: Order, request: OrderRequest, remaining: int) -> int:
    """What an order that is not being matched holds."""
    if request.price is not None:
        return settlement.limit_hold(exchange, venue.rules, order.account, request, remaining)
    return settlement.trigger_hold(venue.rules, order.account, request)


def _register(exchange: Exchange, venue: Venue, order: Order) -> None:
    market, client_id = venue.rules.market, order.request.client_order_id
    venue.orders[order.order_id] = order
    account = order.account
    account.orders.setdefault(market, []).append(order)
    account.open_orders[market, order.order_id] = order
    account.open_count[market] = account.open_count.get(market, 0) + 1
    if client_id is not None:
        venue.by_client_id[client_id] = order
        venue.open_client_ids.add(client_id)
    exchange.ledger.order_created(order)
    exchange.feed.order_changed(venue, order, PLACED)
