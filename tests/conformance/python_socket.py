"""Every WebSocket call of PyPI's python-bitvavo-api, unmodified."""

import importlib
import os
import queue
import sys
import time
from collections.abc import Callable

from tests.conformance import good
from tests.conformance.good import MARKET, OPERATOR
from tests.conformance.report import Answer, Report, settings, until

PATIENCE_S = 8.0
# An update keeps its order out of reach of a cancel for a moment.
BUSY_S = 0.2
LOW_PRICE = "40000"


class Asked:
    """Turns the client's callbacks into answers."""

    def __init__(self, client: Answer) -> None:
        """Listen to errors, too."""
        self.client = client
        self.answers: queue.Queue[Answer] = queue.Queue()
        self.errors: list[Answer] = []
        client.setErrorCallback(self.errors.append)

    def __call__(self, send: Callable[[Callable[[Answer], None]], None]) -> Answer:
        """Send, and wait for the callback."""
        self.answers = queue.Queue()
        send(self.answers.put)
        return self.answers.get(timeout=PATIENCE_S)


def main() -> None:
    """Make the calls one after the other."""
    given = settings()
    module = importlib.import_module("python_bitvavo_api.bitvavo")
    options = {"APIKEY": given["key"], "APISECRET": given["secret"], "RESTURL": given["rest"], "WSURL": given["ws"]}
    rest = module.Bitvavo(options)
    ask = Asked(rest.newWebsocket())
    report = Report()
    public(report, ask)
    channels(report, ask)
    private(report, ask)
    errors(report, ask)
    local_book(report, rest)
    sys.stdout.flush()
    # The client's threads cannot be ended: its on_close has the wrong number of arguments.
    os._exit(0)


def public(report: Report, ask: Asked) -> None:
    """Market data."""
    client, check = ask.client, report.check
    check("time", lambda: ask(client.time), good.time)
    check("markets", lambda: ask(lambda back: client.markets({}, back)), lambda rows: all(map(good.market, rows)))
    check("assets", lambda: ask(lambda back: client.assets({}, back)), lambda rows: all(map(good.asset, rows)))
    check("book", lambda: ask(lambda back: client.book(MARKET, {"depth": 5}, back)), good.book)
    check("publicTrades", lambda: ask(lambda back: client.publicTrades(MARKET, {}, back)), good.newest_first)
    check("candles", lambda: ask(lambda back: client.candles(MARKET, "1h", {}, back)), good.newest_first)
    check("ticker24h", lambda: ask(lambda back: client.ticker24h({}, back)), lambda rows: all(map(good.day, rows)))
    check(
        "tickerPrice",
        lambda: ask(lambda back: client.tickerPrice({"market": MARKET}, back)),
        lambda row: good.is_number(row["price"]),
    )
    check("tickerBook", lambda: ask(lambda back: client.tickerBook({"market": MARKET}, back)), good.best)


def channels(report: Report, ask: Asked) -> None:
    """Public subscriptions."""
    client, check = ask.client, report.check
    check(
        "subscriptionTicker",
        lambda: ask(lambda back: client.subscriptionTicker(MARKET, back)),
        lambda event: {"bestBid", "bestAsk", "lastPrice"} & event.keys(),
    )
    check("subscriptionTicker24h", lambda: ask(lambda back: client.subscriptionTicker24h(MARKET, back)), good.day)
    check("subscriptionTrades", lambda: ask(lambda back: client.subscriptionTrades(MARKET, back)), good.public_trade)
    check(
        "subscriptionCandles",
        lambda: ask(lambda back: client.subscriptionCandles(MARKET, "1m", back)),
        lambda event: good.candle(event["candle"][0]),
    )
    check(
        "subscriptionBookUpdate",
        lambda: ask(lambda back: client.subscriptionBookUpdate(MARKET, back)),
        lambda event: event["nonce"] > 0 and (event["bids"] or event["asks"]),
    )


def private(report: Report, ask: Asked) -> None:
    """An order's life with the account channel listening, the lists, the account."""
    client, check = ask.client, report.check
    heard: list[Answer] = []
    client.subscriptionAccount(MARKET, heard.append)
    body = {"amount": "0.001", "price": LOW_PRICE, "operatorId": OPERATOR}
    placed = check(
        "placeOrder, limit",
        lambda: ask(lambda back: client.placeOrder(MARKET, "buy", "limit", dict(body), back)),
        good.order,
    )
    market = {"amount": "0.001", "operatorId": OPERATOR}
    check(
        "placeOrder, market",
        lambda: ask(lambda back: client.placeOrder(MARKET, "buy", "market", market, back)),
        good.filled,
    )
    order_id = placed["orderId"]
    check(
        "subscriptionAccount", lambda: until(lambda: {each["event"] for each in list(heard)} == {"order", "fill"}), bool
    )
    check("getOrder", lambda: ask(lambda back: client.getOrder(MARKET, order_id, back)), good.order)
    change = {"price": "40001", "operatorId": OPERATOR}
    check(
        "updateOrder",
        lambda: ask(lambda back: client.updateOrder(MARKET, order_id, change, back)),
        lambda row: row["price"] == "40001",
    )
    check("getOrders", lambda: ask(lambda back: client.getOrders(MARKET, {}, back)), lambda rows: len(rows) == 2)
    check("ordersOpen", lambda: ask(lambda back: client.ordersOpen({}, back)), lambda rows: len(rows) == 1)
    check(
        "trades",
        lambda: ask(lambda back: client.trades(MARKET, {}, back)),
        lambda rows: bool(rows) and all(map(good.own_trade, rows)),
    )
    time.sleep(BUSY_S)
    check(
        "cancelOrder",
        lambda: ask(lambda back: client.cancelOrder(MARKET, order_id, back, OPERATOR)),
        lambda answer: good.canceled(answer, order_id),
    )
    ask(lambda back: client.placeOrder(MARKET, "buy", "limit", dict(body), back))
    every = {"market": MARKET, "operatorId": OPERATOR}
    check("cancelOrders", lambda: ask(lambda back: client.cancelOrders(every, back)), lambda rows: len(rows) == 1)
    check("account", lambda: ask(client.account), lambda answer: good.rates(answer["fees"]))
    check("fees", lambda: ask(client.fees), good.rates)
    check("fees, one", lambda: ask(lambda back: client.fees(MARKET, back)), good.rates)
    check("balance", lambda: ask(lambda back: client.balance({}, back)), good.balances)
    check("depositAssets", lambda: ask(lambda back: client.depositAssets("BTC", back)), lambda row: row["address"])
    check(
        "withdrawAssets",
        lambda: ask(lambda back: client.withdrawAssets("BTC", "0.01", "loopback0address0of0nobody", {}, back)),
        lambda answer: answer["success"],
    )
    check("depositHistory", lambda: ask(lambda back: client.depositHistory({}, back)), bool)
    check(
        "withdrawalHistory", lambda: ask(lambda back: client.withdrawalHistory({}, back)), lambda rows: rows == rows[:]
    )


def errors(report: Report, ask: Asked) -> None:
    """The error callback gets the exchange's error, and then the client's own KeyError."""
    del ask.errors[:]
    ask.client.book("NOPE-EUR", {}, lambda _: None)
    first = until(lambda: list(ask.errors))
    report.check("an error calls back", lambda: first[0], lambda answer: answer["errorCode"] == 205)
    missed = until(lambda: ask.errors[1:])
    report.broken(
        "an error frame, afterwards",
        "reads 'response' of an error frame: KeyError",
        shown="response" in str(missed[0]),
        proved=first[0].get("action") == "getBook",
    )


def local_book(report: Report, rest: Answer) -> None:
    """The local copy of a book writes to an object that the library beneath no longer lets it write to."""
    ask = Asked(rest.newWebsocket())
    updates: list[Answer] = []
    ask.client.subscriptionBookUpdate(MARKET, updates.append)
    ask.client.subscriptionBook(MARKET, lambda _: None)
    failed = until(lambda: [error for error in list(ask.errors) if "localBook" in str(error)], PATIENCE_S)
    proved = bool(until(lambda: list(updates)))
    report.broken(
        "subscriptionBook", "sets localBook on WebSocketApp, which has none", shown=bool(failed), proved=proved
    )


if __name__ == "__main__":
    main()
