"""What each answer of the exchange makes of an execution: only the order itself, or a listed code, proves a thing."""

import asyncio
import json
import time
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from bitvavo.budget import RateBudget
from bitvavo.client import TradeClient
from bitvavo.clock import ExchangeClock
from bitvavo.endpoints import TRADE_ENDPOINTS
from bitvavo.errors import DEFINITE_REJECTIONS
from bitvavo.order import MADE_SMALLER, order_from, parse_order
from bitvavo.signing import Credentials
from bitvavo.transport import open_client
from kernel.secret import Secret
from policy.model import ExecutionStatus, Side, Terms
from tests.bitvavo import orders
from tests.bitvavo.raw_server import FAULTS, Fault, RawServer, answering, running
from tests.policy import given as rules
from tests.trade_service import given
from trade_service.authority import Order
from trade_service.exchange import BitvavoExchange, is_ours, settlement_of
from trade_service.execution import NOT_SENT, UNRESOLVED, Settlement, Target

S = ExecutionStatus
CLIENT_ORDER_ID = UUID(orders.CLIENT_ORDER_ID)
TARGET = Target("alice", UUID(int=1), CLIENT_ORDER_ID, given.OPERATOR_ID, given.SIGNED_MS, rules.limit())


def answer(status: int, body: object, kind: str = "application/json") -> Fault:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(raw)}\r\nConnection: close\r\n\r\n"
    return answering(head.encode() + raw)


def told(**changes: object) -> dict[str, Any]:
    return {**orders.LIMIT_ORDER, **changes}


def edge(http: Any) -> BitvavoExchange:  # noqa: ANN401 - the guarded client
    client = TradeClient(http, Credentials(Secret("k" * 64), Secret("s" * 128)))
    return BitvavoExchange(client, RateBudget(lambda: given.SIGNED_MS), ExchangeClock(time.monotonic), 7)


async def create(fault: Fault) -> tuple[Settlement, list[str]]:
    server = RawServer(fault)
    new = given.new_execution(client_order_id=CLIENT_ORDER_ID, window_ms=500)
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as http:
        settlement = await edge(http).create(Order("alice", "BTC-EUR", new))
    return settlement, server.requests


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *(("new", S.SUBMITTED), ("partiallyFilled", S.SUBMITTED), ("awaitingTrigger", S.SUBMITTED)),
        *(("wordOfTomorrow", S.SUBMITTED), ("filled", S.FILLED)),
        *((each, S.CANCELED) for each in ("canceled", "expired", "rejected", "canceledIOC", "canceledPostOnly")),
    ],
)
async def test_an_order_shown_in_answer_always_wins(status: str, expected: S) -> None:
    settlement, requests = await create(answer(200, told(status=status)))
    assert (settlement.status, settlement.from_statuses) == (expected, UNRESOLVED)
    assert settlement.order is not None
    assert (settlement.order.order_id, settlement.order.exchange_status) == (orders.ORDER_ID, status)
    assert [each.fill_id for each in settlement.order.fills] == [orders.FILL["id"]]
    assert requests == ["POST"]


@pytest.mark.parametrize("code", sorted(DEFINITE_REJECTIONS))
async def test_a_code_on_the_closed_list_rejects(code: int) -> None:
    settlement, _ = await create(answer(429, {"errorCode": code, "error": "why"}))
    assert (settlement.status, settlement.from_statuses) == (S.REJECTED, UNRESOLVED)
    assert (settlement.reject_code, settlement.order) == (code, None)


DOUBTS = {
    **{str(code): answer(400, {"errorCode": code, "error": "not placed, believe me"}) for code in (
        *(101, 107, 108, 109, 111, 220, 233, 240, 400, 419, 430, 999, 105, 112),
    )},
    "5xx with a code on the list": answer(503, {"errorCode": 216, "error": ""}),
    "3xx": answer(307, {"errorCode": 216, "error": ""}),
    "HTML": answer(403, b"<html>denied</html>", "text/html"),
    "no JSON": answer(400, b"{"),
    "empty": answer(200, b""),
    "an order under another id": answer(200, told(clientOrderId="00000000-0000-4000-8000-000000000009")),
    "an order of another market": answer(200, told(market="ETH-EUR")),
    "an order without an id": answer(200, {k: v for k, v in orders.LIMIT_ORDER.items() if k != "orderId"}),
    "silence": FAULTS["silence"],
    "garbage": FAULTS["plain_garbage"],
}  # fmt: skip


@pytest.mark.parametrize("doubt", DOUBTS)
async def test_everything_else_is_unknown_and_was_sent_once(doubt: str) -> None:
    settlement, requests = await create(DOUBTS[doubt])
    assert (settlement.status, settlement.from_statuses) == (S.UNKNOWN, given.SENDER)
    assert (settlement.order, settlement.reject_code) == (None, None)
    assert requests == ["POST"]


async def test_an_order_of_which_no_byte_left_was_not_placed() -> None:
    async with running(RawServer(FAULTS["ok"])) as url:
        pass
    async with open_client(url, TRADE_ENDPOINTS) as http:
        settlement = await edge(http).create(Order("alice", "BTC-EUR", given.new_execution()))
    assert (settlement.status, settlement.event) == (S.NOT_PLACED, NOT_SENT)
    assert settlement.from_statuses == given.SENDER


@pytest.mark.parametrize(
    ("terms", "ours"),
    [
        (rules.limit(), True),
        (rules.limit(amount="0.00100", price="50000.0"), True),
        (rules.limit(amount="0.002"), False),
        (rules.limit(price="50001"), False),
        (rules.limit(market="ETH-EUR"), False),
        (rules.limit(Side.SELL), False),
        (rules.market_sell("0.001"), False),
        (rules.market_buy("50"), False),
    ],
)
async def test_an_order_is_adopted_only_if_it_is_the_one_asked_for(terms: Terms, *, ours: bool) -> None:
    found = parse_order(json.dumps(orders.LIMIT_ORDER).encode())
    assert is_ours(found, replace(TARGET, terms=terms)) is ours


def test_a_market_order_is_known_by_its_quote_amount() -> None:
    found = order_from(orders.QUOTE_ORDER)
    assert is_ours(found, replace(TARGET, terms=rules.market_buy("10")))
    assert not is_ours(found, replace(TARGET, terms=rules.market_buy("10.01")))


@pytest.mark.parametrize(
    ("changes", "order_id", "ours"),
    [
        ({"amount": "0.0006", "restatementReason": MADE_SMALLER}, "", True),
        ({"amount": "0", "restatementReason": MADE_SMALLER}, "", True),
        ({"amount": "0.0006"}, "", False),
        ({"amount": "0.0006", "restatementReason": "cancelOnSelfTradePrevention"}, "", False),
        ({"amount": "0.0011", "restatementReason": MADE_SMALLER}, "", False),
        ({"price": "49999", "restatementReason": MADE_SMALLER}, "", False),
        ({"amountQuote": "1", "restatementReason": MADE_SMALLER}, "", False),
        ({"amount": "0.0006"}, orders.ORDER_ID, True),
        ({}, "another", False),
        ({"market": "ETH-EUR"}, orders.ORDER_ID, False),
    ],
)
def test_an_order_may_be_smaller_than_asked_if_the_exchange_made_it_so_or_its_id_is_known(
    changes: dict[str, object], order_id: str, *, ours: bool
) -> None:
    assert is_ours(order_from(told(**changes)), replace(TARGET, order_id=order_id)) is ours


def test_a_budget_may_be_smaller_too() -> None:
    found = order_from({**orders.QUOTE_ORDER, "amountQuote": "6", "restatementReason": MADE_SMALLER})
    assert is_ours(found, replace(TARGET, terms=rules.market_buy("10")))
    assert not is_ours(found, replace(TARGET, terms=rules.market_buy("5")))


@pytest.mark.parametrize(
    ("fault", "answered", "status"),
    [
        (answer(200, orders.LIMIT_ORDER), True, S.SUBMITTED),
        (answer(200, told(status="filled")), True, S.FILLED),
        (answer(200, told(amount="0.9")), False, None),  # foreign; the list, asked next, is no list
        (answer(404, {"errorCode": 216, "error": ""}), False, None),
        (answer(500, {"errorCode": 240, "error": ""}), False, None),
        (answer(200, b"[]"), False, None),
        (FAULTS["plain_garbage"], False, None),
    ],
)
async def test_a_look_up_proves_only_what_it_shows(fault: Fault, status: S | None, *, answered: bool) -> None:
    async with running(RawServer(fault)) as url, open_client(url, TRADE_ENDPOINTS) as http:
        found = await edge(http).look_up(TARGET)
    if status is None:
        assert found.settlement is None
    else:
        assert found.settlement is not None
        assert (found.settlement.status, found.settlement.from_statuses) == (status, given.ANY_OPEN)
    assert found.answered is answered


@pytest.mark.parametrize("listed", [("foreign", "ours"), ("ours", "foreign"), ("foreign",), ()])
async def test_ours_is_found_in_the_list_though_another_order_goes_by_its_client_order_id(
    listed: tuple[str, ...],
) -> None:
    by_name = {"foreign": told(amount="0.9", orderId="theirs"), "ours": told(status="filled")}

    async def one_then_the_list(server: RawServer, writer: asyncio.StreamWriter) -> None:
        first = len(server.requests) == 1
        await answer(200, by_name["foreign"] if first else [by_name[each] for each in listed])(server, writer)

    server = RawServer(one_then_the_list)
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as http:
        found = await edge(http).look_up(TARGET)
    assert len(server.requests) == 2
    assert found.answered
    settled = found.settlement and found.settlement.order and found.settlement.order.order_id
    assert settled == (orders.ORDER_ID if "ours" in listed else None)


async def test_without_points_nothing_is_asked() -> None:
    server = RawServer(answer(200, orders.LIMIT_ORDER))
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as http:
        exchange = edge(http)
        exchange._budget.ban(given.SIGNED_MS + 60_000)
        assert exchange.permit() is None
        assert not (await exchange.look_up(TARGET)).answered
        await exchange.cancel(TARGET)
    assert server.requests == []


async def test_a_body_carries_the_callers_own_digits() -> None:
    http = open_client("http://127.0.0.1:1/v2", TRADE_ENDPOINTS)
    exchange = edge(http)
    terms = replace(rules.limit(), amount=rules.limit(amount="0.00100").amount)
    assert json.loads(exchange.body(terms, CLIENT_ORDER_ID)) == {
        "market": "BTC-EUR",
        "side": "buy",
        "orderType": "limit",
        "operatorId": 7,
        "clientOrderId": orders.CLIENT_ORDER_ID,
        "amount": "0.00100",
        "price": "50000",
        "timeInForce": "GTC",
        "postOnly": False,
        "responseRequired": True,
    }
    sold = json.loads(exchange.body(rules.market_sell(), CLIENT_ORDER_ID))
    assert not {"price", "timeInForce", "postOnly", "amountQuote"} & set(sold)
    assert exchange.timestamp_ms() is None
    await http.aclose()


def test_an_expired_order_keeps_its_fills() -> None:
    settlement = settlement_of(order_from(told(status="expired")), UNRESOLVED, "FOUND")
    assert settlement.status is S.CANCELED
    assert settlement.order is not None
    assert len(settlement.order.fills) == 1
