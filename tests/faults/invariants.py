"""What must hold whatever happened: judged from the database's rows and the exchange's ledger, and nothing else.

`violations` is pure: a snapshot in, every broken promise out, each beginning with its number.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from standalone.system import OPERATOR_ID

Row = dict[str, Any]
CLOCK_ROUNDING = timedelta(milliseconds=2)
SETTLE_GRACE = timedelta(seconds=10)
OPEN = {"SUBMITTING", "UNKNOWN", "SUBMITTED"}
NEVER_TRADED = {"REJECTED", "NOT_PLACED"}
RESTING = {"new", "partiallyFilled", "awaitingTrigger"}
TRADE_ENDPOINTS = {
    ("POST", "/v2/order"),
    ("GET", "/v2/order"),
    ("DELETE", "/v2/order"),
    ("GET", "/v2/orders"),
    ("GET", "/v2/ordersOpen"),
    ("GET", "/v2/trades"),
}
MOVES = {
    None: {"SUBMITTING"},
    "SUBMITTING": {"SUBMITTED", "FILLED", "CANCELED", "REJECTED", "UNKNOWN", "NOT_PLACED"},
    "UNKNOWN": {"SUBMITTED", "FILLED", "CANCELED", "REJECTED", "NOT_PLACED"},
    "SUBMITTED": {"FILLED", "CANCELED"},
    "NOT_PLACED": {"SUBMITTED", "FILLED", "CANCELED"},
    "REJECTED": {"SUBMITTED", "FILLED", "CANCELED"},
}
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Rows as they are in the two worlds. `trade_keys`: the first characters of the keys that may trade."""

    now: datetime
    executions: Sequence[Row]
    decisions: Sequence[Row]
    events: Sequence[Row]
    users: Sequence[Row]
    fills: Sequence[Row]
    policies: Mapping[str, Mapping[str, Any]]
    requests: Sequence[Row]
    orders: Sequence[Row]
    trade_keys: frozenset[str]

    @property
    def own_orders(self) -> list[Row]:
        """Orders that carry our operator id."""
        return [each for each in self.orders if each["operatorId"] == OPERATOR_ID]

    @property
    def creates(self) -> list[Row]:
        """Requests for an order that carry our operator id, each with its client order id."""
        asked = [each for each in self.requests if each["method"] == "POST" and each["path"] == "/v2/order"]
        bodies = [(each, json.loads(each["body"])) for each in asked]
        return [
            {**each, "client_order_id": body["clientOrderId"]}
            for each, body in bodies
            if body["operatorId"] == OPERATOR_ID
        ]


def violations(seen: Snapshot) -> list[str]:
    """Name every broken promise."""
    checks = (_sent_once, _known, _settled, _truth, _events, _caps, _pauses, _decided, _own_endpoints, _money)
    return [found for check in checks for found in check(seen)]


def _sent_once(seen: Snapshot) -> Iterator[str]:
    for client_order_id, count in Counter(each["clientOrderId"] for each in seen.own_orders).items():
        if count > 1:
            yield f"I1 {count} orders of {client_order_id}"
    for client_order_id, count in Counter(each["client_order_id"] for each in seen.creates).items():
        if count > 1:
            yield f"I2 {count} POSTs of {client_order_id}"


def _known(seen: Snapshot) -> Iterator[str]:
    rows = {str(row["client_order_id"]): row for row in seen.executions}
    for order in seen.own_orders:
        if order["clientOrderId"] not in rows:
            yield f"I3 order {order['clientOrderId']} has no row"
    for request in seen.creates:
        row = rows.get(request["client_order_id"])
        if row is None:
            yield f"I3 POST of {request['client_order_id']} has no row"
            continue
        if request["body_sha256"] != row["body_sha256"]:
            yield f"I3 {row['execution_id']} was sent with another body than stored"
        received = datetime.fromtimestamp(request["received_ms"] / 1000, UTC)
        if received + CLOCK_ROUNDING < row["claimed_at"]:
            yield f"I3 {row['execution_id']} was received before it was claimed"
        if (request["timestamp"], request["window"]) != (str(row["signed_timestamp_ms"]), str(row["window_ms"])):
            yield f"I4 {row['execution_id']} was sent with another timestamp or window than stored"


def _settled(seen: Snapshot) -> Iterator[str]:
    for row in seen.executions:
        overdue = row["claimed_at"] + timedelta(milliseconds=row["window_ms"]) + SETTLE_GRACE
        if row["status"] == "SUBMITTING" and seen.now > overdue:
            yield f"I5 {row['execution_id']} is still SUBMITTING"


def _truth(seen: Snapshot) -> Iterator[str]:
    orders = {order["clientOrderId"]: order for order in seen.orders}
    own = {order["clientOrderId"] for order in seen.own_orders}
    for row in seen.executions:
        client_order_id, status = str(row["client_order_id"]), row["status"]
        order = orders.get(client_order_id)
        if status in NEVER_TRADED and order is not None:
            yield f"I6 {row['execution_id']} is {status} and has an order"
        elif status == "UNKNOWN" and client_order_id in own:
            yield f"I6 {row['execution_id']} is UNKNOWN and has an order of ours"
        elif status in {"SUBMITTED", "FILLED", "CANCELED"} and order is None:
            yield f"I6 {row['execution_id']} is {status} and has no order"
        elif status in {"FILLED", "CANCELED"} and order is not None and told_by(order) != status:
            yield f"I6 {row['execution_id']} is {status}, its order is {order['status']}"


def told_by(order: Row) -> str:
    """Return the status an order of the ledger gives its execution."""
    if order["status"] in RESTING:
        return "SUBMITTED"
    return "FILLED" if order["status"] == "filled" else "CANCELED"


def _events(seen: Snapshot) -> Iterator[str]:
    by_user: defaultdict[str, list[int]] = defaultdict(list)
    last: dict[Any, str] = {}
    for event in seen.events:
        by_user[event["user_id"]].append(event["number"])
    for user in seen.users:
        numbers = sorted(by_user[user["user_id"]])
        if numbers != list(range(1, user["event_number"] + 1)):
            yield f"I7 events of {user['user_id']} are {numbers[:5]}…, not 1 to {user['event_number']}"
    for event in sorted(seen.events, key=lambda each: (each["user_id"], each["number"])):
        before = last.get(event["execution_id"])
        moved = event["from_status"] != event["to_status"]
        if event["from_status"] != before or (moved and event["to_status"] not in MOVES.get(before, set())):
            yield f"I7 {event['execution_id']} moved {before} → {event['to_status']}, said from {event['from_status']}"
        last[event["execution_id"]] = event["to_status"]
    for row in seen.executions:
        if last.get(row["execution_id"]) != row["status"]:
            yield f"I7 {row['execution_id']} is {row['status']}, its last event says {last.get(row['execution_id'])}"


def _judged_rows(seen: Snapshot) -> Iterator[tuple[Row, Mapping[str, Any], list[Row]]]:
    """Yield each execution with its policy's rules and the counted ones of its user before it, oldest first."""
    decisions = {row["decision_id"]: row for row in seen.decisions}
    before: defaultdict[str, list[Row]] = defaultdict(list)
    for row in sorted(seen.executions, key=lambda each: each["claimed_at"]):
        decision = decisions.get(row["decision_id"])
        policy = seen.policies.get(decision["policy_sha256"]) if decision else None
        if policy is not None:
            yield row, policy["rules"], before[row["user_id"]]
        if row["status"] not in NEVER_TRADED:
            before[row["user_id"]].append(row)


def _caps(seen: Snapshot) -> Iterator[str]:
    for row, rules, before in _judged_rows(seen):
        caps = rules["trade_caps"]
        for name, period in (("per_hour", HOUR), ("per_day", DAY)):
            counted = sum(row["claimed_at"] - each["claimed_at"] < period for each in before)
            if name in caps and counted + 1 > int(caps[name]):
                yield f"I8 {row['user_id']} has {counted + 1} orders, {name} {caps[name]}"


def _pauses(seen: Snapshot) -> Iterator[str]:
    for row, rules, before in _judged_rows(seen):
        same_market = [each for each in before if each["market"] == row["market"]]
        cooldown, anti_flip = rules["cooldown"].get("period"), rules["anti_flip"].get("period")
        paused = same_market if rules["cooldown"].get("per") == "market" else before
        if cooldown and paused and row["claimed_at"] - paused[-1]["claimed_at"] < _span(cooldown):
            yield f"I9 {row['execution_id']} follows within its cooldown"
        opposite = [each for each in same_market if each["side"] != row["side"] and each["filled_amount"]]
        if anti_flip and opposite and row["claimed_at"] - opposite[-1]["claimed_at"] < _span(anti_flip):
            yield f"I10 {row['execution_id']} turns within its anti_flip period"


def _span(text: str) -> timedelta:
    return timedelta(seconds=int(text.removesuffix("s")))


def _decided(seen: Snapshot) -> Iterator[str]:
    allowed = {row["decision_id"] for row in seen.decisions if row["outcome"] == "ALLOW"}
    executed = Counter(row["decision_id"] for row in seen.executions)
    for decision_id in allowed ^ executed.keys():
        yield f"I12 decision {decision_id} allows without an execution, or the reverse"
    for decision_id, count in executed.items():
        if count > 1:
            yield f"I12 decision {decision_id} has {count} executions"


def _own_endpoints(seen: Snapshot) -> Iterator[str]:
    for request in seen.requests:
        path, ours = request["path"].partition("?")[0], request["key"] in seen.trade_keys
        if _attests(request["method"], path, request["error_code"]):
            continue
        if ours and (request["method"], path) not in TRADE_ENDPOINTS:
            yield f"I17 a trade key signed {request['method']} {path}"
        if not ours and request["method"] != "GET":
            yield f"I17 {request['method']} {path} without a trade key"


def _attests(method: str, path: str, error_code: int | None) -> bool:
    """Say whether `attest` asked: whose account a key opens, or for a cancel that the key has no right to."""
    return (method, path) == ("GET", "/v2/account") or ((method, path) == ("DELETE", "/v2/order") and error_code == 310)


def _money(seen: Snapshot) -> Iterator[str]:
    filled: defaultdict[Any, Decimal] = defaultdict(Decimal)
    for fill in seen.fills:
        filled[fill["execution_id"]] += fill["amount"]
    orders = {order["clientOrderId"]: order for order in seen.orders}
    for row in seen.executions:
        order = orders.get(str(row["client_order_id"]))
        told = Decimal(order["filledAmount"]) if order and row["status"] not in OPEN else row["filled_amount"]
        if not filled[row["execution_id"]] == row["filled_amount"] == told:
            yield (
                f"I20 {row['execution_id']}: fills {filled[row['execution_id']]}, row {row['filled_amount']}, "
                f"exchange {told}"
            )
