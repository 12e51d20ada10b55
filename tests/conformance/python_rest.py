"""Every REST call of PyPI's python-bitvavo-api, unmodified."""

import importlib
import logging
from datetime import UTC, datetime

from tests.conformance import good, raw
from tests.conformance.good import MARKET, OPERATOR
from tests.conformance.report import Answer, Report, settings, until

LOW_PRICE = "40000"


def main() -> None:
    """Make the calls one after the other."""
    given = settings()
    module = importlib.import_module("python_bitvavo_api.bitvavo")
    client = module.Bitvavo(
        {"APIKEY": given["key"], "APISECRET": given["secret"], "RESTURL": given["rest"], "WSURL": given["ws"]}
    )
    report = Report()
    public(report, client)
    orders(report, client)
    account(report, client)
    funding(report, client, given)


def public(report: Report, client: Answer) -> None:
    """Market data."""
    check = report.check
    check("time", client.time, good.time)
    check("markets", client.markets, lambda rows: len(rows) > 1 and all(map(good.market, rows)))
    check("markets, one", lambda: client.markets({"market": MARKET}), good.market)
    check("assets", client.assets, lambda rows: len(rows) > 1 and all(map(good.asset, rows)))
    check("assets, one", lambda: client.assets({"symbol": "BTC"}), good.asset)
    check("book", lambda: client.book(MARKET, {"depth": 5}), lambda found: good.book(found) and len(found["bids"]) == 5)
    check("publicTrades", lambda: client.publicTrades(MARKET, {"limit": 9}), good.newest_first)
    check("candles", lambda: client.candles(MARKET, "1h", {"limit": 3}), good.newest_first)
    start = datetime.fromtimestamp(0, UTC)
    check("candles, start", lambda: client.candles(MARKET, "1m", start=start, limit=2), lambda rows: len(rows) == 2)
    check("tickerPrice", client.tickerPrice, lambda rows: all(good.is_number(row["price"]) for row in rows))
    check("tickerPrice, one", lambda: client.tickerPrice({"market": MARKET}), lambda row: row["market"] == MARKET)
    check("tickerBook", client.tickerBook, lambda rows: all(map(good.best, rows)))
    check("tickerBook, one", lambda: client.tickerBook({"market": MARKET}), good.best)
    check("ticker24h", client.ticker24h, lambda rows: all(map(good.day, rows)))
    check("ticker24h, one", lambda: client.ticker24h({"market": MARKET}), good.day)
    check("getRemainingLimit", client.getRemainingLimit, lambda left: isinstance(left, int) and left > 1_000)
    check("an error is returned", lambda: client.book("NOPE-EUR"), lambda answer: answer["errorCode"] == 205)


def orders(report: Report, client: Answer) -> None:
    """An order's life, and the lists."""
    check = report.check
    body = {"amount": "0.001", "price": LOW_PRICE, "operatorId": OPERATOR}
    placed = check("placeOrder, limit", lambda: client.placeOrder(MARKET, "buy", "limit", dict(body)), good.order)
    market = {"amountQuote": "50", "operatorId": OPERATOR}
    check("placeOrder, market", lambda: client.placeOrder(MARKET, "buy", "market", market), good.filled)
    trigger = {"triggerType": "price", "triggerReference": "lastTrade", "triggerAmount": LOW_PRICE}
    stop = {"amount": "0.001", "operatorId": OPERATOR} | trigger
    check(
        "placeOrder, stopLoss",
        lambda: client.placeOrder(MARKET, "sell", "stopLoss", stop),
        lambda row: good.order(row, "awaitingTrigger", "stopLoss"),
    )
    order_id = placed["orderId"]
    check("getOrder", lambda: client.getOrder(MARKET, order_id), good.order)
    change = {"price": "40001", "operatorId": OPERATOR}
    check(
        "updateOrder",
        lambda: client.updateOrder(MARKET, order_id, change),
        lambda row: good.order(row) and row["price"] == "40001" and row["orderId"] == order_id,
    )
    check("getOrders", lambda: client.getOrders(MARKET, {"limit": 10}), lambda rows: len(rows) == 3)
    check("ordersOpen", lambda: client.ordersOpen({"market": MARKET}), lambda rows: len(rows) == 2)
    check("trades", lambda: client.trades(MARKET), lambda rows: bool(rows) and all(map(good.own_trade, rows)))
    check(
        "cancelOrder",
        lambda: until(lambda: when_done(client.cancelOrder(MARKET, order_id, OPERATOR))),
        lambda answer: good.canceled(answer, order_id),
    )
    check("getOrder, canceled", lambda: client.getOrder(MARKET, order_id), lambda row: good.order(row, "canceled"))
    check(
        "cancelOrders",
        lambda: client.cancelOrders({"market": MARKET, "operatorId": OPERATOR}),
        lambda rows: len(rows) == 1,
    )
    unaffordable = {"amount": "100", "price": LOW_PRICE, "operatorId": OPERATOR}
    check(
        "placeOrder, refused",
        lambda: client.placeOrder(MARKET, "buy", "limit", unaffordable),
        lambda answer: answer["errorCode"] == 216,
    )


def when_done(answer: Answer) -> Answer:
    """An answer, unless an update still keeps the order busy, which the exchange answers with 240."""
    return None if isinstance(answer, dict) and answer.get("errorCode") == 240 else answer


def account(report: Report, client: Answer) -> None:
    """Fees and balances."""
    report.check("account", client.account, lambda answer: good.rates(answer["fees"]))
    report.check("fees", client.fees, good.rates)
    report.check("fees, one", lambda: client.fees(MARKET), good.rates)
    report.check("balance", client.balance, good.balances)
    report.check("balance, one", lambda: client.balance({"symbol": "EUR"}), lambda rows: len(rows) == 1)


def funding(report: Report, client: Answer, given: dict[str, str]) -> None:
    """Deposits and withdrawals."""
    report.check(
        "withdrawAssets",
        lambda: client.withdrawAssets("BTC", "0.01", "loopback0address0of0nobody", {}),
        lambda answer: answer["success"] and answer["symbol"] == "BTC",
    )
    report.check("depositHistory", client.depositHistory, lambda rows: good.is_ms(rows[0]["timestamp"]))
    report.check("withdrawalHistory", client.withdrawalHistory, lambda rows: isinstance(rows, list))
    try:
        client.depositAssets("BTC")
        shown = False
    except ValueError:
        shown = bool(raw.requests_received(given, "/v2/depositAssets"))
    proved = "address" in raw.signed(given, "GET", "/deposit?symbol=BTC")
    report.broken("depositAssets", "asks /depositAssets; the path is /deposit", shown=shown, proved=proved)


if __name__ == "__main__":
    logging.disable()
    main()
