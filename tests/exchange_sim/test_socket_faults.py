"""Faults of messages and of what the sockets are told, each counted."""

import asyncio
from typing import Any

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError

from tests.exchange_sim.wire_client import WireClient, connect
from tests.exchange_sim.world import World

ORDER = {"market": "BTC-EUR", "side": "buy", "orderType": "limit", "operatorId": 7, "amount": "0.01", "price": "40000"}
ENDS = (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR)


@pytest.fixture
async def client(world: World) -> WireClient:
    await world.admin("POST", "switches", {"book_batch_ms": 5, "delta_after_subscribe": False})
    opened = await connect(world)
    await opened.authenticate()
    await opened.subscribe("book")
    return opened


async def fault(world: World, name: str, match: dict[str, str], **fields: object) -> None:
    await world.admin("POST", "faults", {"match": match, "fault": name, **fields})


async def injected(world: World) -> dict[str, int]:
    counts: dict[str, int] = (await world.admin("GET", "faults")).json["injected"]
    return counts


async def change_book(world: World, price: str) -> None:
    await world.order(price=price)


async def books(world: World, client: WireClient, times: int = 3) -> list[dict[str, Any]]:
    """The events of so many changes of the book, each in a batch of its own."""
    found = []
    for number in range(times):
        await change_book(world, str(40_000 + number))
        found += await client.rest()
    return [frame for frame in found if frame.get("event") == "book"]


async def test_a_nonce_gap_skips_a_number_and_loses_nothing(world: World, client: WireClient) -> None:
    await fault(world, "nonce_gap", {"channel": "book", "market": "BTC-EUR"})
    nonces = [frame["nonce"] for frame in await books(world, client)]
    assert [nonce - nonces[0] for nonce in nonces] == [0, 1, 2]
    snapshot = (await world.public("/BTC-EUR/book")).json
    assert snapshot["nonce"] == nonces[-1]
    assert await injected(world) == {"nonce_gap": 1}


async def test_a_nonce_gap_is_one_more_than_one(world: World, client: WireClient) -> None:
    (before,) = await books(world, client, 1)
    await fault(world, "nonce_gap", {"market": "BTC-EUR"})
    (after,) = await books(world, client, 1)
    assert after["nonce"] == before["nonce"] + 2


async def test_a_nonce_reset_falls_while_the_socket_stays_open(world: World, client: WireClient) -> None:
    (before,) = await books(world, client, 1)
    await fault(world, "nonce_reset", {"channel": "book"})
    after = await books(world, client, 2)
    assert before["nonce"] > 1
    assert [frame["nonce"] for frame in after] == [1, 2]
    assert (await world.public("/BTC-EUR/book")).json["nonce"] == 2
    assert await injected(world) == {"nonce_reset": 1}


async def test_a_crossed_book_is_told_while_the_snapshot_is_right(world: World, client: WireClient) -> None:
    await fault(world, "crossed_book", {"market": "BTC-EUR"})
    (told,) = await books(world, client, 1)
    assert ["50000.00", "1"] in told["bids"]
    assert (await world.public("/BTC-EUR/book")).json["bids"][0][0] == "49990"
    assert await injected(world) == {"crossed_book": 1}


async def test_a_dropped_frame_leaves_a_hole_in_the_nonces(world: World, client: WireClient) -> None:
    (before,) = await books(world, client, 1)
    await fault(world, "drop_frame", {"channel": "book"})
    told = await books(world, client, 2)
    assert [frame["nonce"] for frame in told] == [before["nonce"] + 2]


async def test_a_duplicated_and_a_late_fill(world: World, client: WireClient) -> None:
    await client.subscribe("account")
    await fault(world, "duplicate_frame", {"channel": "account"}, times=None)
    await world.order(price="40000")
    assert [frame["executionType"] for frame in await client.rest() if frame["event"] == "order"] == ["new", "new"]
    await world.admin("DELETE", "faults")
    await fault(world, "late_frame", {"channel": "account"}, ms=600)
    await world.order(price="40000")
    assert [frame for frame in await client.rest() if frame["event"] == "order"] == []
    assert (await client.event("order"))["executionType"] == "new"
    assert await injected(world) == {"duplicate_frame": 1, "late_frame": 1}


async def test_a_stalled_socket_is_silent_and_then_late(world: World, client: WireClient) -> None:
    await fault(world, "stalled_socket", {"channel": "book"}, ms=700)
    await change_book(world, "40000")
    await asyncio.sleep(0.1)
    await client.send(action="getTime", requestId=9)
    assert await client.rest() == []
    assert (await client.until(lambda frame: frame.get("event") == "book"))["nonce"]
    assert (await client.until(lambda frame: frame.get("requestId") == 9))["response"]


async def test_a_socket_stalled_for_ever_answers_no_ping_and_stays_open(world: World) -> None:
    await world.admin("POST", "switches", {"book_batch_ms": 5, "ping_interval_ms": 20})
    client = await connect(world, autoping=False)
    await client.subscribe("book")
    await fault(world, "stalled_socket", {"channel": "book"})
    await change_book(world, "40000")
    await asyncio.sleep(0.1)
    while True:
        try:
            await asyncio.wait_for(client.socket.receive(), 0.05)
        except TimeoutError:
            break
    await client.socket.ping()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.socket.receive(), 0.2)
    assert not client.socket.closed
    other = await connect(world)
    assert (await other.ask(action="getTime"))["response"]


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_socket_ends_in_the_middle_of_a_stream(world: World, client: WireClient, how: str) -> None:
    await fault(world, "disconnect", {"channel": "book"}, how=how)
    await change_book(world, "40000")
    while (frame := await client.socket.receive()).type is WSMsgType.TEXT:
        pass
    assert frame.type in ENDS


@pytest.mark.parametrize(("name", "orders"), [("drop_request", 0), ("drop_response", 1)])
@pytest.mark.parametrize("how", ["close", "reset", "hang"])
async def test_a_create_without_an_answer_may_have_been_carried_out_or_not(
    world: World, client: WireClient, name: str, orders: int, how: str
) -> None:
    await fault(world, name, {"method": "WS", "path": "privateCreateOrder"}, how=how)
    await client.send(action="privateCreateOrder", **ORDER)
    if how == "hang":
        assert [frame for frame in await client.rest() if "action" in frame] == []
        assert (await client.ask(action="getTime"))["response"]
    else:
        while (frame := await client.socket.receive()).type is WSMsgType.TEXT:
            assert b"response" not in frame.data.encode()
        assert frame.type in ENDS
    ledger = (await world.admin("GET", "ledger")).json
    assert len(ledger["orders"]) == orders
    (note,) = [row for row in ledger["requests"] if row["path"] == "privateCreateOrder"]
    assert (note["status"], note["faults"]) == (None, [name])
    assert await injected(world) == {name: 1}


@pytest.mark.parametrize(("code", "orders"), [(109, 1), (101, 1), (107, 0), (111, 0)])
async def test_an_error_code_is_a_reply_and_some_have_executed(
    world: World, client: WireClient, code: int, orders: int
) -> None:
    await fault(world, "error_code", {"path": "privateCreateOrder"}, code=code)
    reply = await client.ask(action="privateCreateOrder", requestId=4, **ORDER)
    assert (reply["action"], reply["requestId"], reply["errorCode"]) == ("privateCreateOrder", 4, code)
    assert len((await world.admin("GET", "ledger")).json["orders"]) == orders


async def test_a_ban_over_the_socket_holds_for_the_account(world: World, client: WireClient) -> None:
    await fault(world, "ban", {"path": "getTime"}, ms=60_000)
    assert (await client.ask(action="getTime"))["errorCode"] == 105
    assert (await world.call("GET", "/balance")).code == 105


async def test_a_reply_can_be_late_torn_padded_or_another(world: World, client: WireClient) -> None:
    await fault(world, "delay_response", {"path": "getTime"}, ms=400)
    await client.send(action="getTime", requestId=1)
    assert (await client.ask(action="getTime", requestId=2))["requestId"] == 2
    assert (await client.receive())["requestId"] == 1
    await fault(world, "replace_body", {"path": "getTime"}, body='{"action":"getTime"}')
    assert await client.ask(action="getTime", requestId=2) == {"action": "getTime"}
    await fault(world, "oversized_body", {"path": "getTime"}, size_bytes=100_000)
    await client.send(action="getTime")
    assert len((await client.socket.receive()).data) > 100_000
    await fault(world, "truncated_json", {"path": "getTime"})
    await client.send(action="getTime")
    assert not (await client.socket.receive()).data.endswith("}")


async def test_a_fault_of_http_alone_does_not_strike_a_message(world: World, client: WireClient) -> None:
    await fault(world, "html", {}, times=None)
    assert (await client.ask(action="getTime"))["response"]
    assert await injected(world) == {}


async def test_a_handshake_can_be_refused(world: World) -> None:
    await fault(world, "html", {"path": "/v2/"}, status=429)
    with pytest.raises(WSServerHandshakeError, match="429"):
        await connect(world)
    assert (await (await connect(world)).ask(action="getTime"))["response"]


@pytest.mark.parametrize(
    "wish",
    [
        {"fault": "nonce_gap", "match": {"path": "/v2/order"}},
        {"fault": "drop_response", "match": {"channel": "book"}},
        {"fault": "crossed_book", "match": {"channel": "trades"}},
        {"fault": "crossed", "match": {}},
    ],
)
async def test_a_fault_rule_that_could_never_strike_is_refused(world: World, wish: dict[str, Any]) -> None:
    async with world.session.post(f"{world.url}/_sim/faults", json=wish) as answer:
        assert answer.status == 400
