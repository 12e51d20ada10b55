"""Takes the snapshot that the invariants judge, once nothing is on its way any more."""

import json
import time

from standalone.system import OPERATOR_ID
from tests.e2e.stage import Stage
from tests.faults.invariants import RESTING, Row, Snapshot

QUIET_SECONDS = 40.0
"""Longer than the longest pause between two looks at an execution."""
POLL_SECONDS = 0.2
KEY_CHARACTERS = 8
NOT_FINAL = (
    "SELECT client_order_id::text AS id, status FROM trade_executions"
    " WHERE status IN ('SUBMITTING', 'UNKNOWN', 'SUBMITTED')"
)


def snapshot(stage: Stage) -> Snapshot:
    """Read both worlds."""
    truth = stage.truth
    key = (stage.system.folder / "secrets" / "trade_service" / "key").read_text()
    policies = truth.rows("SELECT sha256, canonical_json FROM policies")
    ledger = stage.simulator.admin("GET", "ledger")
    return Snapshot(
        now=truth.now(),
        executions=truth.rows("SELECT * FROM trade_executions"),
        decisions=truth.rows("SELECT decision_id, outcome, policy_sha256 FROM decisions"),
        events=truth.rows("SELECT * FROM execution_events"),
        users=truth.rows("SELECT * FROM users"),
        fills=truth.rows("SELECT * FROM trade_history"),
        policies={row["sha256"]: json.loads(row["canonical_json"]) for row in policies},
        requests=ledger["requests"],
        orders=ledger["orders"],
        trade_keys=frozenset(each[:KEY_CHARACTERS] for each in (key, *stage.retired_keys)),
    )


def wait_until_quiet(stage: Stage) -> None:
    """Wait until every execution that has an order says what became of it, and every other one is past its window."""
    ends = time.monotonic() + QUIET_SECONDS
    while waiting := unsettled(stage):
        assert time.monotonic() < ends, f"never settled: {waiting[:3]}"
        time.sleep(POLL_SECONDS)


def unsettled(stage: Stage) -> list[Row]:
    """Return the rows that reconciliation still has to move."""
    rows = stage.truth.rows(NOT_FINAL)
    if not rows:
        return []
    orders = {each["clientOrderId"]: each for each in stage.simulator.orders() if each["operatorId"] == OPERATOR_ID}
    return [row for row in rows if row["status"] == "SUBMITTING" or is_behind(row, orders.get(row["id"]))]


def is_behind(row: Row, order: Row | None) -> bool:
    """Tell whether the exchange has shown more of an order than its row says: only a resting one is SUBMITTED."""
    return order is not None and (row["status"], order["status"] in RESTING) != ("SUBMITTED", True)
