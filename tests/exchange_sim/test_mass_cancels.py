"""Cancels of many orders at once: by market, by side, by group; and what each costs."""

import asyncio

import pytest

from tests.exchange_sim.world import KEY, OTHER_KEY, World


async def points(world: World, method: str, target: str, body: dict[str, object] | None = None) -> int:
    await world.admin("POST", "limits", {"points_per_minute": 1000})
    answer = await world.call(method, target, body)
    assert answer.status in (200, 201), answer.body
    return 1000 - int(answer.headers["bitvavo-ratelimit-remaining"])


async def test_all_orders_of_a_market_or_of_the_account_are_canceled_whichever_key_placed_them(world: World) -> None:
    await world.admin("POST", "market", {"market": "ETH-EUR"})
    await world.account(OTHER_KEY, ["view", "trade"], {}, "alice")
    first, second = (await world.order()).json, (await world.order(key=OTHER_KEY)).json
    other = (await world.order(market="ETH-EUR", price="100", amount="1")).json
    canceled = (await world.call("DELETE", "/orders?market=BTC-EUR&operatorId=7")).json
    assert canceled == [{"orderId": each["orderId"], "operatorId": 7} for each in (first, second)]
    assert (await world.call("DELETE", "/orders?operatorId=7")).json == [{"orderId": other["orderId"], "operatorId": 7}]
    assert (await world.balances())["EUR"] == ("10000", "0")


async def test_nothing_to_cancel_is_an_empty_list_or_not_found_by_the_switch(world: World) -> None:
    assert (await world.call("DELETE", "/orders?operatorId=7")).json == []
    await world.admin("POST", "switches", {"nothing_to_cancel": "not_found"})
    assert (await world.call("DELETE", "/orders?operatorId=7")).code == 240


async def test_one_side_of_a_market_is_canceled_by_a_signed_body(world: World) -> None:
    buy, sell = (await world.order()).json, (await world.order(side="sell", price="60000")).json
    body = {"market": "BTC-EUR", "side": "sell", "operatorId": 7}
    canceled = (await world.call("DELETE", "/atomic/orders", body)).json
    assert canceled == [{"orderId": sell["orderId"], "operatorId": 7}]
    assert [each["orderId"] for each in (await world.call("GET", "/ordersOpen")).json] == [buy["orderId"]]
    del body["side"]
    assert (await world.call("DELETE", "/atomic/orders", body)).code == 203
    assert (await world.call("DELETE", "/atomic/orders", body | {"side": "sell", "operatorId": "7"})).code == 205


async def test_mass_cancels_cost_their_points(world: World) -> None:
    assert await points(world, "DELETE", "/orders?market=BTC-EUR&operatorId=7") == 25
    assert await points(world, "DELETE", "/orders?operatorId=7") == 100
    side = {"market": "BTC-EUR", "side": "buy", "operatorId": 7}
    assert await points(world, "DELETE", "/atomic/orders", side) == 100
    assert await points(world, "POST", "/cancelOrdersAfter", {"codGroupId": 1, "expiryAfterSeconds": 10}) == 5


async def test_a_halted_market_keeps_its_orders(world: World) -> None:
    await world.order()
    await world.admin("POST", "market", {"market": "BTC-EUR", "status": "halted"})
    assert (await world.call("DELETE", "/orders?market=BTC-EUR&operatorId=7")).code == 423
    assert (await world.call("DELETE", "/orders?operatorId=7")).json == []
    side = {"market": "BTC-EUR", "side": "buy", "operatorId": 7}
    assert (await world.call("DELETE", "/atomic/orders", side)).code == 423


async def test_a_group_that_is_not_prolonged_is_canceled_by_the_exchanges_clock(world: World) -> None:
    grouped, free = (await world.order(codGroupId=7)).json, (await world.order()).json
    assert grouped["codGroupId"] == 7
    timer = {"codGroupId": 7, "expiryAfterSeconds": 60}
    noon_s = 1_795_521_600
    assert (await world.call("POST", "/cancelOrdersAfter", timer)).json == {
        "codGroupId": 7,
        "timeOfExpirySeconds": noon_s + 60,
    }
    world.clock.advance(50_000)
    again = (await world.call("POST", "/cancelOrdersAfter", timer)).json
    assert again["timeOfExpirySeconds"] == noon_s + 110
    world.clock.advance(59_999)
    assert len((await world.call("GET", "/ordersOpen")).json) == 2
    world.clock.advance(1)
    assert [each["orderId"] for each in (await world.call("GET", "/ordersOpen")).json] == [free["orderId"]]
    found = (await world.call("GET", f"/order?market=BTC-EUR&orderId={grouped['orderId']}")).json
    assert (found["status"], found["restatementReason"]) == ("canceled", "cancelOnDisconnect")


async def test_a_removed_group_keeps_its_orders(world: World) -> None:
    await world.order(codGroupId=7)
    for seconds in (10, 0):
        answer = await world.call("POST", "/cancelOrdersAfter", {"codGroupId": 7, "expiryAfterSeconds": seconds})
    assert answer.json == {"codGroupId": 7, "timeOfExpirySeconds": 0}
    world.clock.advance(20_000)
    assert len((await world.call("GET", "/ordersOpen")).json) == 1


async def test_a_group_ends_without_any_request(world: World) -> None:
    await world.order(codGroupId=7)
    await world.call("POST", "/cancelOrdersAfter", {"codGroupId": 7, "expiryAfterSeconds": 10})
    world.clock.advance(10_000)
    async with asyncio.timeout(5):
        while (await world.admin("GET", "ledger?kind=orders")).json["orders"][0]["status"] != "canceled":  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"codGroupId": 0, "expiryAfterSeconds": 10}, 205),
        ({"codGroupId": 1001, "expiryAfterSeconds": 10}, 205),
        ({"codGroupId": 1, "expiryAfterSeconds": 9}, 205),
        ({"codGroupId": 1, "expiryAfterSeconds": 301}, 205),
        ({"codGroupId": 1}, 203),
        ({"expiryAfterSeconds": 10}, 203),
    ],
)
async def test_a_wrong_timer_is_refused(world: World, body: dict[str, object], code: int) -> None:
    assert (await world.call("POST", "/cancelOrdersAfter", body, key=KEY)).code == code
