"""When reads show what was written: lags, retention, lists, and the questions about money."""

import time
from typing import Any

from exchange_sim.sim_clock import SimClock
from tests.exchange_sim.hand_clock import NOON_MS
from tests.exchange_sim.world import OTHER_KEY, World

CLIENT_ID = "0b2f6b1e-8d0a-4c7e-9a4e-2f6f2a4b8c11"
BY_CLIENT_ID = f"/order?market=BTC-EUR&clientOrderId={CLIENT_ID}"
DAY_MS = 86_400_000


async def test_a_new_order_is_not_found_for_the_lag_but_open_at_once(worst_world: World) -> None:
    made = (await worst_world.order(clientOrderId=CLIENT_ID)).json
    assert (await worst_world.call("GET", BY_CLIENT_ID)).code == 240
    assert (await worst_world.call("GET", "/orders?market=BTC-EUR")).json == []
    assert (await worst_world.call("GET", "/ordersOpen?market=BTC-EUR")).json == [made]
    worst_world.clock.advance(499)
    assert (await worst_world.call("GET", BY_CLIENT_ID)).code == 240
    worst_world.clock.advance(1)
    assert (await worst_world.call("GET", BY_CLIENT_ID)).json == made
    assert (await worst_world.call("GET", "/orders?market=BTC-EUR")).json == [made]


async def test_a_skewed_clock_does_not_shorten_the_lag(worst_world: World) -> None:
    await worst_world.order(clientOrderId=CLIENT_ID)
    await worst_world.admin("POST", "clock", {"offset_ms": 2_000})
    assert (await worst_world.call("GET", BY_CLIENT_ID, age_ms=-2_000)).code == 240


def test_the_steady_clock_runs_and_knows_no_skew() -> None:
    clock = SimClock()
    before_ms = time.monotonic_ns() // 1_000_000
    clock.offset_ms = -3_600_000
    assert before_ms <= clock.steady_ms() <= time.monotonic_ns() // 1_000_000
    assert abs(clock.now_ns() // 1_000_000 + 3_600_000 - time.time_ns() // 1_000_000) < 5_000


async def test_a_canceled_order_still_reads_as_new_for_the_lag(worst_world: World) -> None:
    await worst_world.order(clientOrderId=CLIENT_ID)
    worst_world.clock.advance(500)
    assert (await worst_world.call("DELETE", BY_CLIENT_ID + "&operatorId=7")).status == 200
    assert (await worst_world.call("GET", BY_CLIENT_ID)).json["status"] == "new"
    worst_world.clock.advance(500)
    assert (await worst_world.call("GET", BY_CLIENT_ID)).json["status"] == "canceled"


async def test_a_closed_order_is_forgotten_by_get_order_but_not_by_orders(worst_world: World) -> None:
    await worst_world.order(clientOrderId=CLIENT_ID, price="50000")
    worst_world.clock.advance(5_000)
    assert (await worst_world.call("GET", BY_CLIENT_ID)).json["status"] == "filled"
    worst_world.clock.advance(1)
    assert (await worst_world.call("GET", BY_CLIENT_ID)).code == 240
    assert (await worst_world.call("GET", "/orders?market=BTC-EUR")).json[0]["clientOrderId"] == CLIENT_ID
    await worst_world.admin("POST", "switches", {"closed_order_retention_ms": None})
    assert (await worst_world.call("GET", BY_CLIENT_ID)).status == 200


async def test_own_trades_lag_too(worst_world: World) -> None:
    made = (await worst_world.order(price="50000", clientOrderId=CLIENT_ID)).json
    assert (await worst_world.call("GET", "/trades?market=BTC-EUR")).json == []
    worst_world.clock.advance(500)
    (row,) = (await worst_world.call("GET", "/trades?market=BTC-EUR")).json
    fill = made["fills"][0]
    mine = {"orderId": made["orderId"], "clientOrderId": CLIENT_ID, "operatorId": 7, "market": "BTC-EUR", "side": "buy"}
    assert row == fill | mine


async def test_an_unsettled_fill_has_no_fee_yet(world: World) -> None:
    await world.admin("POST", "switches", {"settle_delay_ms": 100})
    made = (await world.order(price="50000", clientOrderId=CLIENT_ID)).json
    assert made["feePaid"] == "0"
    assert made["fills"][0]["settled"] is False
    assert not {"fee", "feeCurrency"} & set(made["fills"][0])
    world.clock.advance(100)
    read = (await world.call("GET", BY_CLIENT_ID)).json
    assert (read["feePaid"], read["fills"][0]["fee"]) == ("1.25", "1.25")


async def orders(world: World, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await world.call("GET", f"/orders?market=BTC-EUR{query}")).json
    return found


async def test_orders_come_newest_first_by_page_time_and_id(world: World) -> None:
    made = []
    for _ in range(4):
        made.append((await world.order()).json["orderId"])
        world.clock.advance(1_000)
    assert [row["orderId"] for row in await orders(world, "")] == made[::-1]
    assert [row["orderId"] for row in await orders(world, "&limit=2")] == [made[3], made[2]]
    start, end = NOON_MS + 1_000, NOON_MS + 2_000
    assert [row["orderId"] for row in await orders(world, f"&start={start}&end={end}")] == [made[2], made[1]]
    between = f"&orderIdFrom={made[1]}&orderIdTo={made[2]}"
    assert [row["orderId"] for row in await orders(world, between)] == [made[2], made[1]]


async def test_lists_refuse_a_window_over_a_day_and_a_limit_over_a_thousand(world: World) -> None:
    for path in ("/orders", "/trades"):
        wide = f"{path}?market=BTC-EUR&start={NOON_MS - DAY_MS - 1}&end={NOON_MS}"
        assert (await world.call("GET", wide)).code == 205
        assert (await world.call("GET", wide.replace(f"{NOON_MS - DAY_MS - 1}", f"{NOON_MS - DAY_MS}"))).status == 200
        for limit in ("0", "1001", "ten"):
            assert (await world.call("GET", f"{path}?market=BTC-EUR&limit={limit}")).code == 205
        assert (await world.call("GET", path)).code == 203


async def test_open_orders_are_listed_for_one_market_one_base_or_all(world: World) -> None:
    await world.admin("POST", "market", {"market": "ETH-EUR"})
    await world.order()
    await world.order(market="ETH-EUR", price="100", amount="1")
    for query, markets in (("", ["ETH-EUR", "BTC-EUR"]), ("?market=BTC-EUR", ["BTC-EUR"]), ("?base=ETH", ["ETH-EUR"])):
        assert [row["market"] for row in (await world.call("GET", f"/ordersOpen{query}")).json] == markets


async def test_zero_balances_are_omitted_or_listed_by_the_switch(world: World) -> None:
    await world.order(side="sell", orderType="market", amount="1", price=None)
    assert [row["symbol"] for row in (await world.call("GET", "/balance")).json] == ["EUR"]
    await world.admin("POST", "switches", {"zero_balances": "listed"})
    assert [row["symbol"] for row in (await world.call("GET", "/balance")).json] == ["BTC", "EUR"]
    assert (await world.call("GET", "/balance?symbol=BTC")).json == [
        {"symbol": "BTC", "available": "0", "inOrder": "0"}
    ]


async def test_fees_are_told_by_account_and_by_market(world: World) -> None:
    rates = {"taker": "0.0025", "maker": "0.0015"}
    assert (await world.call("GET", "/account")).json == {"fees": {**rates, "volume": "0.00"}}
    assert (await world.call("GET", "/account/fees?market=BTC-EUR")).json == {"tier": "0", "volume": "0.00", **rates}
    await world.admin("POST", "switches", {"account_capabilities": True})
    assert "buy" in (await world.call("GET", "/account")).json["capabilities"]


async def test_the_history_pages_deposits_and_trades(world: World) -> None:
    world.clock.advance(1_000)
    await world.order(price="50000")
    page = (await world.call("GET", "/account/history?maxItems=1")).json
    assert (page["currentPage"], page["totalPages"], page["maxItems"]) == (1, 3, 1)
    (item,) = page["items"]
    assert (item["type"], item["sentCurrency"], item["sentAmount"]) == ("buy", "EUR", "500")
    assert (item["receivedAmount"], item["feesAmount"], item["address"]) == ("0.01", "1.25", None)
    second = (await world.call("GET", "/account/history?maxItems=1&page=2")).json
    assert (second["currentPage"], second["items"][0]["type"]) == (2, "deposit")
    deposits = (await world.call("GET", "/account/history?type=deposit")).json["items"]
    assert {row["receivedAmount"] for row in deposits} == {"10000", "1"}


async def test_two_keys_of_one_account_share_its_orders(world: World) -> None:
    await world.account(OTHER_KEY, ["view"], {}, "alice")
    made = (await world.order(price="50000")).json
    assert (await world.call("GET", "/balance", key=OTHER_KEY)).json == (await world.call("GET", "/balance")).json
    assert made["status"] == "filled"
