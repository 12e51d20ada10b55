"""The WebSocket calls of PyPI's ccxt.pro that its Bitvavo client has, unmodified."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable

from tests.conformance import raw
from tests.conformance.good import OPERATOR, is_ms
from tests.conformance.report import Answer, Report, settings

SYMBOL, OTHER, LOW_PRICE = "BTC/EUR", "ETH/EUR", 40_000
OWN = {"operatorId": OPERATOR}
PATIENCE_S = 12.0
# An update keeps its order out of reach of a cancel for a moment.
BUSY_S = 0.2
LEAST_LEVELS = 10
HANGS_S = 3.0
NOT_FOUND = 240
NO_ORDER = "00000000-0000-0460-0100-0000ffffffff"


class Waiting:
    """A report whose calls are awaited, each no longer than a person would."""

    def __init__(self, report: Report) -> None:
        self.report = report

    async def check(self, call: str, run: Callable[[], Awaitable[Answer]], good: Callable[[Answer], bool]) -> Answer:
        """Await a call and hand its outcome to the report."""
        waiting = asyncio.ensure_future(_within(run))
        await asyncio.wait([waiting])
        return self.report.check(call, waiting.result, good)


async def main() -> None:
    """Make the calls one after the other."""
    given = settings()
    pro = importlib.import_module("ccxt.pro")
    client = pro.bitvavo({"apiKey": given["key"], "secret": given["secret"], "enableRateLimit": False})
    client.urls["api"] = {"public": given["http"], "private": given["http"], "ws": given["ws"]}
    report = Waiting(Report())
    try:
        await watching(report, client)
        await watching_many(report, client)
        await unwatching(report, client)
        await private(report, client)
        await asking(report, client)
        await refused(report, client)
        await refused_cancel(report, client, given)
    finally:
        await client.close()


async def watching(report: Waiting, client: Answer) -> None:
    """One market's channels."""
    check = report.check
    await check(
        "watchTicker", lambda: client.watch_ticker(SYMBOL), lambda row: row["low"] <= row["last"] <= row["high"]
    )
    await check(
        "watchTickers",
        lambda: client.watch_tickers([SYMBOL, OTHER]),
        lambda found: set(found) <= {SYMBOL, OTHER} and found,
    )
    await check("watchBidsAsks", lambda: bids_asks(client), lambda found: found[SYMBOL]["bid"] < found[SYMBOL]["ask"])
    await check(
        "watchTrades",
        lambda: client.watch_trades(SYMBOL),
        lambda rows: rows[0]["price"] > 0 and is_ms(rows[0]["timestamp"]),
    )
    await check(
        "watchOHLCV", lambda: client.watch_ohlcv(SYMBOL, "1m"), lambda rows: rows[-1][3] <= rows[-1][4] <= rows[-1][2]
    )
    first = await check("watchOrderBook", lambda: client.watch_order_book(SYMBOL), deep)
    nonce = first["nonce"]
    again = [await asyncio.wait_for(client.watch_order_book(SYMBOL), PATIENCE_S) for _ in range(5)]
    report.report.check(
        "watchOrderBook, moving", lambda: again[-1], lambda found: deep(found) and found["nonce"] > nonce
    )


def deep(found: Answer) -> bool:
    """A book with depth that does not cross itself."""
    return bool(found["bids"][0][0] < found["asks"][0][0]) and len(found["bids"]) > LEAST_LEVELS


async def bids_asks(client: Answer) -> Answer:
    """The first event of the market; the client also gives (empty) results for other markets' events."""
    while not (found := await client.watch_bids_asks([SYMBOL])):
        pass
    return found


async def watching_many(report: Waiting, client: Answer) -> None:
    """Channels of several markets."""
    check = report.check
    await check(
        "watchTradesForSymbols",
        lambda: client.watch_trades_for_symbols([SYMBOL, OTHER]),
        lambda rows: rows[0]["price"] > 0,
    )
    await check(
        "watchOHLCVForSymbols",
        lambda: client.watch_ohlcv_for_symbols([[SYMBOL, "1m"], [OTHER, "5m"]]),
        lambda found: set(found) <= {SYMBOL, OTHER},
    )
    await check(
        "watchOrderBookForSymbols",
        lambda: client.watch_order_book_for_symbols([SYMBOL, OTHER]),
        lambda found: found["bids"][0][0] < found["asks"][0][0],
    )


async def unwatching(report: Waiting, client: Answer) -> None:
    """The end of subscriptions."""
    check = report.check
    await check("unWatchTrades", lambda: client.un_watch_trades(SYMBOL), is_done)
    await check("unWatchOHLCV", lambda: client.un_watch_ohlcv(SYMBOL, "1m"), is_done)
    await check("unWatchOrderBook", lambda: client.un_watch_order_book(SYMBOL), is_done)


def is_done(found: Answer) -> bool:
    """An unsubscription resolves to no error."""
    return not isinstance(found, Exception)


async def private(report: Waiting, client: Answer) -> None:
    """An order's life, with its owner watching."""
    check = report.check
    orders = asyncio.ensure_future(client.watch_orders(SYMBOL))
    trades = asyncio.ensure_future(client.watch_my_trades(SYMBOL))
    await asyncio.sleep(0.5)
    limit = await check(
        "createOrderWs, limit",
        lambda: client.create_order_ws(SYMBOL, "limit", "buy", 0.001, LOW_PRICE, OWN),
        lambda row: (row["status"], row["price"]) == ("open", LOW_PRICE),
    )
    await check(
        "createOrderWs, market",
        lambda: client.create_order_ws(SYMBOL, "market", "buy", 0.001, None, OWN),
        lambda row: (row["status"], row["filled"]) == ("closed", 0.001),
    )
    await check("watchOrders", lambda: orders, lambda rows: rows[0]["symbol"] == SYMBOL)
    await check(
        "watchMyTrades", lambda: trades, lambda rows: rows[0]["amount"] > 0 and rows[0]["fee"]["currency"] == "EUR"
    )
    order_id = limit["id"]
    await check("fetchOrderWs", lambda: client.fetch_order_ws(order_id, SYMBOL), lambda row: row["id"] == order_id)
    await check(
        "editOrderWs",
        lambda: client.edit_order_ws(order_id, SYMBOL, "limit", "buy", 0.002, LOW_PRICE + 1, OWN),
        lambda row: (row["id"], row["price"]) == (order_id, LOW_PRICE + 1),
    )
    await check("fetchOpenOrdersWs", lambda: client.fetch_open_orders_ws(SYMBOL), lambda rows: len(rows) == 1)
    await check("fetchOrdersWs", lambda: client.fetch_orders_ws(SYMBOL), lambda rows: len(rows) == 2)
    await check("fetchMyTradesWs", lambda: client.fetch_my_trades_ws(SYMBOL), lambda rows: rows[0]["price"] > 0)
    await asyncio.sleep(BUSY_S)
    await check(
        "cancelOrderWs", lambda: client.cancel_order_ws(order_id, SYMBOL, OWN), lambda row: row["id"] == order_id
    )
    await client.create_order_ws(SYMBOL, "limit", "buy", 0.001, LOW_PRICE, OWN)
    await check("cancelAllOrdersWs", lambda: client.cancel_all_orders_ws(SYMBOL, OWN), lambda rows: len(rows) == 1)


async def asking(report: Waiting, client: Answer) -> None:
    """Questions over the socket."""
    check = report.check
    await check("fetchOHLCVWs", lambda: client.fetch_ohlcv_ws(SYMBOL, "1h", limit=3), lambda rows: len(rows) == 3)
    await check("fetchBalanceWs", client.fetch_balance_ws, lambda found: found["EUR"]["free"] > 0)
    await check(
        "fetchTradingFeesWs",
        client.fetch_trading_fees_ws,
        lambda found: found[SYMBOL]["maker"] < found[SYMBOL]["taker"],
    )
    await check("fetchMarketsWs", client.fetch_markets_ws, lambda rows: len(rows) > 1 and rows[0]["active"])
    await check("fetchCurrenciesWs", client.fetch_currencies_ws, lambda found: found["BTC"]["precision"] == 1e-8)
    await check("fetchDepositsWs", lambda: client.fetch_deposits_ws("BTC"), lambda rows: rows[0]["currency"] == "BTC")
    await check("fetchWithdrawalsWs", lambda: client.fetch_withdrawals_ws("BTC"), lambda rows: isinstance(rows, list))
    await check(
        "withdrawWs",
        lambda: client.withdraw_ws("BTC", 0.01, "loopback0address0of0nobody"),
        lambda row: row["amount"] == 0.01,
    )


async def refused(report: Waiting, client: Answer) -> None:
    """A refusal reaches the call that it belongs to."""
    waiting = asyncio.ensure_future(_within(lambda: client.create_order_ws(SYMBOL, "limit", "buy", 99, LOW_PRICE, OWN)))
    await asyncio.wait([waiting])
    report.report.check("createOrderWs, refused", waiting.exception, lambda problem: "balance" in str(problem))


async def refused_cancel(report: Waiting, client: Answer, given: dict[str, str]) -> None:
    """A refused cancel ends the client's receive loop, since it looks for an orderId in the error frame."""
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    try:
        await asyncio.wait_for(client.cancel_order_ws(NO_ORDER, SYMBOL, OWN), HANGS_S)
        hung = False
    except TimeoutError:
        hung = True
    answered = raw.requests_received(given, "privateCancelOrder")[-1]
    reason = "wants an orderId in the error frame: stops reading"
    report.report.broken("cancelOrderWs, refused", reason, shown=hung, proved=answered["error_code"] == NOT_FOUND)


async def _within(run: Callable[[], Awaitable[Answer]]) -> Answer:
    return await asyncio.wait_for(run(), PATIENCE_S)


if __name__ == "__main__":
    asyncio.run(main())
