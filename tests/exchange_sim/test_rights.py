"""What a key may do: each right on each private endpoint, and which check comes first."""

import pytest

from tests.exchange_sim.world import KEY, World

FRESH = "11111111-2222-4333-8444-555555555555"
ORDER_QUERIES = (
    f"/order?market=BTC-EUR&orderId={FRESH}",
    "/orders?market=BTC-EUR",
    "/ordersOpen?market=BTC-EUR",
    "/trades?market=BTC-EUR",
)
ACCOUNT_QUERIES = ("/balance", "/account", "/account/fees", "/account/history")
PROBE = f"/order?market=BTC-EUR&orderId={FRESH}&operatorId=1"


async def with_rights(world: World, *rights: str) -> None:
    await world.account(KEY, list(rights), {}, "alice")


async def code(world: World, method: str, target: str) -> int | None:
    return (await world.call(method, target)).code


async def test_a_view_key_cannot_trade_nor_read_orders(world: World) -> None:
    await with_rights(world, "view")
    assert (await world.order()).code == 310
    assert await code(world, "DELETE", PROBE) == 310
    assert [await code(world, "GET", target) for target in ORDER_QUERIES] == [310] * 4
    assert [await code(world, "GET", target) for target in ACCOUNT_QUERIES] == [None] * 4
    assert world.exchange.ledger.orders == []


async def test_a_trade_key_trades_but_sees_nothing_at_the_worst(world: World) -> None:
    await with_rights(world, "trade")
    assert (await world.order()).status == 200
    assert await code(world, "DELETE", PROBE) == 240
    assert [await code(world, "GET", target) for target in ORDER_QUERIES] == [311] * 4
    assert [await code(world, "GET", target) for target in ACCOUNT_QUERIES] == [311] * 4


async def test_a_trade_key_may_read_its_orders_by_the_switch(world: World) -> None:
    await with_rights(world, "trade")
    await world.admin("POST", "switches", {"trade_only_key_reads_orders": True})
    assert [await code(world, "GET", target) for target in ORDER_QUERIES] == [240, None, None, None]
    assert await code(world, "GET", "/balance") == 311


async def test_both_rights_read_everything(world: World) -> None:
    targets = ORDER_QUERIES + ACCOUNT_QUERIES
    assert [await code(world, "GET", target) for target in targets] == [240, *[None] * 7]


@pytest.mark.parametrize(("first", "expected"), [("validation", 203), ("permission", 310)])
async def test_which_check_comes_first_is_a_switch(world: World, first: str, expected: int) -> None:
    await with_rights(world, "view")
    await world.admin("POST", "switches", {"checks_first": first})
    assert await code(world, "DELETE", "/order") == expected
    assert await code(world, "DELETE", PROBE) == 310


async def test_a_cancel_may_look_for_its_order_before_the_right_by_the_switch(world: World) -> None:
    order = (await world.order()).json["orderId"]
    await with_rights(world, "view")
    await world.admin("POST", "switches", {"cancel_checks_first": "order"})
    assert await code(world, "DELETE", PROBE) == 240
    assert await code(world, "DELETE", f"/order?market=BTC-EUR&orderId={order}&operatorId=1") == 310


async def test_an_unsigned_private_question_is_refused(world: World) -> None:
    assert (await world.public("/balance")).code == 300
