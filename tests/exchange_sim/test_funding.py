"""Deposits, withdrawals, staking and reports: answers of the right shape that never move money."""

from typing import Any

import pytest

from tests.exchange_sim.world import KEY, OTHER_KEY, SECRET, World

ADDRESS = "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"
WITHDRAWAL: dict[str, Any] = {"symbol": "BTC", "amount": "0.1", "address": ADDRESS}


async def allow(world: World, **wish: object) -> None:
    rights = ["view", "trade", "withdraw"]
    await world.admin("POST", "accounts", {"key": KEY, "secret": SECRET, "account": "alice", "rights": rights, **wish})


async def test_a_withdrawal_is_answered_and_moves_nothing(world: World) -> None:
    await allow(world)
    answer = await world.call("POST", "/withdrawal", WITHDRAWAL)
    assert (answer.status, answer.json) == (200, {"success": True, "symbol": "BTC", "amount": "0.1"})
    crypto = {"asset": "BTC", "network": "BTC", "address": ADDRESS, "amount": "0.1", "idempotencyKey": "once-only"}
    answer = await world.call("POST", "/crypto/withdrawal", crypto)
    assert answer.status == 201
    assert set(answer.json) == {"id", "asset", "network", "address", "amount", "fee", "createdAt"}
    assert (await world.balances())["BTC"] == ("1", "0")
    assert (await world.call("GET", "/withdrawalHistory?symbol=BTC")).json == []


@pytest.mark.parametrize(
    ("first", "body", "code"),
    [
        ("validation", {}, 203),
        ("validation", WITHDRAWAL | {"amount": "0"}, 406),
        ("validation", WITHDRAWAL | {"address": "nowhere"}, 412),
        ("validation", WITHDRAWAL | {"symbol": "NOPE"}, 205),
        ("validation", WITHDRAWAL, 312),
        ("permission", {}, 312),
        ("permission", WITHDRAWAL | {"amount": "0"}, 312),
        ("permission", WITHDRAWAL, 312),
    ],
)
async def test_a_key_that_may_not_withdraw_learns_it_first_or_last_by_the_switch(
    world: World,
    first: str,
    body: dict[str, Any],
    code: int,
) -> None:
    await world.admin("POST", "switches", {"withdrawal_checks_first": first})
    assert (await world.call("POST", "/withdrawal", body)).code == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"network": "ETH"}, 205),
        ({"idempotencyKey": "four"}, 205),
        ({"idempotencyKey": "k" * 51}, 205),
        ({"amount": 1}, 205),
    ],
)
async def test_a_wrong_crypto_withdrawal_is_refused(world: World, change: dict[str, Any], code: int) -> None:
    await allow(world)
    body = {"asset": "BTC", "network": "BTC", "address": ADDRESS, "amount": "0.1"} | change
    assert (await world.call("POST", "/crypto/withdrawal", body)).code == code


async def test_deposits_have_an_address_and_a_history(world: World) -> None:
    crypto = (await world.call("GET", "/deposit?symbol=BTC")).json
    assert set(crypto) == {"address", "paymentid"}
    assert (await world.call("GET", "/deposit?symbol=BTC")).json == crypto
    assert set((await world.call("GET", "/deposit?symbol=EUR")).json) == {"iban", "bic", "description"}
    rows = (await world.call("GET", "/depositHistory")).json
    assert [(row["symbol"], row["amount"], row["status"]) for row in rows] == [
        ("BTC", "1", "completed"),
        ("EUR", "10000", "completed"),
    ]
    assert len((await world.call("GET", "/depositHistory?symbol=EUR")).json) == 1
    assert len((await world.call("GET", "/depositHistory?limit=1")).json) == 1
    assert (await world.call("GET", "/depositHistory?end=1")).json == []
    assert (await world.call("GET", "/depositHistory?limit=1001")).code == 205


@pytest.mark.parametrize("weight", [5, 1])
async def test_staked_assets_are_shown_at_the_price_of_the_switch(world: World, weight: int) -> None:
    await world.admin("POST", "switches", {"staking_balance_weight": weight})
    await allow(world, staked={"BTC": "0.5"})
    await world.admin("POST", "limits", {"points_per_minute": 100})
    answer = await world.call("GET", "/stakingBalance")
    assert answer.json == [{"symbol": "BTC", "amount": "0.5"}]
    assert answer.headers["bitvavo-ratelimit-remaining"] == str(100 - weight)
    assert (await world.call("GET", "/stakingBalance?symbol=EUR")).json == []


async def test_the_reports_say_the_same_as_book_and_trades(world: World) -> None:
    await world.order(amount="0.01", price="49985")
    await world.order(amount="0.01", price="50000")
    book, report = [(await world.public(path)).json for path in ("/BTC-EUR/book", "/report/BTC-EUR/book?depth=1000")]
    for side, name in (("bids", "BUYI"), ("asks", "SELL")):
        assert [[level["price"], level["quantity"]] for level in report[side]] == book[side]
        assert {level["side"] for level in report[side]} == {name}
    assert [level["numOrders"] for level in report["bids"]] == [1, 1, 1]
    assert (report["assetCode"], report["priceCurrency"], report["venue"]) == ("BTC", "EUR", "VAVO")
    assert report["publicationTimestamp"] == "2026-11-24T12:00:00.000Z"
    trades, rows = [(await world.public(path)).json for path in ("/BTC-EUR/trades", "/report/BTC-EUR/trades")]
    assert [(row["tradeId"], row["price"], row["quantity"]) for row in rows] == [
        (trade["id"], trade["price"], trade["amount"]) for trade in trades
    ]
    await world.admin("POST", "switches", {"report_quantity_name": "size"})
    assert "size" in (await world.public("/report/BTC-EUR/book?depth=1")).json["bids"][0]
    assert len((await world.public("/report/BTC-EUR/book?depth=1")).json["bids"]) == 1


async def test_the_reports_cost_their_points(world: World) -> None:
    left = [
        int((await world.public(f"/report/BTC-EUR/{name}")).headers["bitvavo-ratelimit-remaining"])
        for name in ("book", "trades")
    ]
    assert left == [999, 994]


@pytest.mark.parametrize("code", [310, 311])
async def test_a_key_that_only_views_is_refused_order_reads_by_the_code_of_the_switch(world: World, code: int) -> None:
    await world.admin("POST", "switches", {"order_read_refusal_code": code})
    await world.account(OTHER_KEY, ["view"], {}, "bob")
    assert (await world.call("GET", "/ordersOpen", key=OTHER_KEY)).code == code


async def test_a_delisting_cancels_open_orders(world: World) -> None:
    made = (await world.order()).json
    await world.admin("POST", "asset", {"symbol": "BTC", "depositStatus": "DELISTED", "withdrawalStatus": "DELISTED"})
    found = (await world.call("GET", f"/order?market=BTC-EUR&orderId={made['orderId']}")).json
    assert (found["status"], found["restatementReason"]) == ("canceled", "cancelOnDelisting")
    assert (await world.public("/assets?symbol=BTC")).json["depositStatus"] == "DELISTED"
