"""The ledger: everything received, every order, filters, no secret, no way to empty it."""

from hashlib import sha256

import orjson
import pytest

from exchange_sim.admin import Admin
from exchange_sim.faults import Faults
from exchange_sim.rate_limits import RateLimits
from tests.exchange_sim.hand_clock import NOON_MS
from tests.exchange_sim.world import KEY, SECRET, World

FIRST = "0b2f6b1e-8d0a-4c7e-9a4e-2f6f2a4b8c11"
SECOND = "0b2f6b1e-8d0a-4c7e-9a4e-2f6f2a4b8c12"


async def test_a_request_is_noted_with_what_was_sent_and_answered(world: World) -> None:
    await world.order(clientOrderId=FIRST, price="50000")
    await world.call("GET", "/order?market=BTC-EUR", age_ms=9)
    ledger = (await world.admin("GET", "ledger")).json
    placed, read = ledger["requests"]
    assert (placed["received_ms"], placed["method"], placed["path"]) == (NOON_MS, "POST", "/v2/order")
    assert (placed["key"], placed["account"], placed["status"], placed["error_code"]) == ("k" * 8, "alice", 200, None)
    assert (placed["timestamp"], placed["window"]) == (str(NOON_MS), "5000")
    assert placed["body_sha256"] == sha256(placed["body"].encode()).hexdigest()
    assert orjson.loads(placed["body"])["clientOrderId"] == FIRST
    assert (read["path"], read["status"], read["error_code"]) == ("/v2/order?market=BTC-EUR", 400, 203)
    assert read["timestamp"] == str(NOON_MS - 9)


async def test_an_order_is_noted_with_what_became_of_it(world: World) -> None:
    await world.order(clientOrderId=FIRST, price="50000")
    (row,) = (await world.admin("GET", "ledger?kind=orders")).json["orders"]
    assert row.pop("orderId")
    assert row == {
        "created_at": NOON_MS,
        "clientOrderId": FIRST,
        "market": "BTC-EUR",
        "side": "buy",
        "type": "limit",
        "amount": "0.01",
        "amountQuote": None,
        "price": "50000",
        "timeInForce": "GTC",
        "operatorId": 7,
        "account": "alice",
        "status": "filled",
        "filledAmount": "0.01",
        "filledAmountQuote": "500",
        "feePaid": "1.25",
    }


async def test_the_ledger_filters_by_client_order_id_time_and_kind(world: World) -> None:
    await world.order(clientOrderId=FIRST)
    world.clock.advance(1_000)
    await world.order(clientOrderId=SECOND)
    await world.call("GET", f"/order?market=BTC-EUR&clientOrderId={FIRST}")
    of_first = (await world.admin("GET", f"ledger?client_order_id={FIRST}")).json
    assert [row["clientOrderId"] for row in of_first["orders"]] == [FIRST]
    assert [row["method"] for row in of_first["requests"]] == ["POST", "GET"]
    since = (await world.admin("GET", f"ledger?since={NOON_MS + 1_000}")).json
    assert [row["clientOrderId"] for row in since["orders"]] == [SECOND]
    assert len(since["requests"]) == 2
    assert set((await world.admin("GET", "ledger?kind=requests")).json) == {"requests"}


async def test_two_orders_of_one_client_order_id_are_both_there(world: World) -> None:
    for _ in range(2):
        await world.order(clientOrderId=FIRST, price="50000")
    rows = (await world.admin("GET", f"ledger?client_order_id={FIRST}&kind=orders")).json["orders"]
    assert len({row["orderId"] for row in rows}) == 2


async def test_the_ledger_holds_no_key_secret_or_signature(world: World) -> None:
    await world.order()
    text = (await world.admin("GET", "ledger")).body.decode()
    assert KEY not in text
    assert SECRET not in text
    assert "ignature" not in text
    assert SECRET not in repr(world.exchange.keys[KEY])


@pytest.mark.parametrize("method", ["DELETE", "POST", "PUT", "PATCH"])
async def test_nobody_can_empty_or_edit_the_ledger(world: World, method: str) -> None:
    await world.order()
    async with world.session.request(method, f"{world.url}/_sim/ledger", json={}) as answer:
        assert answer.status == 404
    assert len((await world.admin("GET", "ledger?kind=requests")).json["requests"]) == 1


async def test_admin_questions_are_no_requests_of_the_exchange(world: World) -> None:
    await world.admin("GET", "clock")
    assert world.exchange.ledger.requests == []


@pytest.mark.parametrize(
    ("name", "wish", "reason"),
    [
        ("accounts", {"key": "short", "secret": "s"}, "64 characters"),
        ("accounts", {"key": "a" * 64}, "secret is missing"),
        ("accounts", {"key": "a" * 64, "secret": "s", "rights": ["root"]}, "rights are"),
        ("accounts", {"key": "a" * 64, "secret": "s", "balances": {"EUR": "-1"}}, "not a decimal"),
        ("accounts", {"key": "a" * 64, "secret": "s", "balances": ["EUR"]}, "must be an object"),
        ("switches", {"order_read_lag": 1}, "no switch"),
        ("switches", {"order_ids": "random"}, "cannot be"),
        ("limits", {"points_per_minute": 0}, "whole number"),
        ("clock", {"offset_ms": "soon"}, "whole number"),
        ("book", {"market": "NOPE-EUR"}, "no market"),
        ("book", {"market": "BTC-EUR", "bids": [["2", "1"]], "asks": [["1", "1"]]}, "cross"),
        ("book", {"market": "BTC-EUR", "bids": [["2"]]}, "pairs"),
        ("book", {"market": "BTC-EUR", "bids": [["2", "0"]]}, "above zero"),
        ("market", {"market": "BTC-EUR", "status": "open"}, "status"),
        ("market", {"market": "BTC-EUR", "tick": "1"}, "no tick"),
        ("market", {"market": "BTC-EUR", "tickSize": "0"}, "above zero"),
        ("trade", {"market": "BTC-EUR", "side": "up", "amount": "1"}, "buy or sell"),
        ("faults", {"fault": "nonsense"}, "fault must be"),
    ],
)
async def test_a_wrong_wish_is_refused_with_its_reason(
    world: World, name: str, wish: dict[str, object], reason: str
) -> None:
    async with world.session.post(f"{world.url}/_sim/{name}", json=wish) as answer:
        assert answer.status == 400
        assert reason in (await answer.json())["error"]


def test_the_admin_side_answers_on_loopback_only(world: World) -> None:
    assert world.server._administer("GET", "/_sim/clock", b"", "127.0.0.1").status == 200
    assert world.server._administer("GET", "/_sim/clock", b"", "::1").status == 200
    assert world.server._administer("GET", "/_sim/clock", b"", "192.0.2.7").status == 404
    assert Admin(world.exchange, RateLimits(), Faults()).answer("GET", "/_sim/nothing", b"").status == 404
