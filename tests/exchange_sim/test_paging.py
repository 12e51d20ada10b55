"""Lists page by page: orders, own trades, public trades and the account's history."""

import pytest

from tests.exchange_sim.world import World

DAY_MS = 86_400_000


async def five(world: World) -> list[str]:
    """Five orders that each filled at once, a second apart; their ids, oldest first."""
    ids = []
    for _ in range(5):
        world.clock.advance(1_000)
        ids.append((await world.order(price="50000", amount="0.001")).json["orderId"])
    return ids


async def test_orders_are_cut_by_their_ids_and_limit_newest_first(world: World) -> None:
    ids = await five(world)

    async def listed(query: str) -> list[str]:
        return [row["orderId"] for row in (await world.call("GET", f"/orders?market=BTC-EUR{query}")).json]

    assert await listed("") == ids[::-1]
    assert await listed("&limit=2") == [ids[4], ids[3]]
    assert await listed(f"&orderIdFrom={ids[1]}&orderIdTo={ids[3]}") == [ids[3], ids[2], ids[1]]
    assert await listed(f"&orderIdTo={ids[3]}&limit=1") == [ids[3]]


@pytest.mark.parametrize("path", ["/trades?market=BTC-EUR&", "/BTC-EUR/trades?"])
async def test_trades_are_cut_by_their_ids_and_limit_newest_first(world: World, path: str) -> None:
    await five(world)
    rows = (await world.call("GET", f"{path}limit=1000")).json
    ids = [row["id"] for row in rows]
    assert len(ids) == 5
    assert [row["timestamp"] for row in rows] == sorted((row["timestamp"] for row in rows), reverse=True)
    page = (await world.call("GET", f"{path}tradeIdFrom={ids[3]}&tradeIdTo={ids[1]}")).json
    assert [row["id"] for row in page] == ids[1:4]
    first, last = rows[3]["timestamp"], rows[1]["timestamp"]
    assert [row["id"] for row in (await world.call("GET", f"{path}start={first}&end={last}")).json] == ids[1:4]


@pytest.mark.parametrize("path", ["/trades?market=BTC-EUR&", "/BTC-EUR/trades?", "/orders?market=BTC-EUR&"])
@pytest.mark.parametrize(
    ("query", "code"),
    [
        (f"start=1&end={1 + DAY_MS}", None),
        (f"start=1&end={2 + DAY_MS}", 205),
        ("start=2&end=1", 205),
        ("limit=0", 205),
        ("limit=1001", 205),
        ("limit=ten", 205),
    ],
)
async def test_windows_and_limits_have_bounds(world: World, path: str, query: str, code: int | None) -> None:
    assert (await world.call("GET", path + query)).code == code


async def test_the_accounts_history_goes_page_by_page(world: World) -> None:
    await five(world)
    first = (await world.call("GET", "/account/history?maxItems=3")).json
    second = (await world.call("GET", "/account/history?maxItems=3&page=2")).json
    assert (first["currentPage"], first["totalPages"], first["maxItems"]) == (1, 3, 3)
    assert [row["type"] for row in first["items"] + second["items"]] == ["buy"] * 5 + ["deposit"]
    assert [row["executedAt"] for row in first["items"]] == [f"2026-11-24T12:00:0{second}.000Z" for second in (5, 4, 3)]
    only = (await world.call("GET", "/account/history?type=deposit")).json["items"]
    assert {row["receivedCurrency"] for row in only} == {"EUR", "BTC"}
    assert (await world.call("GET", "/account/history?maxItems=101")).code == 205
    assert (await world.call("GET", "/account/history?page=9")).json["items"] == []
