"""The unified REST calls of PyPI's ccxt that its Bitvavo client has, unmodified; subaccounts are not simulated."""

import importlib
from decimal import Decimal

from tests.conformance import raw
from tests.conformance.good import OPERATOR, is_ms
from tests.conformance.report import Answer, Report, settings, until

SYMBOL, LOW_PRICE = "BTC/EUR", 40_000
OWN = {"operatorId": OPERATOR}
CLIENT_ID = "0b2f6b1e-8d0a-4c7e-9a4e-2f6f2a4b8c11"


def main() -> None:
    """Make the calls one after the other."""
    given = settings()
    ccxt = importlib.import_module("ccxt")
    client = ccxt.bitvavo({"apiKey": given["key"], "secret": given["secret"], "enableRateLimit": False})
    client.urls["api"] = {"public": given["http"], "private": given["http"]}
    report = Report()
    public(report, client)
    orders(report, client, ccxt)
    lists(report, client)
    account(report, client)
    funding(report, client)
    quirks(report, client, ccxt, given)


def public(report: Report, client: Answer) -> None:
    """Market data."""
    check = report.check
    check("loadMarkets", client.load_markets, lambda found: found[SYMBOL]["precision"]["price"] == 1)
    check("fetchTime", client.fetch_time, is_ms)
    check("fetchMarkets", client.fetch_markets, lambda rows: all(row["active"] and row["spot"] for row in rows))
    check("fetchCurrencies", client.fetch_currencies, lambda found: found["BTC"]["precision"] == 1e-8)
    check(
        "fetchTicker", lambda: client.fetch_ticker(SYMBOL), lambda found: found["low"] <= found["last"] <= found["high"]
    )
    check(
        "fetchTickers",
        client.fetch_tickers,
        lambda found: len(found) > 1 and found[SYMBOL]["bid"] < found[SYMBOL]["ask"],
    )
    check(
        "fetchTrades",
        lambda: client.fetch_trades(SYMBOL, limit=7),
        lambda rows: len(rows) == 7 and rows[0]["price"] > 0,
    )
    check(
        "fetchOrderBook",
        lambda: client.fetch_order_book(SYMBOL, 5),
        lambda book: book["bids"][0][0] < book["asks"][0][0] and book["nonce"] > 0 and len(book["bids"]) == 5,
    )
    check(
        "fetchOHLCV",
        lambda: client.fetch_ohlcv(SYMBOL, "1h", limit=3),
        lambda rows: len(rows) == 3 and is_ms(rows[0][0]),
    )
    check(
        "fetchDepositWithdrawFees",
        client.fetch_deposit_withdraw_fees,
        lambda found: found["BTC"]["withdraw"]["fee"] >= 0,
    )


def orders(report: Report, client: Answer, ccxt: Answer) -> None:
    """Orders of each kind, changed and canceled."""
    check = report.check
    limit = check(
        "createOrder, limit",
        lambda: client.create_order(SYMBOL, "limit", "buy", 0.001, LOW_PRICE, OWN | {"clientOrderId": CLIENT_ID}),
        lambda row: (row["status"], row["price"], row["remaining"]) == ("open", LOW_PRICE, 0.001),
    )
    check(
        "createOrder, market",
        lambda: client.create_order(SYMBOL, "market", "buy", 0.001, None, OWN),
        lambda row: (row["status"], row["filled"]) == ("closed", 0.001) and row["fee"]["cost"] > 0 and row["trades"],
    )
    check(
        "createOrder, market by cost",
        lambda: client.create_order(SYMBOL, "market", "buy", None, None, OWN | {"cost": 50}),
        lambda row: row["status"] == "closed" and Decimal(str(row["cost"])) + Decimal(str(row["fee"]["cost"])) == 50,
    )
    check(
        "createOrder, stop loss",
        lambda: client.create_order(SYMBOL, "market", "sell", 0.001, None, OWN | {"stopLossPrice": LOW_PRICE}),
        lambda row: row["info"]["status"] == "awaitingTrigger" and row["triggerPrice"] == LOW_PRICE,
    )
    check(
        "createOrder, take profit limit",
        lambda: client.create_order(SYMBOL, "limit", "sell", 0.001, 200_000, OWN | {"takeProfitPrice": 200_000}),
        lambda row: row["info"]["orderType"] == "takeProfitLimit",
    )
    check(
        "createOrder, post only",
        lambda: client.create_order(SYMBOL, "limit", "buy", 0.001, 200_000, OWN | {"postOnly": True}),
        lambda row: row["status"] == "canceled" and row["filled"] == 0,
    )
    check(
        "createOrder, refused",
        lambda: raised(ccxt.InsufficientFunds, lambda: client.create_order(SYMBOL, "limit", "buy", 99, LOW_PRICE, OWN)),
        bool,
    )
    order_id = limit["id"]
    check("fetchOrder", lambda: client.fetch_order(order_id, SYMBOL), lambda row: row["id"] == order_id)
    check(
        "editOrder",
        lambda: client.edit_order(order_id, SYMBOL, "limit", "buy", 0.002, LOW_PRICE + 1, OWN),
        lambda row: (row["id"], row["price"], row["amount"]) == (order_id, LOW_PRICE + 1, 0.002),
    )
    check(
        "cancelOrder",
        lambda: until(lambda: unless(ccxt.OrderNotFound, lambda: client.cancel_order(order_id, SYMBOL, OWN))),
        lambda row: row["id"] == order_id,
    )
    check(
        "cancelOrder, again",
        lambda: raised(ccxt.OrderNotFound, lambda: client.cancel_order(order_id, SYMBOL, OWN)),
        bool,
    )


def lists(report: Report, client: Answer) -> None:
    """Lists of orders and trades; two trigger orders are still open."""
    check = report.check
    check("fetchOpenOrders", lambda: client.fetch_open_orders(SYMBOL), lambda rows: len(rows) == 2)
    check("fetchOrders", lambda: client.fetch_orders(SYMBOL), lambda rows: len(rows) == 6)
    check(
        "fetchMyTrades",
        lambda: client.fetch_my_trades(SYMBOL),
        lambda rows: len(rows) >= 2 and all(row["fee"]["currency"] == "EUR" for row in rows),
    )
    check("cancelAllOrdersAfter", lambda: client.cancel_all_orders_after(60_000), lambda row: row["codGroupId"] == 1)
    check("cancelAllOrders", lambda: client.cancel_all_orders(SYMBOL, OWN), lambda rows: len(rows) == 2)


def account(report: Report, client: Answer) -> None:
    """Balances, fees, history."""
    check = report.check
    check("fetchBalance", client.fetch_balance, lambda found: found["EUR"]["free"] > 0 and found["BTC"]["total"] > 0)
    check("fetchTradingFees", client.fetch_trading_fees, lambda found: found[SYMBOL]["maker"] < found[SYMBOL]["taker"])
    check("fetchTradingFee", lambda: client.fetch_trading_fee(SYMBOL), lambda found: found["maker"] < found["taker"])
    check(
        "fetchLedger",
        client.fetch_ledger,
        lambda rows: {"trade", "transaction"} <= {row["type"] for row in rows} and is_ms(rows[0]["timestamp"]),
    )


def funding(report: Report, client: Answer) -> None:
    """Deposits and withdrawals."""
    check = report.check
    check("fetchDepositAddress", lambda: client.fetch_deposit_address("BTC"), lambda found: bool(found["address"]))
    check("fetchDeposits", client.fetch_deposits, lambda rows: len(rows) >= 2 and rows[0]["status"] == "ok")
    check(
        "withdraw",
        lambda: client.withdraw("BTC", 0.01, "loopback0address0of0nobody"),
        lambda row: row["amount"] == 0.01,
    )
    check("fetchWithdrawals", client.fetch_withdrawals, lambda rows: isinstance(rows, list))


def quirks(report: Report, client: Answer, ccxt: Answer, given: dict[str, str]) -> None:
    """What the client refuses or hides although the exchange gives it."""
    asked = len(raw.requests_received(given, "/v2/order"))
    shown = raised(ccxt.ArgumentsRequired, lambda: client.create_order(SYMBOL, "limit", "buy", 0.001, LOW_PRICE))
    untouched = len(raw.requests_received(given, "/v2/order")) == asked
    report.tell("createOrder, no operatorId", "pass" if shown and untouched else "fail", "")
    row = client.create_order(SYMBOL, "limit", "buy", 0.001, LOW_PRICE, OWN | {"clientOrderId": CLIENT_ID})
    report.broken(
        "clientOrderId in an order",
        "the unified order leaves it out; info has it",
        shown=row["clientOrderId"] is None,
        proved=row["info"]["clientOrderId"] == CLIENT_ID,
    )
    client.cancel_order(row["id"], SYMBOL, OWN)


def raised(kind: type[Exception], run: Answer) -> bool:
    """Whether a call raises this and nothing else."""
    try:
        run()
    except kind:
        return True
    return False


def unless(kind: type[Exception], run: Answer) -> Answer:
    """The result of a call, or nothing when it raises this: an update keeps its order busy for a moment."""
    try:
        return run()
    except kind:
        return None


if __name__ == "__main__":
    main()
