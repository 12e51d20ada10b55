"""The checker of the invariants sees each kind of violation in rows made up for it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from standalone.system import OPERATOR_ID
from tests.faults.invariants import Row, Snapshot, violations

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
ORDER_ID = UUID(int=3)
CLAIMED = NOW - timedelta(minutes=5)
EXECUTION: Row = {
    "execution_id": 1, "user_id": "u", "decision_id": 2, "market": "BTC-EUR", "side": "BUY", "status": "FILLED",
    "client_order_id": ORDER_ID, "claimed_at": CLAIMED, "window_ms": 2000, "signed_timestamp_ms": 77,
    "body_sha256": "ab", "filled_amount": Decimal("0.5"),
}  # fmt: skip
DECISION: Row = {"decision_id": 2, "outcome": "ALLOW", "policy_sha256": "p"}
EVENTS: list[Row] = [
    {"user_id": "u", "number": 1, "execution_id": 1, "from_status": None, "to_status": "SUBMITTING"},
    {"user_id": "u", "number": 2, "execution_id": 1, "from_status": "SUBMITTING", "to_status": "FILLED"},
]
RULES = {
    "trade_caps": {"per_hour": "1", "per_day": "1"},
    "cooldown": {"per": "market", "period": "1800s"},
    "anti_flip": {"period": "7200s"},
}
BODY = json.dumps({"clientOrderId": str(ORDER_ID), "operatorId": OPERATOR_ID})
REQUEST: Row = {
    "method": "POST", "path": "/v2/order", "body": BODY, "body_sha256": "ab", "timestamp": "77", "window": "2000",
    "received_ms": int(CLAIMED.timestamp() * 1000) + 9, "key": "trade", "error_code": None,
}  # fmt: skip
ORDER: Row = {
    "clientOrderId": str(ORDER_ID), "operatorId": OPERATOR_ID, "status": "filled", "filledAmount": "0.5"
}  # fmt: skip
SOUND = Snapshot(
    now=NOW,
    executions=[EXECUTION],
    decisions=[DECISION],
    events=EVENTS,
    users=[{"user_id": "u", "event_number": 2}],
    fills=[{"execution_id": 1, "amount": Decimal("0.2")}, {"execution_id": 1, "amount": Decimal("0.3")}],
    policies={"p": {"rules": RULES}},
    requests=[REQUEST],
    orders=[ORDER],
    trade_keys=frozenset({"trade"}),
)


def another(**changes: object) -> Row:
    """Return a second execution, later, of another proposal."""
    later = {"execution_id": 9, "decision_id": 8, "client_order_id": UUID(int=9), "status": "UNKNOWN"}
    return {**EXECUTION, "claimed_at": CLAIMED + timedelta(minutes=1), "filled_amount": Decimal(0), **later, **changes}


def second(**changes: object) -> dict[str, Any]:
    """Return the changes that add a second execution with its decision."""
    return {"executions": [EXECUTION, another(**changes)], "decisions": [DECISION, {**DECISION, "decision_id": 8}]}


BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("I1", {"orders": [ORDER, ORDER]}),
    ("I2", {"requests": [REQUEST, REQUEST]}),
    ("I3", {"executions": []}),
    ("I3", {"requests": [{**REQUEST, "body_sha256": "cd"}]}),
    ("I3", {"requests": [{**REQUEST, "received_ms": REQUEST["received_ms"] - 5000}]}),
    ("I4", {"requests": [{**REQUEST, "timestamp": "78"}]}),
    ("I4", {"requests": [{**REQUEST, "window": "2001"}]}),
    ("I5", {"executions": [{**EXECUTION, "status": "SUBMITTING"}]}),
    ("I6", {"executions": [{**EXECUTION, "status": "REJECTED"}]}),
    ("I6", {"executions": [{**EXECUTION, "status": "NOT_PLACED"}]}),
    ("I6", {"executions": [{**EXECUTION, "status": "UNKNOWN"}]}),
    ("I6", {"orders": []}),
    ("I6", {"orders": [{**ORDER, "status": "canceled"}]}),
    ("I7", {"events": EVENTS[:1]}),
    ("I7", {"events": [EVENTS[0], {**EVENTS[1], "number": 3}]}),
    ("I7", {"events": [EVENTS[0], {**EVENTS[1], "from_status": "UNKNOWN"}]}),
    ("I7", {"events": [{**EVENTS[0], "to_status": "FILLED"}, EVENTS[1]]}),
    ("I8", second(market="ETH-EUR")),
    ("I9", second()),
    ("I10", second(side="SELL")),
    ("I12", {"decisions": [{**DECISION, "outcome": "DENY"}]}),
    ("I12", {"decisions": [DECISION, {**DECISION, "decision_id": 5}]}),
    ("I12", {"executions": [EXECUTION, another(decision_id=2)]}),
    ("I17", {"requests": [{**REQUEST, "key": "view"}]}),
    ("I17", {"requests": [REQUEST, {**REQUEST, "method": "GET", "path": "/v2/balance"}]}),
    ("I20", {"fills": []}),
    ("I20", {"orders": [{**ORDER, "filledAmount": "0.4"}]}),
]


def test_sound_rows_have_no_violation() -> None:
    assert violations(SOUND) == []


@pytest.mark.parametrize(("number", "change"), BROKEN)
def test_the_checker_sees(number: str, change: dict[str, Any]) -> None:
    assert number in {found.split()[0] for found in violations(replace(SOUND, **change))}
