"""Every fault does what it says, to the requests it is for, as often as it says, and is counted."""

import asyncio
from typing import Any

import orjson
import pytest
from aiohttp import ClientError, ClientOSError, ClientPayloadError, ServerDisconnectedError

from exchange_sim.faults import EXECUTES, Faults
from tests.exchange_sim.world import World

PLACING = {"method": "POST", "path": "/v2/order"}
# Fault, HTTP status seen, error code seen, orders made.
ANSWERED: list[tuple[dict[str, Any], int, int | None, int]] = [
    ({"fault": "error_5xx_before", "status": 502}, 502, None, 0),
    ({"fault": "error_5xx_after_executing", "status": 504}, 504, None, 1),
    ({"fault": "error_code", "code": 101}, 500, 101, 1),
    ({"fault": "error_code", "code": 101, "executes": False}, 500, 101, 0),
    ({"fault": "error_code", "code": 107}, 503, 107, 0),
    ({"fault": "error_code", "code": 108}, 503, 108, 0),
    ({"fault": "error_code", "code": 108, "executes": True}, 503, 108, 1),
    ({"fault": "error_code", "code": 109}, 503, 109, 1),
    ({"fault": "error_code", "code": 111}, 503, 111, 0),
    ({"fault": "html"}, 403, None, 0),
    ({"fault": "html", "status": 200, "executes": True}, 200, None, 1),
    ({"fault": "ban"}, 429, 105, 0),
    ({"fault": "redirect"}, 307, None, 0),
    ({"fault": "redirect", "status": 308, "executes": True}, 308, None, 1),
    ({"fault": "truncated_json"}, 200, None, 1),
    ({"fault": "replace_body", "body": '{"orderId":7}'}, 200, None, 1),
    ({"fault": "replace_body", "body": "", "status": 429, "headers": {"Retry-After": "9"}}, 429, None, 1),
    ({"fault": "drip_body", "ms": 20}, 200, None, 1),
    ({"fault": "execute_twice"}, 200, None, 2),
    ({"fault": "delay_response", "ms": 1}, 200, None, 1),
    ({"fault": "delay_request", "ms": 1}, 200, None, 1),
]


async def inject(world: World, **wish: object) -> None:
    await world.admin("POST", "faults", {"match": PLACING} | wish)


async def received(world: World) -> None:
    async with asyncio.timeout(5):
        while not world.exchange.ledger.requests:  # noqa: ASYNC110  the simulator has no event for its tests
            await asyncio.sleep(0.001)


async def injected(world: World) -> dict[str, int]:
    found: dict[str, int] = (await world.admin("GET", "faults")).json["injected"]
    return found


@pytest.mark.parametrize(("wish", "status", "code", "orders"), ANSWERED)
async def test_a_fault_that_answers(
    world: World, wish: dict[str, Any], status: int, code: int | None, orders: int
) -> None:
    await inject(world, **wish)
    answered = await world.order()
    assert answered.status == status
    if code is not None:
        assert answered.code == code
    assert len(world.exchange.ledger.orders) == orders
    assert await injected(world) == {wish["fault"]: 1}
    assert world.exchange.ledger.requests[-1].faults == [wish["fault"]]
    if wish["fault"] != "ban":
        assert (await world.order()).status == 200


def ending(fault: str, how: str) -> type[ClientError]:
    if fault == "reset_mid_body":
        return ClientPayloadError
    return ClientOSError if how == "reset" else ServerDisconnectedError


@pytest.mark.parametrize(("fault", "orders"), [("drop_request", 0), ("drop_response", 1), ("reset_mid_body", 1)])
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_fault_that_ends_the_connection(world: World, fault: str, orders: int, how: str) -> None:
    await inject(world, fault=fault, how=how)
    with pytest.raises(ending(fault, how)):
        await world.order()
    assert len(world.exchange.ledger.orders) == orders
    (request,) = (await world.admin("GET", "ledger?kind=requests")).json["requests"]
    assert (request["status"], request["faults"]) == (None, [fault])
    assert await injected(world) == {fault: 1}
    assert (await world.order()).status == 200


async def test_bodies_that_are_cut_or_padded_are_what_they_say(world: World) -> None:
    await inject(world, fault="truncated_json")
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads((await world.order()).body)
    await inject(world, fault="oversized_body", size_bytes=300_000)
    big = await world.order()
    assert len(big.body) > 300_000
    assert big.json["status"] == "new"
    await inject(world, fault="html")
    html = await world.order()
    assert html.headers["Content-Type"].startswith("text/html")
    assert "bitvavo-ratelimit-limit" not in html.headers


async def test_a_request_delayed_past_its_window_is_not_executed(world: World) -> None:
    """The clock moves while the request waits: its age is judged when the wait is over."""
    await inject(world, fault="delay_request", ms=200)
    waiting = asyncio.create_task(world.order())
    await received(world)
    world.clock.advance(5_001)
    assert (await waiting).code == 304
    assert world.exchange.ledger.orders == []


async def test_a_read_lag_hides_orders_from_all_reads(world: World) -> None:
    made = (await world.order()).json
    lagging = ("/order", "/orders", "/ordersOpen", "/trades")
    for path in lagging:
        await world.admin("POST", "faults", {"match": {"path": f"/v2{path}"}, "fault": "read_lag", "ms": 60_000})
    assert (await world.call("GET", f"/order?market=BTC-EUR&orderId={made['orderId']}")).code == 240
    for path in lagging[1:]:
        assert (await world.call("GET", f"{path}?market=BTC-EUR")).json == []
    assert (await world.call("GET", "/ordersOpen?market=BTC-EUR")).json == [made]


async def test_a_ban_may_have_a_length_of_its_own(world: World) -> None:
    await inject(world, fault="ban", ms=1_500)
    assert (await world.order()).code == 105
    world.clock.advance(1_499)
    assert (await world.order()).code == 105
    world.clock.advance(1)
    assert (await world.order()).status == 200


async def test_a_fault_is_for_those_it_matches(world: World) -> None:
    await world.admin("POST", "faults", {"match": {"contains": "ETH-EUR"}, "fault": "html", "times": 5})
    assert (await world.order()).status == 200
    assert (await world.call("GET", "/orders?market=ETH-EUR")).status == 403
    assert (await world.order(market="ETH-EUR")).status == 403
    assert await injected(world) == {"html": 2}


async def test_removed_faults_stop_and_stay_counted(world: World) -> None:
    await inject(world, fault="html", times=9)
    await world.order()
    assert (await world.admin("DELETE", "faults")).json == {"removed": 1}
    assert (await world.order()).status == 200
    assert await injected(world) == {"html": 1}


async def test_faults_of_one_request_add_up(world: World) -> None:
    await inject(world, fault="delay_response", ms=1)
    await inject(world, fault="error_code", code=109)
    assert (await world.order()).code == 109
    assert await injected(world) == {"delay_response": 1, "error_code": 1}


def strikes(seed: int) -> list[bool]:
    faults = Faults()
    faults.add({"fault": "html", "probability": 0.3, "seed": seed})
    return [bool(faults.meeting("GET", "/v2/time", b"", "")) for _ in range(200)]


def test_a_probability_is_repeatable_by_its_seed() -> None:
    assert strikes(1) == strikes(1)
    assert strikes(1) != strikes(2)
    assert 30 <= sum(strikes(1)) <= 90


@pytest.mark.parametrize(
    "wish",
    [
        {"fault": "nonsense"},
        {"fault": "html", "tmies": 1},
        {"fault": "html", "times": 0},
        {"fault": "html", "probability": 1.5},
        {"fault": "html", "match": {"methd": "POST"}},
        {"fault": "delay_request", "ms": -1},
        {"fault": "drop_response", "how": "gently"},
    ],
)
def test_a_fault_that_cannot_be_is_refused(wish: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Faults().add(wish)


def test_every_fault_is_tested() -> None:
    tested = {wish["fault"] for wish in (row[0] for row in ANSWERED)}
    elsewhere = {"drop_request", "drop_response", "reset_mid_body", "read_lag", "oversized_body", "garbage"}
    assert tested | elsewhere | {"crossed_answer", "older_nonce"} == set(EXECUTES)


async def test_a_replaced_answer_may_have_headers(world: World) -> None:
    await inject(world, fault="replace_body", status=429, headers={"Retry-After": "9"})
    assert (await world.order()).headers["Retry-After"] == "9"


async def test_a_dripping_answer_is_whole_and_late(world: World) -> None:
    await inject(world, fault="drip_body", ms=200)
    began = asyncio.get_running_loop().time()
    assert (await world.order()).json["status"] == "new"
    assert asyncio.get_running_loop().time() - began >= 0.2


async def test_garbage_is_no_answer_although_the_order_is_made(world: World) -> None:
    await inject(world, fault="garbage")
    with pytest.raises(ClientError):
        await world.order()
    assert len(world.exchange.ledger.orders) == 1


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_body_may_break_off_either_way(world: World, how: str) -> None:
    await inject(world, fault="reset_mid_body", how=how)
    with pytest.raises(ClientError):
        await world.order()
    assert len(world.exchange.ledger.orders) == 1


async def test_an_exchange_that_executes_twice_makes_two_orders_of_one_client_order_id(world: World) -> None:
    client_id = "0b2f6b1e-8d0a-4c7e-9a4e-2f6f2a4b8c11"
    await inject(world, fault="execute_twice")
    await world.order(orderType="market", price=None, clientOrderId=client_id)
    found = (await world.admin("GET", f"ledger?kind=orders&client_order_id={client_id}")).json["orders"]
    assert len({order["orderId"] for order in found}) == 2


async def test_a_book_can_be_told_crossed_or_with_an_older_nonce(world: World) -> None:
    true = (await world.public("/BTC-EUR/book")).json
    await world.admin("POST", "faults", {"match": {"path": "/v2/BTC-EUR/book"}, "fault": "crossed_answer"})
    crossed = (await world.public("/BTC-EUR/book")).json
    assert (crossed["bids"], crossed["asks"], crossed["nonce"]) == (true["asks"], true["bids"], true["nonce"])
    await world.admin("POST", "faults", {"match": {"path": "/v2/BTC-EUR/book"}, "fault": "older_nonce"})
    assert (await world.public("/BTC-EUR/book")).json["nonce"] == true["nonce"] - 1_000
    await world.admin("POST", "faults", {"match": {"path": "/v2/ticker/book"}, "fault": "crossed_answer"})
    ticker = (await world.public("/ticker/book?market=BTC-EUR")).json
    assert float(ticker["bid"]) > float(ticker["ask"])
    assert (await world.public("/BTC-EUR/book")).json["nonce"] == true["nonce"]
    assert await injected(world) == {"crossed_answer": 2, "older_nonce": 1}
