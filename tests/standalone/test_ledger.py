"""The comparison of ledger and database notices every way in which they can differ."""

from decimal import Decimal
from typing import Any

import pytest

from standalone.ledger import Ledger, _compare, agree

NAME = "2369c6fe-a797-5a53-8b50-9f90dccd0f3a"
CLAIMED_MS = 1_000


def content(posts: int, *orders: tuple[str, str], name: str = NAME) -> dict[str, Any]:
    """Write a ledger with so many POSTs, and orders given as id and amount filled."""
    first = {"method": "GET", "path": "/v2/time", "body": "", "received_ms": CLAIMED_MS - 1}
    post = {"method": "POST", "path": "/v2/order", "body": f'{{"clientOrderId":"{name}"}}', "received_ms": CLAIMED_MS}
    rows = [{"clientOrderId": name, "orderId": order, "filledAmount": filled} for order, filled in orders]
    return {"requests": [first, *([post] * posts)], "orders": rows}


def execution(status: str = "FILLED", order_id: str | None = "1", filled: str = "0.5") -> dict[str, Any]:
    return {
        "client_order_id": NAME,
        "market": "BTC-EUR",
        "status": status,
        "order_id": order_id,
        "filled_amount": Decimal(filled),
        "claimed_ms": CLAIMED_MS,
    }


@pytest.mark.parametrize(
    ("ledger", "row", "agrees"),
    [
        (content(1, ("1", "0.50")), execution(), True),
        (content(2, ("1", "0.5")), execution(), False),
        (content(1, ("1", "0.5"), ("2", "0.5")), execution(), False),
        (content(1), execution(), False),
        (content(1, ("2", "0.5")), execution(), False),
        (content(1, ("1", "0.4")), execution(), False),
        (content(0), execution("NOT_PLACED", None, "0"), True),
        (content(1, ("1", "0.5")), execution("NOT_PLACED", None, "0"), False),
        (content(1), execution("REJECTED", None, "0"), True),
        (content(2), execution("REJECTED", None, "0"), False),
        (content(1, ("1", "0.5")), execution("UNKNOWN", None, "0"), True),
        (content(0), execution("SUBMITTING", None, "0"), True),
        (content(2, ("1", "0.5")), execution("UNKNOWN", None, "0"), False),
    ],
)
def test_an_execution_agrees_only_with_what_the_exchange_shows(
    ledger: dict[str, Any], row: dict[str, Any], *, agrees: bool
) -> None:
    found = Ledger.of(ledger)
    assert agree(found, row) is agrees
    assert _compare(found, [row]) == (0 if agrees else 1)


def test_an_order_without_a_row_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    assert _compare(Ledger.of(content(1, ("1", "0.5"))), []) == 1
    assert f"in the ledger only: {NAME}: 1 POSTs, 1 orders" in capsys.readouterr().out


def test_what_was_claimed_before_the_ledger_began_is_not_judged(capsys: pytest.CaptureFixture[str]) -> None:
    old = execution() | {"claimed_ms": CLAIMED_MS - 2}
    assert _compare(Ledger.of(content(0)), [old]) == 0
    assert "1 executions are older than this ledger" in capsys.readouterr().out
