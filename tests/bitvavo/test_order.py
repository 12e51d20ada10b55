import json
from decimal import Decimal
from typing import Any

import pytest

from bitvavo.order import FINAL_STATUSES, final, order_body, parse_order, parse_orders, parse_own_trades
from bitvavo.strict_json import MalformedError
from tests.bitvavo.orders import CLIENT_ORDER_ID, FILL, LIMIT_ORDER, ORDER_ID, QUOTE_ORDER, changed, written


def test_a_limit_order_is_read_field_by_field() -> None:
    order = parse_order(written(LIMIT_ORDER))
    assert order.order_id == ORDER_ID
    assert order.status == "partiallyFilled"
    assert not order.final
    assert (order.amount, order.amount_remaining) == (Decimal("0.001"), Decimal("0.0006"))
    assert (order.price, order.amount_quote) == (Decimal(50000), None)
    assert (order.filled_amount, order.filled_amount_quote) == (Decimal("0.0004"), Decimal(20))
    assert (order.fee_paid, order.fee_currency) == (Decimal("0.05"), "EUR")
    assert (order.created_ms, order.updated_ms) == (1795500000000, 1795500000123)
    assert (order.operator_id, order.restatement_reason) == (1001, None)
    (fill,) = order.fills
    assert (fill.id, fill.amount, fill.price, fill.taker, fill.settled) == (
        FILL["id"],
        Decimal("0.0004"),
        Decimal(50000),
        True,
        True,
    )


def test_an_order_by_quote_has_no_amount_and_keeps_every_digit() -> None:
    order = parse_order(written(QUOTE_ORDER))
    assert (order.amount, order.amount_remaining, order.price) == (None, None, None)
    assert str(order.filled_amount_quote) == "9.97506229713"
    assert order.final


def test_an_unsettled_fill_has_no_fee_yet_and_a_rebate_is_negative() -> None:
    unsettled = {k: v for k, v in FILL.items() if k not in {"fee", "feeCurrency"}} | {"settled": False}
    rebate = FILL | {"fee": "-0.01"}
    order = parse_order(changed(fills=[unsettled, rebate], feePaid="-0.01"))
    assert [fill.fee for fill in order.fills] == [None, Decimal("-0.01")]
    assert order.fee_paid == Decimal("-0.01")


@pytest.mark.parametrize("operator_id", [0, -(2**63), 2**63 - 1])
def test_any_64_bit_operator_id_is_read(operator_id: int) -> None:
    assert parse_order(changed(operatorId=operator_id)).operator_id == operator_id


@pytest.mark.parametrize("status", ["new", "awaitingTrigger", "partiallyFilled", "somethingNew", "FILLED"])
def test_an_active_or_unknown_status_is_not_final(status: str) -> None:
    assert not final(status)
    assert not parse_order(changed(status=status)).final


@pytest.mark.parametrize("status", sorted(FINAL_STATUSES))
def test_a_final_status_is_final(status: str) -> None:
    assert final(status)


def test_one_malformed_row_spoils_a_list() -> None:
    assert len(parse_orders(written([LIMIT_ORDER, QUOTE_ORDER]))) == 2
    assert parse_orders(b"[]") == ()
    for body in (written([LIMIT_ORDER, {}]), written(LIMIT_ORDER), b"{}", b"null", b""):
        with pytest.raises(MalformedError):
            parse_orders(body)


def test_own_trades_carry_their_order() -> None:
    row = FILL | {
        "orderId": ORDER_ID,
        "clientOrderId": CLIENT_ORDER_ID,
        "operatorId": 1,
        "market": "BTC-EUR",
        "side": "buy",
    }
    (trade,) = parse_own_trades(written([row]))
    assert (trade.order_id, trade.market, trade.side, trade.fill.amount) == (
        ORDER_ID,
        "BTC-EUR",
        "buy",
        Decimal("0.0004"),
    )


COMMON: dict[str, Any] = {
    "market": "BTC-EUR",
    "side": "buy",
    "operator_id": 1001,
    "client_order_id": CLIENT_ORDER_ID,
}


def test_the_body_of_a_limit_order_is_these_bytes() -> None:
    body = order_body(
        **COMMON, order_type="limit", amount="0.00100", price="50000.0", time_in_force="IOC", post_only=False
    )
    assert body == (
        b'{"market":"BTC-EUR","side":"buy","orderType":"limit","operatorId":1001,'
        b'"clientOrderId":"0b2f6b1e-8d0a-4c7e-9a4e-2f6f2a4b8c11","amount":"0.00100","price":"50000.0",'
        b'"timeInForce":"IOC","postOnly":false,"responseRequired":true}'
    )


def test_the_body_of_a_market_order_by_quote_leaves_out_what_it_lacks() -> None:
    assert json.loads(order_body(**COMMON, order_type="market", amount_quote="25.50")) == {
        "market": "BTC-EUR",
        "side": "buy",
        "orderType": "market",
        "operatorId": 1001,
        "clientOrderId": CLIENT_ORDER_ID,
        "amountQuote": "25.50",
        "responseRequired": True,
    }


@pytest.mark.parametrize(
    "fields",
    [
        *({}, {"amount": "1", "amount_quote": "1"}, {"amount": "1e-3"}, {"amount": "-1"}, {"amount": "0"}),
        *({"amount": "0.000"}, {"amount": "1."}, {"amount": ".5"}, {"amount": "01"}, {"amount": "NaN"}, {"amount": ""}),
        *({"amount": "1", "price": "0"}, {"amount": "1", "price": "1,000"}, {"amount": "1", "side": "hold"}),
        *({"amount": "1", "operator_id": 0}, {"amount": "1", "operator_id": 2**63}),
    ],
)
def test_a_body_the_exchange_would_not_take_literally_is_not_made(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        order_body(**{**COMMON, "order_type": "limit", **fields})
