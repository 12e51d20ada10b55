"""Self-trade prevention: an account's orders never trade with each other; the incoming order says what happens."""

from typing import Any

import pytest

from tests.exchange_sim.world import KEY, OTHER_KEY, World

STOPPED = "cancelOnSelfTradePrevention"
SMALLER = "decrementOnSelfTradePrevention"


async def two(world: World, prevention: str, resting: str, incoming: str) -> list[dict[str, Any]]:
    """A resting sell and an incoming buy of the same account, inside the house's spread."""
    await world.admin("POST", "book", {"market": "BTC-EUR", "bids": [], "asks": []})
    await world.account(KEY, ["view", "trade"], {"EUR": "100000", "BTC": "9"}, "alice")
    first = (await world.order(side="sell", price="50000", amount=resting)).json
    second = (await world.order(price="50000", amount=incoming, selfTradePrevention=prevention)).json
    targets = (f"/order?market=BTC-EUR&orderId={each['orderId']}" for each in (first, second))
    return [(await world.call("GET", target)).json for target in targets]


@pytest.mark.parametrize(
    ("prevention", "resting", "incoming", "first", "second"),
    [
        ("cancelOldest", "1", "0.4", ("canceled", "1", STOPPED), ("new", "0.4", None)),
        ("cancelNewest", "1", "0.4", ("new", "1", None), ("canceled", "0.4", STOPPED)),
        ("cancelBoth", "1", "0.4", ("canceled", "1", STOPPED), ("canceled", "0.4", STOPPED)),
        ("decrementAndCancel", "1", "0.4", ("new", "0.6", SMALLER), ("canceled", "0", SMALLER)),
        ("decrementAndCancel", "0.4", "1", ("canceled", "0", SMALLER), ("new", "0.6", SMALLER)),
        ("decrementAndCancel", "0.4", "0.4", ("canceled", "0", SMALLER), ("canceled", "0", SMALLER)),
    ],
)
async def test_the_incoming_order_decides(
    world: World,
    prevention: str,
    resting: str,
    incoming: str,
    first: tuple[str, str, str | None],
    second: tuple[str, str, str | None],
) -> None:
    found = await two(world, prevention, resting, incoming)
    seen = [(each["status"], each["amountRemaining"], each.get("restatementReason")) for each in found]
    assert seen == [first, second]
    assert all(each["fills"] == [] for each in found)
    money = (await world.admin("GET", "money")).json["EUR"]
    assert money["fees"] == "0"


async def test_a_smaller_order_holds_less(world: World) -> None:
    found = await two(world, "decrementAndCancel", "0.4", "1")
    assert (found[1]["amount"], found[1]["onHold"]) == ("0.6", "30075")


async def test_others_behind_the_own_order_are_reached_when_it_is_canceled(world: World) -> None:
    await world.account(OTHER_KEY, ["view", "trade"], {"BTC": "9"}, "bob")
    await world.admin("POST", "book", {"market": "BTC-EUR", "bids": [], "asks": []})
    own = (await world.order(side="sell", price="50000", amount="0.1")).json
    await world.order(side="sell", price="50000", amount="0.1", key=OTHER_KEY)
    made = (await world.order(price="50000", amount="0.1", selfTradePrevention="cancelOldest")).json
    assert (made["status"], made["filledAmount"]) == ("filled", "0.1")
    found = (await world.call("GET", f"/order?market=BTC-EUR&orderId={own['orderId']}")).json
    assert (found["status"], found["restatementReason"]) == ("canceled", STOPPED)


async def test_a_fill_or_kill_order_counts_only_what_others_offer(world: World) -> None:
    await world.admin("POST", "book", {"market": "BTC-EUR", "bids": [], "asks": [["50010", "1"]]})
    own = (await world.order(side="sell", price="50000", amount="0.1")).json
    made = (await world.order(price="50000", amount="0.1", timeInForce="FOK")).json
    assert (made["status"], made["filledAmount"]) == ("expired", "0")
    assert (await world.call("GET", f"/order?market=BTC-EUR&orderId={own['orderId']}")).json["status"] == "new"


async def test_two_accounts_trade_with_each_other(world: World) -> None:
    await world.account(OTHER_KEY, ["view", "trade"], {"BTC": "9"}, "bob")
    await world.admin("POST", "book", {"market": "BTC-EUR", "bids": [], "asks": []})
    await world.order(side="sell", price="50000", amount="0.1", key=OTHER_KEY)
    assert (await world.order(price="50000", amount="0.1")).json["status"] == "filled"


async def test_a_budget_is_decremented_too(world: World) -> None:
    await world.admin("POST", "book", {"market": "BTC-EUR", "bids": [], "asks": [["50010", "1"]]})
    await world.order(side="sell", price="50000", amount="0.001")
    made = (await world.order(orderType="market", amountQuote="100", amount=None, price=None)).json
    assert (made["status"], made["amountQuote"], made["amountQuoteRemaining"]) == ("filled", "49.87", "0")
    assert [fill["price"] for fill in made["fills"]] == ["50010"]
    assert (await world.balances())["EUR"] == ("9950.13", "0")


async def test_a_market_order_stops_at_the_protections_price(world: World) -> None:
    asks = [["50000", "0.01"], ["55000", "0.01"], ["55001", "1"]]
    await world.admin("POST", "book", {"market": "BTC-EUR", "bids": [], "asks": asks})
    made = (await world.order(orderType="market", price=None, amount="0.05")).json
    assert (made["status"], made["filledAmount"]) == ("canceled", "0.02")
    assert made["restatementReason"] == "cancelOnExecutionPriceProtection"
    await world.admin("POST", "switches", {"market_protection_per_cent": None})
    assert (await world.order(orderType="market", price=None, amount="0.05")).json["status"] == "filled"
