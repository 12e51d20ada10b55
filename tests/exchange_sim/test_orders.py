"""What becomes of an order: fills, rests, refusals by code, cancels."""

from typing import Any

import pytest

from exchange_sim.rules import default_row
from tests.exchange_sim.world import KEY, OTHER_KEY, World

CLIENT_ID = "0b2f6b1e-8d0a-4c7e-9a4e-2f6f2a4b8c11"
MARKET_BUY: dict[str, Any] = {"orderType": "market", "price": None}


async def test_a_resting_order_holds_money_and_its_cancel_gives_it_back(world: World) -> None:
    made = (await world.order(clientOrderId=CLIENT_ID)).json
    assert (made["status"], made["onHold"], made["amountRemaining"]) == ("new", "401", "0.01")
    assert (await world.balances())["EUR"] == ("9599", "401")
    canceled = await world.call("DELETE", f"/order?market=BTC-EUR&operatorId=7&clientOrderId={CLIENT_ID}")
    assert canceled.json == {"orderId": made["orderId"], "clientOrderId": CLIENT_ID, "operatorId": 7}
    assert (await world.balances())["EUR"] == ("10000", "0")
    again = await world.call("DELETE", f"/order?market=BTC-EUR&operatorId=7&clientOrderId={CLIENT_ID}")
    assert (again.status, again.code) == (404, 240)


@pytest.mark.parametrize(
    ("fields", "status", "filled", "resting"),
    [
        ({"price": "50000", "amount": "0.1"}, "filled", "0.1", False),
        ({"price": "50000", "amount": "1.5"}, "partiallyFilled", "1", True),
        ({"price": "50000", "amount": "1.5", "timeInForce": "IOC"}, "expired", "1", False),
        ({"price": "40000", "amount": "0.1", "timeInForce": "IOC"}, "expired", "0", False),
        ({"price": "50000", "amount": "1.5", "timeInForce": "FOK"}, "expired", "0", False),
        ({"price": "50010", "amount": "1.5", "timeInForce": "FOK"}, "filled", "1.5", False),
        ({"price": "50000", "amount": "0.1", "postOnly": True}, "canceled", "0", False),
        ({"price": "49999", "amount": "0.1", "postOnly": True}, "new", "0", True),
        ({"amount": "1.5", **MARKET_BUY}, "filled", "1.5", False),
        ({"amount": "3.5", **MARKET_BUY}, "expired", "3", False),
        ({"amount": "0.5", "side": "sell", **MARKET_BUY}, "filled", "0.5", False),
    ],
)
async def test_an_order_ends_as_its_type_says(
    world: World,
    fields: dict[str, Any],
    status: str,
    filled: str,
    resting: bool,  # noqa: FBT001  a column of the table
) -> None:
    await world.account(KEY, ["view", "trade"], {"EUR": "1000000"}, "alice")
    made = await world.order(**fields)
    assert made.status == 200
    assert (made.json["status"], made.json["filledAmount"]) == (status, filled)
    assert len((await world.call("GET", "/ordersOpen?market=BTC-EUR")).json) == resting
    assert made.json.get("restatementReason") == ("cancelPostOnly" if status == "canceled" else None)
    money = (await world.admin("GET", "money")).json
    assert (float(money["EUR"]["held"]) > 0) is resting


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"market": None}, 203),
        ({"market": "NOPE-EUR"}, 205),
        ({"market": "btc-eur"}, 205),
        ({"side": None}, 203),
        ({"side": "BUY"}, 205),
        ({"orderType": "stopLoss"}, 202),
        ({"orderType": "stopLoss", "price": None}, 237),
        ({"orderType": "takeProfitLimit", "triggerAmount": "1"}, 238),
        ({"orderType": "stop"}, 205),
        ({"codGroupId": 7, **MARKET_BUY}, 433),
        ({"codGroupId": 1001}, 205),
        ({"postOnly": True, "timeInForce": "IOC"}, 206),
        ({"operatorId": None}, 203),
        ({"operatorId": "7"}, 205),
        ({"operatorId": 0}, 205),
        ({"operatorId": 2**63}, 205),
        ({"clientOrderId": "IV-0123456789abcdef0123"}, 205),
        ({"amount": None}, 203),
        ({"price": None}, 203),
        ({"amount": 0.01}, 205),
        ({"amount": "1e-2"}, 205),
        ({"amount": "-1"}, 205),
        ({"amount": "0"}, 212),
        ({"amount": "0.000000001"}, 429),
        ({"amount": "1000000001"}, 210),
        ({"price": "0"}, 213),
        ({"price": "40000.001"}, 422),
        ({"price": "0.0000000000000001"}, 215),
        ({"amount": "1000000", "price": "50001"}, 211),
        ({"amount": "0.0001"}, 217),
        ({"amount": "1"}, 216),
        ({"side": "sell", "amount": "1.1"}, 216),
        ({"timeInForce": "GTD"}, 205),
        ({"postOnly": "true"}, 205),
        ({"amountQuote": "10"}, 202),
        ({"amountQuote": "10", **MARKET_BUY}, 236),
        ({"amount": None, **MARKET_BUY}, 203),
        ({"amount": None, "amountQuote": "10.001", **MARKET_BUY}, 429),
        ({"amount": None, "amountQuote": "4.99", **MARKET_BUY}, 217),
        ({"amount": None, "amountQuote": "10000.01", **MARKET_BUY}, 216),
        ({"amount": "0.2", **MARKET_BUY}, 216),
        ({"orderType": "market"}, 202),
        ({"timeInForce": "IOC", **MARKET_BUY}, 202),
        ({"triggerAmount": "1"}, 202),
        ({"disableMarketProtection": True}, 205),
        ({"Amount": "1"}, 201),
    ],
)
async def test_a_wrong_order_is_refused_by_its_code_and_leaves_nothing(
    world: World,
    fields: dict[str, Any],
    code: int,
) -> None:
    refused = await world.order(**fields)
    assert (refused.status, refused.code) == (400, code), refused.body
    assert world.exchange.ledger.orders == []
    assert (await world.balances()) == {"BTC": ("1", "0"), "EUR": ("10000", "0")}


async def test_a_missing_operator_id_has_the_code_of_the_switch(world: World) -> None:
    await world.admin("POST", "switches", {"operator_id_missing_code": 205})
    assert (await world.order(operatorId=None)).code == 205
    made = (await world.order()).json
    assert (await world.call("DELETE", f"/order?market=BTC-EUR&orderId={made['orderId']}")).code == 205


async def test_a_body_that_is_no_json_object_is_102(world: World) -> None:
    assert (await world.call("POST", "/order", [])).code == 102  # type: ignore[arg-type]


async def test_a_client_order_id_is_unique_among_open_orders_only(world: World) -> None:
    first = await world.order(clientOrderId=CLIENT_ID)
    assert (await world.order(clientOrderId=CLIENT_ID)).code == 220
    await world.call("DELETE", f"/order?market=BTC-EUR&operatorId=7&orderId={first.json['orderId']}")
    second = await world.order(clientOrderId=CLIENT_ID)
    assert second.status == 200
    assert second.json["orderId"] != first.json["orderId"]
    await world.call("DELETE", f"/order?market=BTC-EUR&operatorId=7&orderId={second.json['orderId']}")
    await world.admin("POST", "switches", {"closed_client_order_id": "refused"})
    assert (await world.order(clientOrderId=CLIENT_ID)).code == 220


async def test_the_client_order_id_wins_over_the_order_id(world: World) -> None:
    by_client = (await world.order(clientOrderId=CLIENT_ID)).json
    other = (await world.order()).json
    found = await world.call("GET", f"/order?market=BTC-EUR&orderId={other['orderId']}&clientOrderId={CLIENT_ID}")
    assert found.json["orderId"] == by_client["orderId"]
    assert (await world.call("GET", "/order?market=BTC-EUR")).code == 203


async def test_the_same_order_id_may_exist_in_two_markets(world: World) -> None:
    await world.admin("POST", "market", {"market": "ETH-EUR"})
    first, second = (await world.order()).json, (await world.order(market="ETH-EUR", price="100", amount="1")).json
    assert first["orderId"] == second["orderId"]
    await world.admin("POST", "switches", {"order_ids": "global"})
    first, second = (await world.order()).json, (await world.order(market="ETH-EUR", price="100", amount="1")).json
    assert first["orderId"] != second["orderId"]


async def test_another_accounts_order_is_not_found(world: World) -> None:
    made = (await world.order(clientOrderId=CLIENT_ID)).json
    await world.account(OTHER_KEY, ["view", "trade"], {}, "bob")
    for method, extra in (("GET", ""), ("DELETE", "&operatorId=7")):
        target = f"/order?market=BTC-EUR&orderId={made['orderId']}{extra}"
        assert (await world.call(method, target, key=OTHER_KEY)).code == 240


async def test_open_orders_are_capped_per_market(world: World) -> None:
    await world.admin("POST", "market", {"market": "BTC-EUR", "maxOpenOrders": 2})
    assert [(await world.order()).code for _ in range(3)] == [None, None, 235]


@pytest.mark.parametrize(
    ("status", "limit", "market", "ioc", "cancel"),
    [
        ("halted", 423, 423, 423, 423),
        ("cancelOnly", 424, 424, 424, None),
        ("auction", None, 425, 231, None),
        ("auctionMatching", 426, 426, 426, None),
    ],
)
async def test_a_market_that_is_not_trading_refuses_by_its_state(
    world: World,
    status: str,
    limit: int | None,
    market: int | None,
    ioc: int | None,
    cancel: int | None,
) -> None:
    made = (await world.order()).json
    await world.admin("POST", "market", {"market": "BTC-EUR", "status": status})
    assert (await world.order()).code == limit
    assert (await world.order(**MARKET_BUY)).code == market
    assert (await world.order(timeInForce="IOC")).code == ioc
    target = f"/order?market=BTC-EUR&operatorId=7&orderId={made['orderId']}"
    assert (await world.call("DELETE", target)).code == cancel


async def test_an_auction_collects_crossing_orders_and_the_end_of_it_matches_them(world: World) -> None:
    await world.admin("POST", "market", {"market": "BTC-EUR", "status": "auction"})
    made = (await world.order(price="50010", amount="0.1")).json
    assert made["status"] == "new"
    await world.admin("POST", "market", {"market": "BTC-EUR", "status": "trading"})
    found = (await world.call("GET", f"/order?market=BTC-EUR&orderId={made['orderId']}")).json
    assert (found["status"], found["fills"][0]["price"]) == ("filled", "50000")


async def test_a_short_answer_is_given_when_no_response_is_required(world: World) -> None:
    made = (await world.order(clientOrderId=CLIENT_ID, responseRequired=False)).json
    assert set(made) == {"orderId", "clientOrderId", "market", "created", "createdNs", "updated", "updatedNs"}


async def test_unknown_parameters_are_refused_or_ignored_by_the_switch(world: World) -> None:
    assert (await world.call("GET", "/ordersOpen?Market=BTC-EUR")).code == 200
    await world.admin("POST", "switches", {"unknown_parameters": "ignored"})
    assert (await world.order(note="mine")).status == 200


async def test_house_levels_come_back_or_are_eaten_by_the_switch(world: World) -> None:
    for _ in range(3):
        assert (await world.order(price="50000", amount="0.05")).json["status"] == "filled"
    assert (await world.public("/BTC-EUR/book?depth=1")).json["asks"] == [["50000", "1"]]
    await world.admin("POST", "switches", {"house_refills": False})
    assert (await world.order(price="50000", amount="0.04")).json["status"] == "filled"
    assert (await world.public("/BTC-EUR/book?depth=1")).json["asks"] == [["50000", "0.96"]]


async def test_a_house_level_waits_while_it_would_cross_a_resting_order(world: World) -> None:
    made = (await world.order(price="50000", amount="0.1")).json
    await world.admin("POST", "book", {"market": "BTC-EUR", "bids": [], "asks": [["50000", "0.01"]]})
    made = (await world.order(price="50000", amount="0.03")).json
    assert (made["status"], made["filledAmount"]) == ("partiallyFilled", "0.01")
    assert (await world.public("/BTC-EUR/book")).json["asks"] == []
    await world.call("DELETE", f"/order?market=BTC-EUR&operatorId=7&orderId={made['orderId']}")
    assert (await world.public("/BTC-EUR/book")).json["asks"] == [["50000", "0.01"]]


async def test_a_new_book_that_crosses_a_resting_order_fills_it(world: World) -> None:
    made = (await world.order(price="49995", amount="0.02")).json
    await world.admin("POST", "book", {"market": "BTC-EUR", "bids": [], "asks": [["49000", "0.01"]]})
    found = (await world.call("GET", f"/order?market=BTC-EUR&orderId={made['orderId']}")).json
    assert (found["status"], found["filledAmount"], found["fills"][0]["price"]) == ("partiallyFilled", "0.01", "49995")


async def test_a_row_of_markets_reads_back_as_it_was_set(world: World) -> None:
    row = default_row("ETH-EUR") | {"tickSize": "0.1", "feeCategory": "B", "maxOpenOrders": None}
    assert (await world.admin("POST", "market", row)).json == row
    assert (await world.public("/markets?market=ETH-EUR")).json == row
