"""Trigger orders: what they wait for, what they become, and what they hold meanwhile."""

from typing import Any

import pytest

from tests.exchange_sim.world import KEY, World

MARKET = {"market": "BTC-EUR"}
STOP: dict[str, Any] = {
    "side": "sell",
    "orderType": "stopLoss",
    "amount": "0.1",
    "price": None,
    "triggerAmount": "49900",
    "triggerType": "price",
    "triggerReference": "lastTrade",
}


async def read(world: World, order: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await world.call("GET", f"/order?market=BTC-EUR&orderId={order['orderId']}")).json
    return found


async def set_book(world: World, bid: str, ask: str) -> None:
    await world.admin("POST", "book", {**MARKET, "bids": [[bid, "5"]], "asks": [[ask, "5"]]})


async def trade_at(world: World, price: str) -> None:
    """A trade of the house with itself at a price, and the old book again."""
    await set_book(world, "1", price)
    await world.admin("POST", "trade", {**MARKET, "side": "buy", "amount": "0.01"})


async def test_a_stop_waits_with_its_base_on_hold_and_fires_under_the_same_id(world: World) -> None:
    made = (await world.order(**STOP)).json
    assert (made["status"], made["orderType"], made["onHold"], made["onHoldCurrency"]) == (
        "awaitingTrigger",
        "stopLoss",
        "0.1",
        "BTC",
    )
    assert (made["triggerPrice"], made["triggerAmount"]) == ("49900", "49900")
    assert (made["triggerType"], made["triggerReference"]) == ("price", "lastTrade")
    assert not {"price", "timeInForce", "postOnly"} & set(made)
    assert (await world.balances())["BTC"] == ("0.9", "0.1")
    await trade_at(world, "49900")
    found = await read(world, made)
    assert (found["status"], found["filledAmount"], found["orderType"]) == ("filled", "0.1", "stopLoss")


async def test_a_fired_stop_sells_at_the_market(world: World) -> None:
    made = (await world.order(**STOP | {"triggerReference": "bestBid"})).json
    await set_book(world, "49901", "50000")
    assert (await read(world, made))["status"] == "awaitingTrigger"
    await set_book(world, "49900", "50000")
    found = await read(world, made)
    assert (found["status"], found["orderType"], found["fills"][0]["price"]) == ("filled", "stopLoss", "49900")
    assert found["fills"][0]["taker"] is True


@pytest.mark.parametrize(
    ("order_type", "side", "below", "above"),
    [
        ("stopLoss", "sell", True, False),
        ("stopLoss", "buy", False, True),
        ("takeProfit", "sell", False, True),
        ("takeProfit", "buy", True, False),
    ],
)
@pytest.mark.parametrize("direction", ["documented", "reversed"])
async def test_a_stop_fires_towards_a_loss_and_a_profit_the_other_way(
    world: World,
    order_type: str,
    side: str,
    below: bool,  # noqa: FBT001  a column of the table
    above: bool,  # noqa: FBT001  a column of the table
    direction: str,
) -> None:
    await world.admin("POST", "switches", {"trigger_direction": direction})
    fired = []
    for bid in ("48000", "52000"):
        await set_book(world, "50000", "60000")
        fields = STOP | {"orderType": order_type, "side": side, "triggerReference": "bestBid"}
        trigger = "49000" if bid == "48000" else "51000"
        made = (await world.order(**fields | {"amount": "0.01", "triggerAmount": trigger})).json
        await set_book(world, bid, "60000")
        now = (await read(world, made))["status"]
        fired.append(made["status"] == "awaitingTrigger" and now != "awaitingTrigger")
    expected = [below, above]
    assert fired == ([not each for each in expected] if direction == "reversed" else expected)


@pytest.mark.parametrize(
    ("reference", "bid", "ask", "fires"),
    [
        ("bestBid", "49900", "50000", True),
        ("bestBid", "49901", "50000", False),
        ("bestAsk", "49800", "49900", True),
        ("bestAsk", "49800", "49901", False),
        ("midPrice", "49800", "50000", True),
        ("midPrice", "49800", "50001", False),
    ],
)
async def test_each_reference_is_its_own_price(
    world: World,
    reference: str,
    bid: str,
    ask: str,
    fires: bool,  # noqa: FBT001  a column of the table
) -> None:
    made = (await world.order(**STOP | {"triggerReference": reference})).json
    await set_book(world, bid, ask)
    assert ((await read(world, made))["status"] != "awaitingTrigger") is fires


async def test_a_limit_variant_rests_at_its_price_once_fired(world: World) -> None:
    fields = STOP | {"orderType": "stopLossLimit", "price": "49950", "triggerReference": "bestBid", "postOnly": True}
    made = (await world.order(**fields)).json
    assert (made["status"], made["price"], made["timeInForce"], made["postOnly"]) == (
        "awaitingTrigger",
        "49950",
        "GTC",
        True,
    )
    await set_book(world, "49900", "50000")
    found = await read(world, made)
    assert (found["status"], found["amountRemaining"], found["onHold"]) == ("new", "0.1", "0.1")
    assert (await world.public("/BTC-EUR/book?depth=1")).json["asks"] == [["49950", "0.1"]]


async def test_a_stop_to_buy_holds_its_value_at_the_trigger_and_expires_when_it_cannot_pay(world: World) -> None:
    fields = STOP | {"side": "buy", "triggerAmount": "51000", "triggerReference": "bestAsk"}
    made = (await world.order(**fields)).json
    assert (made["onHold"], made["onHoldCurrency"]) == ("5112.75", "EUR")
    await world.order(amount="0.1", price="48000")
    await set_book(world, "49000", "60000")
    found = await read(world, made)
    assert (found["status"], found["filledAmount"], found["onHold"]) == ("expired", "0", "0")


async def test_a_stop_by_quote_spends_its_quote(world: World) -> None:
    fields = STOP | {"side": "buy", "amount": None, "amountQuote": "100", "triggerAmount": "51000"}
    made = (await world.order(**fields)).json
    assert (made["status"], made["onHold"]) == ("awaitingTrigger", "100")
    await trade_at(world, "51000")
    found = await read(world, made)
    assert (found["status"], found["amountQuoteRemaining"], found["onHold"]) == ("filled", "0", "0")
    assert (await world.balances())["EUR"] == ("9900", "0")


async def test_a_trigger_that_is_reached_already_fires_at_once(world: World) -> None:
    made = (await world.order(**STOP | {"triggerReference": "bestBid", "triggerAmount": "49990"})).json
    assert made["status"] == "filled"


async def test_one_fired_order_may_fire_the_next(world: World) -> None:
    await world.account(KEY, ["view", "trade"], {"BTC": "9"}, "alice")
    await world.admin("POST", "switches", {"house_refills": False, "market_protection_per_cent": None})
    book = [["49990", "1"], ["49000", "1"], ["48000", "1"]]
    await world.admin("POST", "book", {**MARKET, "bids": book, "asks": [["50000", "1"]]})
    first = (await world.order(**STOP | {"amount": "1", "triggerAmount": "49990"})).json
    second = (await world.order(**STOP | {"amount": "1", "triggerAmount": "49000"})).json
    await world.admin("POST", "trade", {**MARKET, "side": "sell", "amount": "0.5"})
    found = [await read(world, each) for each in (first, second)]
    assert [[fill["price"] for fill in each["fills"]] for each in found] == [["49990", "49000"], ["49000", "48000"]]


async def test_of_two_that_are_due_the_older_fires_first_and_an_update_makes_one_young(world: World) -> None:
    await world.admin("POST", "switches", {"house_refills": False})
    fields = STOP | {"triggerReference": "bestAsk"}
    orders = [(await world.order(**fields)).json for _ in range(3)]
    body = {"market": "BTC-EUR", "orderId": orders[0]["orderId"], "operatorId": 7, "triggerAmount": "49901"}
    assert (await world.call("PUT", "/order", body)).status == 200
    bids = [["49800", "0.1"], ["49700", "0.1"], ["49600", "0.1"]]
    await world.admin("POST", "book", {**MARKET, "bids": bids, "asks": [["49900", "1"]]})
    prices = [(await read(world, each))["fills"][0]["price"] for each in orders]
    assert prices == ["49600", "49800", "49700"]


async def test_a_waiting_order_can_be_canceled_and_counts_as_open(world: World) -> None:
    await world.admin("POST", "market", {**MARKET, "maxOpenOrders": 1})
    made = (await world.order(**STOP)).json
    assert (await world.order()).code == 235
    assert [each["orderId"] for each in (await world.call("GET", "/ordersOpen")).json] == [made["orderId"]]
    await world.call("DELETE", f"/order?market=BTC-EUR&operatorId=7&orderId={made['orderId']}")
    await trade_at(world, "40000")
    assert (await read(world, made))["status"] == "canceled"
    assert (await world.balances())["BTC"] == ("1", "0")


async def test_triggers_sleep_while_the_market_is_in_auction(world: World) -> None:
    made = (await world.order(**STOP | {"triggerReference": "bestBid"})).json
    await world.admin("POST", "market", {**MARKET, "status": "auction"})
    await set_book(world, "49000", "50000")
    assert (await read(world, made))["status"] == "awaitingTrigger"
    await world.admin("POST", "market", {**MARKET, "status": "trading"})
    assert (await read(world, made))["status"] == "filled"
