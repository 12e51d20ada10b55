"""`PUT /order`: what may change, what it costs, and what it does to the queue."""

from typing import Any

import pytest

from tests.exchange_sim.world import OTHER_KEY, World

CLIENT_ID = "0b2f6b1e-8d0a-4c7e-9a4e-2f6f2a4b8c11"
STOP_LIMIT: dict[str, Any] = {
    "orderType": "stopLossLimit",
    "triggerAmount": "51000",
    "triggerType": "price",
    "triggerReference": "lastTrade",
}
STOP: dict[str, Any] = STOP_LIMIT | {"orderType": "stopLoss", "price": None}


async def put(world: World, order: dict[str, Any], **fields: object) -> Any:  # noqa: ANN401  a reply
    body = {"market": "BTC-EUR", "orderId": order["orderId"], "operatorId": 8} | fields
    return await world.call("PUT", "/order", {name: each for name, each in body.items() if each is not None})


async def test_an_order_takes_a_new_price_and_total_and_stays_the_same_order(world: World) -> None:
    made = (await world.order(clientOrderId=CLIENT_ID)).json
    changed = (await put(world, made, orderId=None, clientOrderId=CLIENT_ID, price="41000", amount="0.02")).json
    assert (changed["orderId"], changed["clientOrderId"]) == (made["orderId"], CLIENT_ID)
    assert (changed["price"], changed["amount"], changed["amountRemaining"]) == ("41000", "0.02", "0.02")
    assert (changed["onHold"], changed["operatorId"], changed["status"]) == ("822.05", 8, "new")
    assert (await world.balances())["EUR"] == ("9177.95", "822.05")
    assert (await world.call("GET", f"/order?market=BTC-EUR&orderId={made['orderId']}")).json == changed
    assert len((await world.call("GET", "/orders?market=BTC-EUR")).json) == 1


async def test_the_amount_is_the_new_total_and_the_remaining_amount_comes_on_top_of_what_is_filled(
    world: World,
) -> None:
    made = (await world.order(price="49995", amount="0.1")).json
    await world.admin("POST", "trade", {"market": "BTC-EUR", "side": "sell", "amount": "0.04"})
    total = (await put(world, made, amount="0.07")).json
    assert (total["amount"], total["amountRemaining"], total["status"]) == ("0.07", "0.03", "partiallyFilled")
    rest = (await put(world, made, amountRemaining="0.07")).json
    assert (rest["amount"], rest["amountRemaining"], rest["filledAmount"]) == ("0.11", "0.07", "0.04")
    assert (await put(world, made, amount="0.04")).code == 205


async def test_an_update_that_crosses_takes(world: World) -> None:
    made = (await world.order(amount="0.1")).json
    changed = (await put(world, made, price="50000")).json
    assert (changed["status"], changed["fills"][0]["taker"], changed["onHold"]) == ("filled", True, "0")


async def test_a_post_only_order_that_is_moved_across_is_canceled(world: World) -> None:
    made = (await world.order(postOnly=True)).json
    changed = (await put(world, made, price="50000")).json
    assert (changed["status"], changed["restatementReason"]) == ("canceled", "cancelPostOnly")


async def test_an_updated_order_stands_behind_the_others_of_its_price(world: World) -> None:
    await world.account(OTHER_KEY, ["view", "trade"], {"EUR": "10000"}, "bob")
    first = (await world.order(price="49995", amount="0.02")).json
    second = (await world.order(price="49995", amount="0.02", key=OTHER_KEY)).json
    await put(world, first, timeInForce="GTC")
    await world.admin("POST", "trade", {"market": "BTC-EUR", "side": "sell", "amount": "0.02"})
    assert (await world.call("GET", f"/order?market=BTC-EUR&orderId={first['orderId']}")).json["status"] == "new"
    target = f"/order?market=BTC-EUR&orderId={second['orderId']}"
    assert (await world.call("GET", target, key=OTHER_KEY)).json["status"] == "filled"


@pytest.mark.parametrize(
    ("placed", "fields", "code"),
    [
        ({}, {}, 232),
        ({}, {"responseRequired": True}, 232),
        ({}, {"amount": "0.02", "amountRemaining": "0.02"}, 236),
        ({}, {"amountQuote": "10"}, 239),
        (STOP | {"amount": None, "amountQuote": "10"}, {"amount": "0.02"}, 239),
        (STOP, {"price": "40000"}, 202),
        (STOP, {"postOnly": True}, 202),
        (STOP, {"timeInForce": "IOC"}, 202),
        ({}, {"triggerAmount": "51000"}, 202),
        ({}, {"price": "40000.001"}, 422),
        ({}, {"amount": "0.000000001"}, 429),
        ({}, {"amount": "0.00001"}, 217),
        ({}, {"amount": "9"}, 216),
        ({}, {"postOnly": True, "timeInForce": "IOC"}, 206),
        ({}, {"selfTradePrevention": "none"}, 205),
        ({}, {"price": "41000", "operatorId": None}, 203),
        ({}, {"price": "41000", "orderId": None}, 203),
        ({}, {"price": "41000", "orderId": CLIENT_ID}, 240),
        ({}, {"price": "41000", "side": "sell"}, 201),
    ],
)
async def test_a_wrong_update_is_refused_by_its_code_and_changes_nothing(
    world: World,
    placed: dict[str, Any],
    fields: dict[str, Any],
    code: int,
) -> None:
    made = (await world.order(**placed)).json
    before = await world.balances()
    refused = await put(world, made, **fields)
    assert (refused.status, refused.code) == (404 if code == 240 else 400, code), refused.body
    assert (await world.call("GET", f"/order?market=BTC-EUR&orderId={made['orderId']}")).json == made
    assert await world.balances() == before


async def test_a_market_order_cannot_be_updated_and_a_closed_one_is_not_found(world: World) -> None:
    market = (await world.order(orderType="market", price=None)).json
    assert (await put(world, market, amount="1")).code == 234
    closed = (await world.order(price="50000")).json
    assert (await put(world, closed, price="41000")).code == 240


async def test_waiting_orders_take_a_new_trigger_price_and_quote(world: World) -> None:
    made = (await world.order(**STOP_LIMIT)).json
    changed = (await put(world, made, triggerAmount="52000", price="40500")).json
    assert (changed["triggerAmount"], changed["price"], changed["status"]) == ("52000", "40500", "awaitingTrigger")
    by_quote = (await world.order(**STOP | {"amount": None, "amountQuote": "10"})).json
    changed = (await put(world, by_quote, amountQuote="20")).json
    assert (changed["amountQuote"], changed["amountQuoteRemaining"], changed["onHold"]) == ("20", "20", "20")


async def test_an_order_is_out_of_reach_while_an_update_is_going_on(world: World) -> None:
    await world.admin("POST", "switches", {"update_busy_ms": 50})
    made = (await world.order()).json
    assert (await put(world, made, price="41000")).status == 200
    target = f"/order?market=BTC-EUR&operatorId=7&orderId={made['orderId']}"
    assert ((await put(world, made, price="42000")).code, (await world.call("DELETE", target)).code) == (240, 240)
    world.clock.advance(50)
    assert (await world.call("DELETE", target)).status == 200


async def test_a_short_answer_is_given_when_no_response_is_required(world: World) -> None:
    made = (await world.order()).json
    short = (await put(world, made, price="41000", responseRequired=False)).json
    assert set(short) == {"orderId", "market", "created", "createdNs", "updated", "updatedNs"}


@pytest.mark.parametrize(("status", "code"), [("halted", 423), ("cancelOnly", 424), ("auctionMatching", 426)])
async def test_the_markets_state_forbids_updates(world: World, status: str, code: int) -> None:
    made = (await world.order()).json
    await world.admin("POST", "market", {"market": "BTC-EUR", "status": status})
    assert (await put(world, made, price="41000")).code == code
