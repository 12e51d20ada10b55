"""Every code of the exchange's error table: produced by a named situation, or listed in the guide as never its own."""

import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from exchange_sim.refusal import status_of
from tests.exchange_sim.hand_clock import NOON_MS
from tests.exchange_sim.world import KEY, OTHER_KEY, SECRET, Reply, World

GUIDE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()
Situation = Callable[[World], Awaitable[Reply]]
CLIENT_ID = "0b2f6b1e-8d0a-4c7e-9a4e-2f6f2a4b8c11"
BTC = "/order?market=BTC-EUR"
MARKET = {"orderType": "market", "price": None}
STOP = {"orderType": "stopLoss", "price": None}
TRIGGER = {"triggerAmount": "51000", "triggerType": "price", "triggerReference": "lastTrade"}
WITHDRAWAL = {"symbol": "BTC", "amount": "0.1", "address": "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"}

# HTTP status by code, as documented: https://docs.bitvavo.com/docs/errors/.
STATUS_500, STATUS_503 = (101, 400), (107, 108, 109, 111, 419, 430)
STATUS_429, STATUS_404, STATUS_409 = (103, 104, 105, 112), (240, 415, 510), (431,)
STATUS_403 = (*range(300, 321), 322, 511, 512, 513, 514)
STATUS_400 = (
    *(102, 110, *range(200, 207), *range(210, 221), *range(230, 240)),
    *(*range(401, 415), *range(422, 427), 429, 433, *range(434, 440)),
)
TABLE: Mapping[int, int] = {
    code: status
    for status, codes in (
        (500, STATUS_500),
        (503, STATUS_503),
        (429, STATUS_429),
        (404, STATUS_404),
        (409, STATUS_409),
        (403, STATUS_403),
        (400, STATUS_400),
    )
    for code in codes
}


def order(**fields: Any) -> Situation:  # noqa: ANN401
    return lambda world: world.order(**fields)


def call(method: str, target: str, body: dict[str, Any] | None = None, **options: Any) -> Situation:  # noqa: ANN401
    return lambda world: world.call(method, target, body, **options)


def after_market(situation: Situation, **row: object) -> Situation:
    async def run(world: World) -> Reply:
        await world.admin("POST", "market", {"market": "BTC-EUR", **row})
        return await situation(world)

    return run


def after_account(situation: Situation, **wish: object) -> Situation:
    async def run(world: World) -> Reply:
        await world.admin("POST", "accounts", {"key": KEY, "secret": SECRET, "account": "alice", **wish})
        return await situation(world)

    return run


def after_asset(situation: Situation, **row: object) -> Situation:
    async def run(world: World) -> Reply:
        await world.admin("POST", "asset", {"symbol": "BTC", **row})
        return await situation(world)

    return run


def after_order(situation: Situation, **fields: Any) -> Situation:  # noqa: ANN401
    async def run(world: World) -> Reply:
        assert (await world.order(clientOrderId=CLIENT_ID, **fields)).status == 200
        return await situation(world)

    return run


def raw(key: str = KEY, signature: str = "0" * 64, timestamp: str = str(NOON_MS)) -> Situation:
    headers = {
        "Bitvavo-Access-Key": key,
        "Bitvavo-Access-Signature": signature,
        "Bitvavo-Access-Timestamp": timestamp,
    }
    return lambda world: world._send("GET", "/v2/account", b"", headers)


async def too_many(world: World) -> Reply:
    await world.admin("POST", "limits", {"points_per_minute": 4})
    return await world.call("GET", "/balance")


def put(**fields: object) -> Situation:
    return call("PUT", "/order", {"market": "BTC-EUR", "clientOrderId": CLIENT_ID, "operatorId": 7, **fields})


def withdraw(**fields: object) -> Situation:
    return call("POST", "/withdrawal", WITHDRAWAL | fields)


def may_withdraw(situation: Situation, **wish: object) -> Situation:
    return after_account(situation, rights=["view", "trade", "withdraw"], **wish)


TRADES = ["view", "trade"]
SITUATIONS: Mapping[int, Situation] = {
    102: call("POST", "/order", []),  # type: ignore[arg-type]
    105: too_many,
    200: call("GET", "/balance?Symbol=EUR"),
    201: order(Amount="1"),
    202: order(amountQuote="10"),
    203: order(side=None),
    205: order(side="BUY"),
    206: order(postOnly=True, timeInForce="IOC"),
    210: order(amount="1000000001"),
    211: order(amount="1000000", price="50001"),
    212: order(amount="0"),
    213: order(price="0"),
    215: order(price="0.0000000000000001"),
    216: order(amount="1"),
    217: order(amount="0.0001"),
    219: after_asset(order(), depositStatus="DELISTED"),
    220: after_order(order(clientOrderId=CLIENT_ID)),
    231: after_market(order(timeInForce="IOC"), status="auction"),
    232: after_order(put()),
    234: after_order(put(amount="1"), **MARKET),
    235: after_market(order(), maxOpenOrders=0),
    236: order(amountQuote="10", **MARKET),
    237: order(**STOP),
    238: order(orderType="stopLossLimit"),
    239: after_order(put(amountQuote="10")),
    240: call("GET", f"{BTC}&orderId={CLIENT_ID}"),
    300: lambda world: world.public("/account"),
    301: raw(key="short"),
    302: raw(timestamp="1795521600"),
    303: call("GET", "/account", window="99"),
    304: call("GET", "/account", age_ms=5_001),
    305: raw(key="n" * 64),
    306: after_account(call("GET", "/account"), rights=TRADES, confirmed=False),
    307: after_account(call("GET", "/account"), rights=TRADES, addresses=["192.0.2.1"]),
    308: raw(signature="0" * 63),
    309: raw(),
    310: after_account(order(), rights=["view"]),
    311: after_account(call("GET", "/account"), rights=["trade"]),
    312: withdraw(),
    401: after_asset(call("GET", "/deposit?symbol=BTC"), depositStatus="MAINTENANCE"),
    406: may_withdraw(withdraw(amount="0")),
    407: may_withdraw(withdraw(internal=True)),
    408: may_withdraw(withdraw(amount="1.1")),
    410: after_asset(may_withdraw(withdraw()), withdrawalStatus="MAINTENANCE"),
    412: may_withdraw(withdraw(address="nowhere")),
    422: order(price="40000.001"),
    423: after_market(order(), status="halted"),
    424: after_market(order(), status="cancelOnly"),
    425: after_market(order(**MARKET), status="auction"),
    426: after_market(order(), status="auctionMatching"),
    429: order(amount="0.000000001"),
    431: after_market(lambda world: world.public("/BTC-EUR/book"), status="halted"),
    433: order(codGroupId=7, **MARKET),
    **{code: after_account(order(), rights=TRADES, refusals={"trade": code}) for code in (314, *range(317, 321), 322)},
    **{
        code: may_withdraw(withdraw(), refusals={"withdraw": code})
        for code in (402, 403, 405, 409, 411, 413, 414, *range(434, 440))
    },
}


def listed(title: str) -> set[int]:
    """The codes of one line of the guide's list."""
    line = re.search(rf"^- {title}: (.*)$", GUIDE, re.MULTILINE)
    assert line is not None
    codes: set[int] = set()
    for first, last in re.findall(r"\b(\d{3})(?:–(\d{3}))?", line[1]):
        codes.update(range(int(first), int(last or first) + 1))
    return codes


@pytest.mark.parametrize("code", SITUATIONS)
async def test_a_situation_produces_its_code_with_the_documented_status(world: World, code: int) -> None:
    answer = await SITUATIONS[code](world)
    assert (answer.code, answer.status) == (code, TABLE[code]), answer.body
    assert set(answer.json) == {"errorCode", "error"}
    assert answer.headers["bitvavo-ratelimit-limit"]


@pytest.mark.parametrize("code", TABLE)
async def test_every_code_can_be_injected_with_its_status(world: World, code: int) -> None:
    assert status_of(code) == TABLE[code]
    await world.admin("POST", "faults", {"fault": "error_code", "code": code})
    answer = await world.order()
    assert (answer.code, answer.status) == (code, TABLE[code])


def test_the_guide_lists_exactly_the_codes_that_no_situation_of_rest_produces() -> None:
    by_fault, by_socket, never = (
        listed("by a fault only"),
        listed("over the WebSocket only"),
        listed("legacy or unused"),
    )
    assert not by_fault & by_socket | by_fault & never | by_socket & never
    assert by_fault | by_socket | never == set(TABLE) - set(SITUATIONS)


async def test_an_unknown_path_is_html_without_rate_headers(world: World) -> None:
    answer = await world.public("/nowhere")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert not [name for name in answer.headers if "ratelimit" in name.lower()]
    assert (await world.call("GET", "/report/BTC-EUR/nothing", key=OTHER_KEY)).status == 404
