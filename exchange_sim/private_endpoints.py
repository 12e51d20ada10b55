"""The private endpoints that read: orders, own trades, balances, fees, history.

Reads lag behind writes as the switches say: a `GET /order` that answers 240 proves nothing for a while.
"""

from __future__ import annotations

from exchange_sim import parameters
from exchange_sim.endpoint import ORDERS, VIEW, Call, Endpoint
from exchange_sim.fixed import write, write_atoms
from exchange_sim.history import history_answer
from exchange_sim.money import RATE_DIGITS
from exchange_sim.order_endpoints import ONE_ORDER, find_order
from exchange_sim.order_view import order_answer, own_trade_answer
from exchange_sim.public_endpoints import between_ids, read_window
from exchange_sim.refusal import not_found

MOST_ROWS, USUAL_ROWS = 1_000, 500
NS_PER_MS = 1_000_000
CAPABILITIES = ["buy", "sell", "depositCrypto", "depositFiat", "withdrawCrypto", "withdrawFiat"]


def get_order(call: Call) -> object:
    """Read one order, once the read lag is over and while the exchange still remembers it."""
    exchange = call.exchange
    venue, order = find_order(call)
    now_ms, switches = exchange.clock.steady_ms(), exchange.switches
    if now_ms - order.created_steady_ms < call.lag(switches.order_read_lag_ms):
        raise not_found()
    retention_ms = switches.closed_order_retention_ms
    closed_ms = order.closed_steady_ms
    if closed_ms is not None and retention_ms is not None and now_ms - closed_ms > retention_ms:
        raise not_found()
    if order.stale_answer is not None and now_ms < order.stale_until_ms:
        return order.stale_answer
    return order_answer(order, venue.rules, exchange)


def orders(call: Call) -> object:
    """Open and closed orders of one market, newest first."""
    exchange = call.exchange
    venue = parameters.venue_of(exchange, call.parameters)
    limit = parameters.whole(call.parameters, "limit", USUAL_ROWS, 1, MOST_ROWS)
    start_ms, end_ms = read_window(call, is_limited=exchange.switches.orders_window_limited)
    rows = call.account.orders.get(venue.rules.market, [])
    newest_ms = exchange.clock.steady_ms() - call.lag(exchange.switches.orders_read_lag_ms)
    rows = between_ids(call, rows, lambda order: order.order_id, "orderIdFrom", "orderIdTo")
    rows = [
        order
        for order in rows
        if start_ms <= order.created_ns // NS_PER_MS <= end_ms and order.created_steady_ms <= newest_ms
    ]
    return [order_answer(order, venue.rules, exchange) for order in rows[: -limit - 1 : -1]]


def orders_open(call: Call) -> object:
    """Open orders of one market or of all; they are listed at once."""
    exchange, market = call.exchange, call.parameters.get("market")
    if market is not None:
        parameters.venue_of(exchange, call.parameters)
    base = call.parameters.get("base")
    newest_ms = exchange.clock.steady_ms() - call.lag(0)
    found = []
    for (name, _), order in call.account.open_orders.items():
        rules = exchange.venues[name].rules
        if market in (None, name) and base in (None, rules.base) and order.created_steady_ms <= newest_ms:
            found.append(order_answer(order, rules, exchange))
    return found[::-1]


def own_trades(call: Call) -> object:
    """The account's own trades in one market, newest first."""
    exchange = call.exchange
    venue = parameters.venue_of(exchange, call.parameters)
    limit = parameters.whole(call.parameters, "limit", USUAL_ROWS, 1, MOST_ROWS)
    start_ms, end_ms = read_window(call, is_limited=True)
    newest_ms = exchange.clock.steady_ms() - call.lag(exchange.switches.trades_read_lag_ms)
    rows = call.account.fills.get(venue.rules.market, [])
    rows = between_ids(call, rows, lambda row: row[1].fill_id, "tradeIdFrom", "tradeIdTo")
    rows = [
        (order, fill)
        for order, fill in rows
        if start_ms <= fill.at_ns // NS_PER_MS <= end_ms and fill.at_steady_ms <= newest_ms
    ]
    return [own_trade_answer(order, fill, venue.rules, exchange) for order, fill in rows[: -limit - 1 : -1]]


def balance(call: Call) -> object:
    """Available and held amounts by asset."""
    wanted = call.parameters.get("symbol")
    lists_zeros = call.exchange.switches.zero_balances == "listed"
    return [
        {"symbol": symbol, "available": write_atoms(each.available), "inOrder": write_atoms(each.held)}
        for symbol, each in sorted(call.account.balances.items())
        if wanted in (None, symbol) and (lists_zeros or each.available or each.held)
    ]


def account(call: Call) -> object:
    """The account's fees."""
    answer: dict[str, object] = {"fees": {**_rates(call), "volume": "0.00"}}
    if call.exchange.switches.account_capabilities:
        answer["capabilities"] = CAPABILITIES
    return answer


def account_fees(call: Call) -> object:
    """The account's fees in a market or quote currency; one tier for all of them here."""
    if "market" in call.parameters:
        parameters.venue_of(call.exchange, call.parameters)
    if "quote" in call.parameters:
        parameters.one_of(call.parameters, "quote", ("EUR", "USDC"))
    return {"tier": "0", "volume": "0.00", **_rates(call)}


def _rates(call: Call) -> dict[str, str]:
    return {
        "taker": write(call.account.taker_rate, RATE_DIGITS),
        "maker": write(call.account.maker_rate, RATE_DIGITS),
    }


_PAGE = frozenset({"market", "limit", "start", "end"})
_HISTORY = frozenset({"fromDate", "toDate", "page", "maxItems", "type"})
_FIRST = ("market",)

PRIVATE_ENDPOINTS = (
    Endpoint("privateGetOrder", "GET", "/v2/order", get_order, ONE_ORDER, _FIRST, ORDERS),
    Endpoint("privateGetOrders", "GET", "/v2/orders", orders, _PAGE | {"orderIdFrom", "orderIdTo"}, _FIRST, ORDERS, 5),
    Endpoint(
        "privateGetOrdersOpen", "GET", "/v2/ordersOpen", orders_open, frozenset({"market", "base"}), (), ORDERS, 5, 100
    ),
    Endpoint(
        "privateGetTrades", "GET", "/v2/trades", own_trades, _PAGE | {"tradeIdFrom", "tradeIdTo"}, _FIRST, ORDERS, 5
    ),
    Endpoint("privateGetBalance", "GET", "/v2/balance", balance, frozenset({"symbol"}), (), VIEW, 5),
    Endpoint("privateGetAccount", "GET", "/v2/account", account, right=VIEW),
    Endpoint("privateGetFees", "GET", "/v2/account/fees", account_fees, frozenset({"market", "quote"}), (), VIEW),
    Endpoint("privateGetTransactionHistory", "GET", "/v2/account/history", history_answer, _HISTORY, (), VIEW),
)
