"""`python -m standalone ledger`: what the exchange received and holds, beside what the database says was executed.

It is told only the addresses of a running system, and asks the exchange and the database itself.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.rows import DictRow, dict_row

from standalone.address_file import read_addresses
from standalone.screen import Column, say, table

LEDGER_TIMEOUT_SECONDS = 30.0
ORDER_PATH = "/v2/order"
UNPLACED = frozenset({"NOT_PLACED", "REJECTED"})
UNCERTAIN = frozenset({"SUBMITTING", "UNKNOWN"})
QUERY = """
SELECT client_order_id::text, market, status, order_id, filled_amount,
       (extract(epoch FROM claimed_at) * 1000)::bigint AS claimed_ms
  FROM trade_executions ORDER BY claimed_at
"""
HEAD = (
    Column("client order id", 36),
    Column("market", 9),
    Column("database", 10),
    Column("POSTs", 5),
    Column("orders", 6),
    Column("order id ends", 13),
    Column("", 7),
)


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the exchange received and created, by client order id."""

    posts: Mapping[str, int]
    orders: Mapping[str, Sequence[Mapping[str, Any]]]
    since_ms: int

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Ledger":
        """Read the answer of `GET /_sim/ledger`."""
        posts: dict[str, int] = {}
        orders: dict[str, list[Mapping[str, Any]]] = {}
        for request in content["requests"]:
            if request["method"] == "POST" and request["path"] == ORDER_PATH:
                name = str(json.loads(request["body"]).get("clientOrderId"))
                posts[name] = posts.get(name, 0) + 1
        for order in content["orders"]:
            orders.setdefault(str(order["clientOrderId"]), []).append(order)
        return cls(posts, orders, min((each["received_ms"] for each in content["requests"]), default=0))


def ledger(folder: Path) -> int:
    """Show each execution beside the ledger; returns 0 when both agree in everything, else 1."""
    addresses = read_addresses(folder)
    if addresses is None:
        say(f"Nothing runs in {folder}.")
        return 1
    answer = httpx.get(f"{addresses['simulator']}/_sim/ledger", trust_env=False, timeout=LEDGER_TIMEOUT_SECONDS)
    found = Ledger.of(answer.raise_for_status().json())
    with psycopg.connect(addresses["databases"]["auditor"], row_factory=dict_row) as connection:
        executions = connection.execute(QUERY).fetchall()
    return _compare(found, executions)


def agree(found: Ledger, execution: DictRow) -> bool:
    """Say whether the exchange's rows bear out one execution: never two POSTs, never two orders, the same fill."""
    name = execution["client_order_id"]
    posts, orders = found.posts.get(name, 0), found.orders.get(name, ())
    # Cases: it says there is no order; it does not know; it knows the order.
    if execution["status"] in UNPLACED:
        return posts <= 1 and not orders
    if execution["status"] in UNCERTAIN:
        return posts <= 1 and len(orders) <= posts
    same = [(each["orderId"], Decimal(each["filledAmount"])) for each in orders]
    return posts == 1 and same == [(execution["order_id"], execution["filled_amount"])]


def _compare(found: Ledger, executions: Sequence[DictRow]) -> int:
    """Show the table and the verdict. The ledger begins with the simulator: what was claimed earlier is not judged."""
    judged = [each for each in executions if each["claimed_ms"] >= found.since_ms]
    known = {each["client_order_id"] for each in judged}
    strangers = sorted((found.posts.keys() | found.orders.keys()) - known)
    differing = [each for each in judged if not agree(found, each)]
    table(HEAD, [_row(found, each, "differs" if each in differing else "agrees") for each in judged])
    if len(judged) < len(executions):
        say(f"  {len(executions) - len(judged)} executions are older than this ledger and were not compared")
    for name in strangers:
        say(f"  in the ledger only: {name}: {found.posts.get(name, 0)} POSTs, {len(found.orders.get(name, ()))} orders")
    verdict = "differ" if differing or strangers else "agree"
    posts, orders = sum(found.posts.values()), sum(map(len, found.orders.values()))
    say(f"  {len(judged)} executions, {posts} POSTs, {orders} orders: ledger and database {verdict}")
    return 1 if differing or strangers else 0


def _row(found: Ledger, execution: DictRow, verdict: str) -> tuple[str, ...]:
    name = execution["client_order_id"]
    posts, orders = found.posts.get(name, 0), len(found.orders.get(name, ()))
    order_id = (execution["order_id"] or "none")[-13:]
    return name, execution["market"], execution["status"], str(posts), str(orders), order_id, verdict
