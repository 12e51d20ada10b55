"""Messages of a WebSocket and their replies."""

import hmac
from typing import Any

import orjson
import pytest
from aiohttp import WSMsgType, WSServerHandshakeError

from exchange_sim.actions import _BY_ACTION
from exchange_sim.socket_session import MOST_MESSAGES_PER_S
from tests.exchange_sim.hand_clock import NOON_MS
from tests.exchange_sim.wire_client import connect
from tests.exchange_sim.world import KEY, OTHER_KEY, SECRET, Reply, World

NOT_AUTHENTICATED = {"errorCode": 300, "error": "Authentication is required for this endpoint."}
ORDER = {"market": "BTC-EUR", "side": "buy", "orderType": "limit", "operatorId": 7, "amount": "0.01", "price": "40000"}
VALUES = {"market": "BTC-EUR", "interval": "1m", "symbol": "BTC"}


@pytest.mark.parametrize("path", ["/v2", "/v2/", "/v2/ws", "/ws", "/ws/"])
async def test_every_address_that_a_client_uses_opens_a_socket(world: World, path: str) -> None:
    client = await connect(world, path)
    assert (await client.ask(action="getTime"))["response"]["time"] == NOON_MS


async def test_another_address_opens_none(world: World) -> None:
    with pytest.raises(WSServerHandshakeError, match="404"):
        await connect(world, "/stream")


@pytest.mark.parametrize("request_id", [17317539426571916, 2**63 - 1, 0, -5, "17317539426571916", None])
async def test_a_request_id_comes_back_to_the_bit(world: World, request_id: object) -> None:
    client = await connect(world)
    await client.send(action="getTime", requestId=request_id)
    assert (await client.receive())["requestId"] == request_id
    await client.send(action="getBook", market="NOPE-EUR", requestId=request_id)
    assert (await client.receive())["requestId"] == request_id


async def test_a_reply_without_a_request_id_has_none(world: World) -> None:
    client = await connect(world)
    assert (await client.ask(action="getTime")).keys() == {"action", "response"}


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        ("{", {"errorCode": 102, "error": "Invalid JSON."}),
        ("[1]", {"errorCode": 102, "error": "Invalid JSON."}),
        (
            {"action": "getTheMoon"},
            {"action": "unknown", "errorCode": 415, "error": "Invalid action. Please check the request."},
        ),
        (
            {"action": "subscribe", "channels": [{"name": "book", "markets": ["BTC-EUR", "NOPE-EUR"]}]},
            {"action": "subscribe", "errorCode": 205, "error": "market parameter NOPE-EUR is invalid."},
        ),
        (
            {"action": "subscribe", "channels": [{"name": "book", "markets": ["btc-eur"]}]},
            {"action": "subscribe", "errorCode": 205, "error": "market parameter is invalid."},
        ),
        (
            {"action": "subscribe", "channels": [{"name": "depth", "markets": ["BTC-EUR"]}]},
            {"action": "subscribe", "errorCode": 205, "error": "channel.name parameter is invalid."},
        ),
        (
            {"action": "subscribe", "channels": [{"name": "candles", "interval": ["7m"], "markets": ["BTC-EUR"]}]},
            {"action": "subscribe", "errorCode": 205, "error": "interval parameter is invalid."},
        ),
        (
            {"action": "subscribe", "channels": [{"name": "account", "markets": ["BTC-EUR"]}]},
            {"action": "subscribe", **NOT_AUTHENTICATED},
        ),
        (
            {"action": "privateGetBalance", "requestId": 3},
            {"action": "privateGetBalance", "requestId": 3, **NOT_AUTHENTICATED},
        ),
        (
            {"action": "getCandles", "market": "BTC-EUR"},
            {
                "action": "getCandles",
                "market": "BTC-EUR",
                "errorCode": 203,
                "error": "interval parameter is required.",
            },
        ),
    ],
)
async def test_a_bad_message_is_answered_as_recorded_and_the_socket_stays(
    world: World, message: str | dict[str, Any], reply: dict[str, Any]
) -> None:
    client = await connect(world)
    await client.socket.send_str(message if isinstance(message, str) else orjson.dumps(message).decode())
    assert await client.receive() == reply
    assert (await client.ask(action="getTime"))["response"]["time"] == NOON_MS
    assert not client.socket.closed


async def test_the_book_of_a_halted_market_is_refused_as_recorded(world: World) -> None:
    await world.admin("POST", "market", {"market": "BTC-EUR", "status": "halted"})
    client = await connect(world)
    assert await client.ask(action="getBook", requestId=91, market="BTC-EUR") == {
        "action": "getBook",
        "requestId": 91,
        "market": "BTC-EUR",
        "errorCode": 431,
        "error": "getBook is not available for BTC-EUR in state HALTED",
    }


async def test_errors_can_be_events_as_the_documents_draw_them(world: World) -> None:
    await world.admin("POST", "switches", {"socket_errors": "event"})
    client = await connect(world)
    reply = await client.ask(action="getBook", market="NOPE-EUR")
    assert (reply["event"], reply["errorCode"]) == ("error", 205)


@pytest.mark.parametrize("window", ["5000", 5000, None])
async def test_a_window_may_be_text_or_a_number_or_absent(world: World, window: object) -> None:
    client = await connect(world)
    assert await client.authenticate(window=window, requestId=4) == {
        "event": "authenticate",
        "requestId": 4,
        "authenticated": True,
    }


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"signature": "0" * 64}, 309),
        ({"signature": "0" * 63}, 308),
        ({"key": "short"}, 301),
        ({"key": OTHER_KEY}, 305),
        ({"key": None}, 300),
        ({"timestamp": NOON_MS // 1000}, 302),
        ({"timestamp": True}, 302),
        ({"window": 99}, 303),
        ({"window": "60001"}, 303),
    ],
)
async def test_a_wrong_authentication_is_refused_and_opens_nothing(
    world: World, changes: dict[str, Any], code: int
) -> None:
    client = await connect(world)
    reply = await client.authenticate(**changes)
    assert (reply["action"], reply["errorCode"]) == ("authenticate", code)
    assert (await client.ask(action="privateGetBalance"))["errorCode"] == 300


async def test_an_authentication_that_is_too_old_is_refused(world: World) -> None:
    world.clock.offset_ms = 5_001
    client = await connect(world)
    assert (await client.authenticate())["errorCode"] == 304


async def test_authentication_is_for_one_connection(world: World) -> None:
    first, second = await connect(world), await connect(world)
    await first.authenticate()
    assert (await second.ask(action="privateGetBalance"))["errorCode"] == 300


async def test_a_key_without_a_right_is_refused_as_over_rest(world: World) -> None:
    await world.account(OTHER_KEY, ["view"], {}, "bob")
    client = await connect(world)
    await client.authenticate(OTHER_KEY)
    assert (await client.ask(action="privateCreateOrder", **ORDER))["errorCode"] == 310


async def test_every_action_answers_what_rest_answers(world: World) -> None:
    """Reads only: the same parameters by both ways, in a world whose clock stands."""
    await world.order()
    client = await connect(world)
    await client.authenticate()
    compared = 0
    for action, endpoint in _BY_ACTION.items():
        if endpoint.method != "GET":
            continue
        needed = {*endpoint.required, *(["market"] if "{market}" in endpoint.path else [])}
        parameters = {name: VALUES[name] for name in sorted(needed)}
        reply = await client.ask(action=action, **parameters)
        query = {name: each for name, each in parameters.items() if "{market}" not in endpoint.path or name != "market"}
        target = endpoint.path.replace("{market}", "BTC-EUR").removeprefix("/v2")
        target += "?" + "&".join(f"{name}={each}" for name, each in query.items()) if query else ""
        rest = (await world.call("GET", target)).json
        assert reply.get("response", {key: reply.get(key) for key in ("errorCode", "error")}) == rest, action
        compared += "response" in reply
    assert compared >= 15


async def test_an_order_lives_its_whole_life_over_the_socket(world: World) -> None:
    client = await connect(world)
    await client.authenticate()
    created = (await client.ask(action="privateCreateOrder", requestId=1, **ORDER))["response"]
    which = {"market": "BTC-EUR", "orderId": created["orderId"]}
    assert (await client.ask(action="privateGetOrder", **which))["response"]["status"] == "new"
    canceled = await client.ask(action="privateCancelOrder", operatorId=7, **which)
    assert canceled["response"] == {"orderId": created["orderId"], "operatorId": 7}
    assert (await client.ask(action="privateGetOrder", **which))["response"]["status"] == "canceled"


async def test_a_parameter_that_is_null_counts_as_absent(world: World) -> None:
    client = await connect(world)
    await client.authenticate()
    assert (await client.ask(action="privateGetFees", market=None))["response"]["taker"] == "0.0025"


async def test_messages_cost_the_points_that_requests_cost_out_of_the_same_bucket(world: World) -> None:
    def left(reply: Reply) -> int:
        return int(reply.headers["bitvavo-ratelimit-remaining"])

    client = await connect(world)
    before = left(await world.public("/time"))
    await client.ask(action="getTicker24h")
    await client.subscribe("ticker", ("BTC-EUR",))
    assert left(await world.public("/time")) == before - 25 - 1 - 1
    before = left(await world.call("GET", "/account"))
    await client.authenticate()
    await client.ask(action="privateGetBalance")
    assert left(await world.call("GET", "/account")) == before - 1 - 5 - 1


async def test_an_excess_bans_over_the_socket_too(world: World) -> None:
    await world.admin("POST", "limits", {"points_per_minute": 2})
    client = await connect(world)
    codes = [(await client.ask(action="getTime")).get("errorCode") for _ in range(4)]
    assert codes == [None, None, 105, 105]
    assert (await world.public("/time")).code == 105


async def test_a_session_may_send_5000_messages_a_second_and_no_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 7.0)
    await world.admin("POST", "limits", {"points_per_minute": 1_000_000})
    client = await connect(world)
    for _ in range(MOST_MESSAGES_PER_S + 2):
        await client.send(action="getTime")
    codes = [(await client.receive()).get("errorCode") for _ in range(MOST_MESSAGES_PER_S + 2)]
    assert codes == [None] * MOST_MESSAGES_PER_S + [112, 112]


async def test_pings_of_the_client_are_answered_and_the_server_pings(world: World) -> None:
    await world.admin("POST", "switches", {"ping_interval_ms": 50})
    client = await connect(world, autoping=False)
    await client.socket.ping(b"anybody")
    met = [await client.socket.receive() for _ in range(2)]
    assert {(frame.type, bytes(frame.data)) for frame in met} == {
        (WSMsgType.PONG, b"anybody"),
        (WSMsgType.PING, b"ping"),
    }


async def test_the_ledger_notes_every_message_and_no_signature(world: World) -> None:
    client = await connect(world)
    await client.authenticate()
    await client.ask(action="privateCreateOrder", **ORDER)
    rows = (await world.admin("GET", "ledger?kind=requests")).json["requests"]
    messages = [row for row in rows if row["method"] == "WS"]
    assert [(row["path"], row["status"], row["account"]) for row in messages] == [
        ("authenticate", 200, "alice"),
        ("privateCreateOrder", 200, "alice"),
    ]
    assert orjson.loads(messages[1]["body"])["price"] == "40000"
    signature = hmac.new(SECRET.encode(), f"{NOON_MS}GET/v2/websocket".encode(), "sha256").hexdigest()
    assert signature not in orjson.dumps(rows).decode()
    assert KEY not in orjson.dumps(rows).decode()
