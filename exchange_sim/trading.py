"""The way of one order: checks, plan, hold, matches, rest. Also its cancel, and orders of the house.

Callers: the private endpoints, the admin endpoints, the market's life. Everything here is synchronous.
"""

from __future__ import annotations

from exchange_sim import matching, money, rules, settlement
from exchange_sim.accounts import Account
from exchange_sim.exchange import Exchange
from exchange_sim.fixed import ATOMS_PER_AMOUNT
from exchange_sim.matching import Budget, Take
from exchange_sim.order import CANCELED, EXPIRED, FILLED, MARKET, Order, OrderRequest
from exchange_sim.order_view import order_answer
from exchange_sim.refusal import Refusal, not_found
from exchange_sim.settlement import settle
from exchange_sim.venue import Venue


def place(exchange: Exchange, account: Account, request: OrderRequest) -> Order:
    """Create an order and match it as far as it goes.

    Raises:
        Refusal: the market's state or rules, a used client order id, too many open orders, too little balance.
    """
    venue = exchange.venues[request.market]
    rules.check_status(venue.rules, request)
    best = (venue.book.asks if request.is_buy else venue.book.bids).best()
    rules.check_sizes(venue.rules, request, best.price if best else None)
    _check_client_id(exchange, venue, request)
    limit = venue.rules.max_open_orders
    if limit is not None and account.open_count.get(request.market, 0) >= limit:
        raise Refusal(235, f"Too many open orders in {request.market}: the limit is {limit}.")
    takes = _plan(exchange, venue, account, request)
    order = _create(exchange, venue, account, request)
    _hold(exchange, venue, order, takes)
    _register(exchange, venue, order)
    _execute(exchange, venue, order, takes)
    return order


def cancel(exchange: Exchange, venue: Venue, order: Order) -> None:
    """Cancel an open order.

    Raises:
        Refusal: 423 in a halted market, where not even this works; 240 when it is closed.
    """
    if venue.rules.status == rules.HALTED:
        raise Refusal(423, f"Market {venue.rules.market} is halted.")
    if not order.is_open:
        raise not_found()
    lag_ms = exchange.switches.cancel_read_lag_ms
    if lag_ms:
        order.stale_answer = order_answer(order, venue.rules, exchange)
        order.stale_until_ms = exchange.clock.steady_ms() + lag_ms
    _close(exchange, venue, order, CANCELED)
    venue.nonce += 1
    exchange.house.refill(venue)


def house_order(exchange: Exchange, venue: Venue, *, is_buy: bool, amount: int, limit: int | None) -> int:
    """Let the house take up to `amount` within `limit` and tell how much it took; nothing of it rests."""
    takes = matching.take_amount(venue.book, is_buy=is_buy, amount=amount, limit=limit)
    taker = exchange.house.order(venue, is_buy=is_buy, amount=amount, price=limit or 0)
    _settle_all(exchange, venue, taker, takes)
    exchange.house.refill(venue)
    return taker.filled


def set_levels(exchange: Exchange, venue: Venue, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> None:
    """Replace the house's levels; a level that crosses a client's resting order fills it first.

    Raises:
        ValueError: the levels cross each other.
    """
    if bids and asks and max(price for price, _ in bids) >= min(price for price, _ in asks):
        raise ValueError("bids and asks cross")
    exchange.house.clear(venue)
    levels = [(True, price, size) for price, size in bids] + [(False, price, size) for price, size in asks]
    for is_buy, price, size in levels:
        house_order(exchange, venue, is_buy=is_buy, amount=size, limit=price)
    exchange.house.want(venue, levels)
    venue.nonce += 1


def uncross(exchange: Exchange, venue: Venue) -> None:
    """Match what an auction let cross, the younger order as taker, each at the older one's price."""
    while (bid := venue.book.bids.best()) and venue.book.crosses(is_buy=True, price=bid.price):
        ask = venue.book.asks.best()
        if ask is None:
            return
        pair = (next(bid.orders()), next(ask.orders()))
        taker = max(pair, key=lambda order: order.created_ns)
        venue.book.own_side(is_buy=taker.is_buy).remove(taker)
        limit = taker.price
        takes = matching.take_amount(venue.book, is_buy=taker.is_buy, amount=taker.remaining, limit=limit)
        _settle_all(exchange, venue, taker, takes)
        _finish(exchange, venue, taker)
        exchange.house.refill(venue)


def _check_client_id(exchange: Exchange, venue: Venue, request: OrderRequest) -> None:
    used = venue.open_client_ids
    if exchange.switches.closed_client_order_id == "refused":
        used = venue.by_client_id.keys()  # type: ignore[assignment]
    if request.client_order_id in used:
        raise Refusal(220, "An order with this clientOrderId exists already in this market.")


def _plan(exchange: Exchange, venue: Venue, account: Account, request: OrderRequest) -> list[Take]:
    if venue.rules.status == rules.AUCTION:
        return []
    if request.quote is not None:
        if request.is_buy:
            steps = (venue.rules.amount_step, venue.rules.quote_step)
            budget = Budget(request.quote, account.taker_rate, *steps, exchange.switches.fee_rounding == "per_order")
            return matching.spend(venue.book, budget)
        return matching.sell_for(venue.book, request.quote, venue.rules.amount_step)
    amount = request.amount or 0
    return matching.take_amount(venue.book, is_buy=request.is_buy, amount=amount, limit=request.price)


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
        updated_ns=now_ns,
    )


def _hold(exchange: Exchange, venue: Venue, order: Order, takes: list[Take]) -> None:
    """Set aside what the order may cost.

    Raises:
        Refusal: 216, and nothing has changed.
    """
    needed = _needed(exchange, venue, order, takes)
    balance = order.account.balance(venue.rules.quote if order.is_buy else venue.rules.base)
    if needed > balance.available:
        raise Refusal(216, "You do not have sufficient balance to complete this operation.")
    if order.is_buy and order.request.order_type == MARKET and order.request.quote is None:
        return
    balance.available -= needed
    balance.held += needed
    order.hold = needed


def _needed(exchange: Exchange, venue: Venue, order: Order, takes: list[Take]) -> int:
    if order.request.price is not None:
        return settlement.hold_for(exchange, venue.rules, order)
    if not order.is_buy:
        amount = order.request.amount if order.request.quote is None else sum(take.amount for take in takes)
        return (amount or 0) * ATOMS_PER_AMOUNT
    if order.request.quote is not None:
        return order.request.quote
    rate, step = order.account.taker_rate, venue.rules.quote_step
    return sum(money.debit(take.amount * take.maker.price, rate, step) for take in takes)


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


def _execute(exchange: Exchange, venue: Venue, order: Order, takes: list[Take]) -> None:
    request = order.request
    if request.post_only and takes:
        order.restatement = "cancelPostOnly"
        _close(exchange, venue, order, CANCELED)
        return
    if request.time_in_force == "FOK" and sum(take.amount for take in takes) < (request.amount or 0):
        _close(exchange, venue, order, exchange.switches.unfilled_rest_status)
        return
    _settle_all(exchange, venue, order, takes)
    _finish(exchange, venue, order)
    exchange.house.refill(venue)


def _settle_all(exchange: Exchange, venue: Venue, taker: Order, takes: list[Take]) -> None:
    for take in takes:
        maker = take.maker
        settle(exchange, venue, taker, take)
        venue.book.own_side(is_buy=maker.is_buy).traded(maker, take.amount)
        if maker.account.is_house and exchange.switches.house_refills:
            exchange.house.touched(venue, maker)
        if not maker.remaining:
            _close(exchange, venue, maker, FILLED)
    if takes:
        venue.nonce += 1


def _finish(exchange: Exchange, venue: Venue, order: Order) -> None:
    """Rest what may rest, close what is done, expire what is left of an order that may not rest."""
    request = order.request
    if request.quote is not None:
        _close(exchange, venue, order, FILLED if _is_spent(venue, order) else EXPIRED)
    elif not order.remaining:
        _close(exchange, venue, order, FILLED)
    elif request.price is None:
        _close(exchange, venue, order, EXPIRED)
    elif request.time_in_force != "GTC":
        _close(exchange, venue, order, exchange.switches.unfilled_rest_status)
    else:
        venue.book.own_side(is_buy=order.is_buy).add(order)
        venue.nonce += 1


def _is_spent(venue: Venue, order: Order) -> bool:
    """Whether less is left of an order by quote than the smallest amount costs at its last price."""
    if not order.fills:
        return False
    price, rate = order.fills[-1].price, order.account.taker_rate if order.is_buy else 0
    return not money.affordable_amount(order.quote_remaining, price, rate, venue.rules.amount_step)


def _close(exchange: Exchange, venue: Venue, order: Order, status: str) -> None:
    if order.is_resting:
        venue.book.own_side(is_buy=order.is_buy).remove(order)
    if order.account.is_house:
        return
    market = venue.rules.market
    order.status = status
    order.updated_ns = exchange.clock.now_ns()
    order.closed_steady_ms = exchange.clock.steady_ms()
    settlement.release(order, venue.rules)
    order.account.open_orders.pop((market, order.order_id), None)
    order.account.open_count[market] -= 1
    venue.open_client_ids.discard(order.request.client_order_id or "")
