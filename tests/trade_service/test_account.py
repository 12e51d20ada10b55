"""Which orders of the account our rows explain: by client order id and operator id, or by the order id once known."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from policy.model import Side
from tests.policy import given as rules
from trade_service.account import AccountOrder, Comparison, KnownOrder, Shape, shape_of

OURS, THEIRS = 7, 8
CLIENT_ID = UUID("0b2f6b1e-8d0a-4c7e-9a4e-2f6f2a4b8c11")
MADE_AT = datetime(2026, 9, 24, 12, tzinfo=UTC)
SHAPE = shape_of(rules.limit())
ORDER = AccountOrder("o1", str(CLIENT_ID), OURS, SHAPE, MADE_AT)
SMALLER = replace(ORDER, made_smaller=True)
UNKNOWN_YET = KnownOrder(CLIENT_ID, OURS, None, SHAPE)
KNOWN = replace(UNKNOWN_YET, order_id="o1")


def compared(order: AccountOrder, row: KnownOrder | None) -> str:
    comparison = Comparison(OURS)
    comparison.add([order], {} if row is None else {row.client_order_id: row})
    assert comparison.orders == 1
    if comparison.missing:
        return "missing"
    return "foreign" if comparison.foreign else "explained"


@pytest.mark.parametrize(
    ("order", "row", "expected"),
    [
        (ORDER, UNKNOWN_YET, "explained"),
        (ORDER, KNOWN, "explained"),
        (ORDER, None, "missing"),
        (replace(ORDER, operator_id=THEIRS), None, "foreign"),
        (replace(ORDER, operator_id=None), None, "foreign"),
        (replace(ORDER, operator_id=-(2**63)), None, "foreign"),
        (replace(ORDER, client_order_id=None), KNOWN, "missing"),
        (replace(ORDER, client_order_id="not a uuid"), KNOWN, "missing"),
        (replace(ORDER, client_order_id=str(CLIENT_ID).upper()), KNOWN, "missing"),
        # Under our client order id, by another operator: not the order of a row that does not know its own yet.
        (replace(ORDER, operator_id=THEIRS), UNKNOWN_YET, "foreign"),
        (replace(ORDER, operator_id=None), UNKNOWN_YET, "foreign"),
        # A row of before the operator id was changed.
        (replace(ORDER, operator_id=THEIRS), replace(UNKNOWN_YET, operator_id=THEIRS), "explained"),
        # A second order under a client order id whose row knows the first.
        (replace(ORDER, order_id="o2"), KNOWN, "missing"),
        (replace(ORDER, shape=replace(SHAPE, market="ETH-EUR")), KNOWN, "missing"),
        # Once the order id is known it alone decides: the exchange may decrement an amount to prevent a self-trade.
        (replace(ORDER, shape=replace(SHAPE, amount=Decimal("0.0004"))), KNOWN, "explained"),
        # Until then every stored fact must agree.
        (replace(ORDER, shape=replace(SHAPE, market="ETH-EUR")), UNKNOWN_YET, "missing"),
        (replace(ORDER, shape=replace(SHAPE, side=Side.SELL)), UNKNOWN_YET, "missing"),
        (replace(ORDER, shape=replace(SHAPE, amount=Decimal("0.0011"))), UNKNOWN_YET, "missing"),
        (replace(ORDER, shape=replace(SHAPE, price=Decimal(50001))), UNKNOWN_YET, "missing"),
        (replace(ORDER, shape=replace(SHAPE, amount=None, quote_amount=Decimal(50))), UNKNOWN_YET, "missing"),
        (replace(ORDER, shape=replace(SHAPE, amount=Decimal("0.00100"))), UNKNOWN_YET, "explained"),
        # Smaller than asked for is ours only where the exchange says that it made it so, when it met one of ours.
        (replace(ORDER, shape=replace(SHAPE, amount=Decimal("0.0004"))), UNKNOWN_YET, "missing"),
        (replace(SMALLER, shape=replace(SHAPE, amount=Decimal("0.0004"))), UNKNOWN_YET, "explained"),
        (replace(SMALLER, shape=replace(SHAPE, amount=Decimal("0.0011"))), UNKNOWN_YET, "missing"),
        (replace(SMALLER, shape=replace(SHAPE, price=Decimal(49999))), UNKNOWN_YET, "missing"),
    ],
)
def test_an_order_is_explained_by_its_own_row_and_no_other(
    order: AccountOrder, row: KnownOrder | None, expected: str
) -> None:
    assert compared(order, row) == expected


def test_two_orders_cannot_both_be_the_one_a_row_does_not_know_yet() -> None:
    comparison = Comparison(OURS)
    for order_id in ("o1", "o2", "o1"):
        comparison.add([replace(ORDER, order_id=order_id)], {CLIENT_ID: UNKNOWN_YET})
    assert [order.order_id for order in comparison.missing] == ["o2"]
    assert comparison.orders == 2


def test_an_order_id_is_one_of_its_market_only() -> None:
    comparison = Comparison(OURS)
    markets = ("BTC-EUR", "ETH-EUR")
    comparison.add([replace(ORDER, shape=replace(SHAPE, market=market)) for market in markets], {})
    assert sorted(order.shape.market for order in comparison.missing) == list(markets)


def test_what_is_not_explained_is_named_oldest_first() -> None:
    comparison = Comparison(OURS)
    late, early = (replace(ORDER, order_id=f"o{hour}", created_at=MADE_AT + timedelta(hours=hour)) for hour in (2, 1))
    comparison.add([late, early], {})
    assert [str(order) for order in comparison.missing] == [
        f"BTC-EUR order o1 (client {CLIENT_ID}, 2026-09-24 13:00:00 UTC)",
        f"BTC-EUR order o2 (client {CLIENT_ID}, 2026-09-24 14:00:00 UTC)",
    ]


def test_a_market_order_has_the_shape_of_its_terms() -> None:
    assert shape_of(rules.market_buy("50")) == Shape("BTC-EUR", Side.BUY, None, Decimal(50), None)
