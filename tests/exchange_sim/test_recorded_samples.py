"""Answers of the real exchange, field by field: what was recorded comes out of the simulator to the last digit."""

from typing import Any

from tests.exchange_sim.hand_clock import NOON_MS
from tests.exchange_sim.world import World

CLIENT_ID = "0b2f6b1e-8d0a-4c7e-9a4e-2f6f2a4b8c11"
# GET /markets?market=BTC-EUR, live, October 2026.
BTC_ROW: dict[str, Any] = {
    "market": "BTC-EUR",
    "status": "trading",
    "base": "BTC",
    "quote": "EUR",
    "pricePrecision": None,
    "minOrderInBaseAsset": "0.00006607",
    "minOrderInQuoteAsset": "5.00",
    "maxOrderInBaseAsset": "1000000000",
    "maxOrderInQuoteAsset": "1000000000",
    "quantityDecimals": 8,
    "notionalDecimals": 2,
    "tickSize": "1.00",
    "maxOpenOrders": 400,
    "feeCategory": "A",
    "orderTypes": ["market", "limit", "stopLoss", "stopLossLimit", "takeProfit", "takeProfitLimit"],
}
TICKER_24H = [
    "market",
    "startTimestamp",
    "timestamp",
    "open",
    "openTimestamp",
    "high",
    "low",
    "last",
    "closeTimestamp",
    "volume",
    "volumeQuote",
    "bid",
    "bidSize",
    "ask",
    "askSize",
]


async def test_the_recorded_row_of_markets(world: World) -> None:
    await world.admin("POST", "market", BTC_ROW)
    assert (await world.public("/markets?market=BTC-EUR")).json == BTC_ROW


async def test_the_documented_order_half_filled(world: World) -> None:
    await world.admin("POST", "book", {"market": "BTC-EUR", "bids": [], "asks": [["50000", "0.0004"]]})
    await world.admin("POST", "switches", {"house_refills": False})
    made = (await world.order(amount="0.001", price="50000", operatorId=1001, clientOrderId=CLIENT_ID)).json
    fill = {
        "id": made["fills"][0]["id"],
        "timestamp": NOON_MS,
        "amount": "0.0004",
        "price": "50000",
        "taker": True,
        "fee": "0.05",
        "feeCurrency": "EUR",
        "settled": True,
    }
    times = {"created": NOON_MS, "createdNs": NOON_MS * 10**6, "updated": NOON_MS, "updatedNs": NOON_MS * 10**6}
    ids = {"orderId": made["orderId"], "clientOrderId": CLIENT_ID}
    assert made == ids | times | {
        "market": "BTC-EUR",
        "status": "partiallyFilled",
        "side": "buy",
        "orderType": "limit",
        "amount": "0.001",
        "amountRemaining": "0.0006",
        "price": "50000",
        "onHold": "30.08",
        "onHoldCurrency": "EUR",
        "filledAmount": "0.0004",
        "filledAmountQuote": "20",
        "feePaid": "0.05",
        "feeCurrency": "EUR",
        "fills": [fill],
        "selfTradePrevention": "decrementAndCancel",
        "visible": True,
        "timeInForce": "GTC",
        "postOnly": False,
        "operatorId": 1001,
    }
    trade = (await world.call("GET", "/trades?market=BTC-EUR")).json
    assert trade == [fill | ids | {"operatorId": 1001, "market": "BTC-EUR", "side": "buy"}]


async def test_the_recorded_fields_of_tickers_time_and_assets(world: World) -> None:
    await world.order(price="50000", amount="0.1")
    assert sorted((await world.public("/ticker/24h?market=BTC-EUR")).json) == sorted(TICKER_24H)
    assert (await world.public("/time")).json == {"time": NOON_MS, "timeNs": NOON_MS * 10**6}
    asset = (await world.public("/assets?symbol=BTC")).json
    assert (asset["decimals"], asset["depositConfirmations"], asset["networks"]) == (8, 2, ["BTC"])
    account = (await world.call("GET", "/account")).json
    assert account == {"fees": {"taker": "0.0025", "maker": "0.0015", "volume": "0.00"}}
    fees = (await world.call("GET", "/account/fees?market=BTC-EUR")).json
    assert fees == {"tier": "0", "volume": "0.00", "taker": "0.0025", "maker": "0.0015"}
