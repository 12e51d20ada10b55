"""The endpoints that change orders: create, update, cancel one, cancel many, and cancel-on-disconnect groups.

https://docs.bitvavo.com/docs/rest-api/.
"""

from __future__ import annotations

from exchange_sim import groups, order_update, parameters, trading
from exchange_sim.endpoint import TRADE, Call, Endpoint, check_right
from exchange_sim.exchange import Exchange
from exchange_sim.order import Order
from exchange_sim.order_form import FIELDS, MOST_GROUPS, REQUIRED, read_order
from exchange_sim.order_view import canceled_answer, order_answer, short_answer
from exchange_sim.refusal import Refusal, missing, not_found
from exchange_sim.venue import Venue

MOST_EXPIRY_S = 300
LEAST_EXPIRY_S = 10
MS_PER_S = 1_000


def create_order(call: Call) -> object:
    """Place an order."""
    request = read_order(call.exchange, call.parameters)
    order = trading.place(call.exchange, call.account, request)
    return _answer(call.exchange, order, is_full=request.response_required)


def update_order(call: Call) -> object:
    """Change an open order; it stays the same order."""
    exchange, body = call.exchange, call.parameters
    parameters.operator_id(body, exchange, in_query=False)
    is_full = parameters.flag(body, "responseRequired", default=True)
    venue, order = find_order(call)
    order_update.check_form(body)
    request = order_update.updated_request(order, venue.rules, body)
    trading.check_reachable(exchange, order)
    trading.update(exchange, venue, order, request)
    return _answer(exchange, order, is_full=is_full)


def cancel_order(call: Call) -> object:
    """Cancel one order; the answer says nothing about its fills."""
    parameters.operator_id(call.parameters, call.exchange, in_query=True)
    venue, order = find_order(call)
    if call.key is not None:
        check_right(CANCEL_ORDER, call.key, call.exchange.switches)
    trading.cancel(call.exchange, venue, order)
    return canceled_answer(order)


def cancel_orders(call: Call) -> object:
    """Cancel all open orders of one market, or of the whole account, whichever key placed them."""
    parameters.operator_id(call.parameters, call.exchange, in_query=True)
    wanted = None
    if "market" in call.parameters:
        wanted = parameters.venue_of(call.exchange, call.parameters)
        _check_not_halted(wanted)
    return _cancel_all(call, wanted, is_buy=None)


def cancel_side(call: Call) -> object:
    """Cancel all open orders on one side of a market, all or none."""
    parameters.operator_id(call.parameters, call.exchange, in_query=False)
    venue = parameters.venue_of(call.exchange, call.parameters)
    is_buy = parameters.one_of(call.parameters, "side", ("buy", "sell")) == "buy"
    _check_not_halted(venue)
    return _cancel_all(call, venue, is_buy=is_buy)


def cancel_orders_after(call: Call) -> object:
    """Start, prolong or remove the timer of a group; at its end the group's open orders are canceled."""
    group = parameters.whole(call.parameters, "codGroupId", 0, 1, MOST_GROUPS)
    seconds = parameters.whole(call.parameters, "expiryAfterSeconds", 0, 0, MOST_EXPIRY_S)
    if 0 < seconds < LEAST_EXPIRY_S:
        raise Refusal(205, "expiryAfterSeconds parameter is invalid.")
    expires_ms = groups.set_timer(call.exchange, call.account, group, seconds)
    return {"codGroupId": group, "timeOfExpirySeconds": expires_ms // MS_PER_S}


def find_order(call: Call) -> tuple[Venue, Order]:
    """The order a request names; the client order id wins.

    Raises:
        Refusal: 203, 205, 240 unknown or another account's.
    """
    venue = parameters.venue_of(call.exchange, call.parameters)
    client_id = parameters.identifier(call.parameters, "clientOrderId")
    order_id = parameters.identifier(call.parameters, "orderId")
    if client_id is None and order_id is None:
        raise missing("orderId")
    order = venue.by_client_id.get(client_id) if client_id is not None else venue.orders.get(order_id or "")
    if order is None or order.account is not call.account:
        raise not_found()
    return venue, order


def _answer(exchange: Exchange, order: Order, *, is_full: bool) -> object:
    if not is_full:
        return short_answer(order)
    return order_answer(order, exchange.venues[order.request.market].rules, exchange)


def _cancel_all(call: Call, wanted: Venue | None, *, is_buy: bool | None) -> object:
    exchange = call.exchange
    chosen = [
        (exchange.venues[market], order)
        for (market, _), order in call.account.open_orders.items()
        if (wanted is None or wanted.rules.market == market) and is_buy in (None, order.is_buy)
    ]
    canceled = trading.cancel_many(exchange, chosen)
    if not canceled and exchange.switches.nothing_to_cancel == "not_found":
        raise not_found()
    return [canceled_answer(order) for order in canceled]


def _check_not_halted(venue: Venue) -> None:
    if venue.rules.status == "halted":
        raise Refusal(423, f"Market {venue.rules.market} is halted.")


ONE_ORDER = frozenset({"market", "orderId", "clientOrderId"})
_FIRST = ("market",)
_GROUP = ("codGroupId", "expiryAfterSeconds")

CANCEL_ORDER = Endpoint(
    "privateCancelOrder",
    "DELETE",
    "/v2/order",
    cancel_order,
    ONE_ORDER | {"operatorId"},
    _FIRST,
    TRADE,
    looks_first=True,
)

ORDER_ENDPOINTS = (
    Endpoint("privateCreateOrder", "POST", "/v2/order", create_order, FIELDS, REQUIRED, TRADE),
    Endpoint("privateUpdateOrder", "PUT", "/v2/order", update_order, order_update.UPDATE_FIELDS, _FIRST, TRADE),
    CANCEL_ORDER,
    Endpoint(
        "privateCancelOrders",
        "DELETE",
        "/v2/orders",
        cancel_orders,
        frozenset({"market", "operatorId"}),
        (),
        TRADE,
        25,
        100,
    ),
    Endpoint(
        "privateAtomicCancelOrders",
        "DELETE",
        "/v2/atomic/orders",
        cancel_side,
        frozenset({"market", "side", "operatorId"}),
        ("market", "side"),
        TRADE,
        100,
        has_body=True,
    ),
    Endpoint(
        "privateCancelOrdersAfter",
        "POST",
        "/v2/cancelOrdersAfter",
        cancel_orders_after,
        frozenset(_GROUP),
        _GROUP,
        TRADE,
        5,
    ),
)
