"""What the account channel tells, to whom, and when."""

import pytest

from tests.exchange_sim.wire_client import WireClient, connect, named
from tests.exchange_sim.world import OTHER_KEY, World

FAST = {"book_batch_ms": 5, "delta_after_subscribe": False}


@pytest.fixture
async def client(world: World) -> WireClient:
    await world.admin("POST", "switches", FAST)
    return await connect(world)


async def test_an_account_hears_its_own_orders_and_fills_only(world: World, client: WireClient) -> None:
    await world.account(OTHER_KEY, ["view", "trade"], {"EUR": "1000"}, "bob")
    other = await connect(world)
    await other.authenticate(OTHER_KEY)
    await other.subscribe("account", "*")
    await client.authenticate()
    await client.subscribe("account", "*")
    order = (await world.order(clientOrderId="0b2f6b1e-8d0a-4c7e-9a4e-2f6f2a4b8c11", price="50000")).json
    frames = await client.rest()
    assert await other.rest() == []
    fill = named(frames, "fill")[0]
    (written,) = order["fills"]
    assert fill == {
        "event": "fill",
        "market": "BTC-EUR",
        "orderId": order["orderId"],
        "clientOrderId": order["clientOrderId"],
        "operatorId": 7,
        "fillId": written["id"],
        "timestamp": written["timestamp"],
        "timestampNs": written["timestamp"] * 1_000_000,
        "amount": "0.01",
        "side": "buy",
        "price": "50000",
        "taker": True,
        "fee": written["fee"],
        "feeCurrency": "EUR",
    }
    told = {frame["executionType"]: frame for frame in named(frames, "order")}
    assert told.keys() == {"new", "trade"}
    final = told["trade"]
    for name in (
        "status",
        "filledAmount",
        "filledAmountQuote",
        "amountRemaining",
        "createdNs",
        "timeInForce",
        "onHold",
    ):
        assert final[name] == order[name]
    assert "fills" not in final


async def test_a_resting_order_tells_its_cancel(world: World, client: WireClient) -> None:
    await client.authenticate()
    await client.subscribe("account")
    order = (await world.order()).json
    await world.call("DELETE", f"/order?market=BTC-EUR&orderId={order['orderId']}&operatorId=7")
    told = {frame["executionType"]: frame["status"] for frame in await client.rest()}
    assert told == {"new": "new", "canceled": "canceled"}


async def test_a_star_and_a_market_together_tell_once(world: World, client: WireClient) -> None:
    await client.authenticate()
    await client.subscribe("account", "*")
    await client.subscribe("account")
    await world.order()
    assert len(await client.rest()) == 1


async def test_account_events_come_in_any_order_by_the_seed_or_in_their_own(world: World, client: WireClient) -> None:
    await client.authenticate()
    await client.subscribe("account")

    async def orders_of(times: int) -> list[tuple[str, ...]]:
        found = []
        for number in range(times):
            message = {"market": "BTC-EUR", "side": "buy", "orderType": "limit", "operatorId": 7, "amount": "0.001"}
            await client.send(action="privateCreateOrder", requestId=number, price="50000", **message)
            frames = [await client.receive() for _ in range(4)]
            found.append(tuple(frame.get("executionType") or frame.get("event") or "reply" for frame in frames))
        return found

    await world.admin("POST", "switches", {"account_event_order": "in_order"})
    assert set(await orders_of(5)) == {("reply", "new", "fill", "trade")}
    await world.admin("POST", "switches", {"account_event_order": "shuffled"})
    shuffled = await orders_of(40)
    assert len(set(shuffled)) > 5
    assert {each.index("reply") for each in shuffled} == {0, 3}


async def test_a_key_without_view_does_not_hear_the_account_unless_the_switch_says_so(
    world: World, client: WireClient
) -> None:
    await world.account(OTHER_KEY, ["trade"], {}, "alice")
    await client.authenticate(OTHER_KEY)
    assert (await client.subscribe("account"))["errorCode"] == 311
    await world.admin("POST", "switches", {"account_channel_needs_view": False})
    assert "subscriptions" in await client.subscribe("account")
