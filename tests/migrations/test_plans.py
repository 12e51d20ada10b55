"""The statements that run all the time find their rows by an index, whatever the tables have grown to."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

import kernel.db
from kernel.db import Statement
from policy.model import DecisionOutcome, ExecutionStatus
from tests.fixtures.database import Cluster, Database
from trade_service.ports import Page
from trade_service.store import budget, executions, proposals, sweep, view
from trade_service.store.reading import ReadingRows

# 40 users with 500 proposals each; one in a hundred is still open, one in ten of the last day.
FILL = """
SET session_replication_role = replica;
INSERT INTO users (user_id, created_by) SELECT 'user' || u, 'test' FROM generate_series(1, 2000) u;
INSERT INTO trade_proposals (user_id, proposal_id, market, side, order_type, amount, price, time_in_force, post_only,
    confidence, rationale, content_hash, placed, submitted_by, submitted_at, expires_at, status)
SELECT 'user' || u, md5(u || '/' || n)::uuid, 'M' || n % 20 || '-EUR', 'BUY', 'LIMIT', 1, 1, 'GTC', false, 75, '',
    repeat('0', 64), false, 'bot', moment, moment + interval '1 hour',
    CASE WHEN n % 100 = 0 THEN 'EXECUTING' ELSE 'EXECUTED' END
FROM generate_series(1, 40) u, generate_series(1, 500) n, LATERAL (SELECT now() - n * interval '29 minutes' AS moment);
INSERT INTO decisions (user_id, decision_id, proposal_id, outcome, verdicts, facts, policy_name, policy_sha256,
    policy_generation, decided_at)
SELECT user_id, proposal_id, proposal_id, 'ALLOW', '[]', '{}', '', '', 1, submitted_at FROM trade_proposals;
INSERT INTO trade_executions (user_id, execution_id, proposal_id, decision_id, market, side, order_type, amount, price,
    time_in_force, post_only, worst_value, client_order_id, operator_id, signed_timestamp_ms, window_ms, body,
    claimed_at, claimed_by, status, last_fill_at)
SELECT user_id, proposal_id, proposal_id, proposal_id, market, side, order_type, amount, price, time_in_force,
    post_only, 1, proposal_id, 1, 1, 5000, '{}', submitted_at, 'bot',
    CASE WHEN status = 'EXECUTING' THEN 'SUBMITTED' ELSE 'FILLED' END,
    CASE WHEN status = 'EXECUTED' THEN submitted_at END
FROM trade_proposals;
INSERT INTO execution_events (user_id, number, execution_id, type, to_status, evidence)
SELECT user_id, row_number() OVER (PARTITION BY user_id), execution_id, 'CLAIMED', 'SUBMITTING', '{}'
FROM trade_executions;
INSERT INTO trade_history (user_id, market, fill_id, execution_id, order_id, side, amount, price, taker, filled_at)
SELECT user_id, market, execution_id, execution_id, 'o', side, 1, 1, true, claimed_at FROM trade_executions;
INSERT INTO gpt_usage_log (user_id, reservation_id, purpose, status, reserved_at, reserved_by, call_before)
SELECT user_id, proposal_id, 'scan', 'SUCCEEDED', submitted_at, 'bot', submitted_at FROM trade_proposals;
SET session_replication_role = origin;
ANALYZE;
"""
USER = "user7"
SOME_ID = UUID("00000000-0000-4000-8000-000000000001")
KEY = {"user_id": USER, "proposal_id": SOME_ID}
EXECUTION = {"user_id": USER, "execution_id": SOME_ID}
SETTLEMENT = EXECUTION | {
    "event": "SETTLED",
    "evidence": "{}",
    "status": "SUBMITTED",
    "from_statuses": "{SUBMITTING,UNKNOWN}",
    "final": False,
    "order_id": "o",
    "filled_amount": 0,
    "fee_paid": 0,
    "proposal_if_filled": "EXECUTING",
    "proposal_if_unfilled": "EXECUTING",
    **dict.fromkeys(("exchange_status", "filled_quote", "fee_currency", "reject_code")),
    "fills": "[]",
}
PAGE = 50
BEFORE = (datetime(2026, 9, 24, tzinfo=UTC), SOME_ID)

Parameters = Mapping[str, object]


class Recorder:
    """Stands where the pool stands, and keeps the statements it is asked to run."""

    def __init__(self) -> None:
        self.statements: list[Statement] = []

    @asynccontextmanager
    async def transaction(self, _: Mapping[str, str]) -> AsyncIterator["Recorder"]:
        yield self

    async def run_one(self, statement: Statement) -> list[dict[str, object]]:
        self.statements.append(statement)
        return []

    async def read(self, statement: Statement, **_: object) -> list[list[dict[str, object]]]:
        self.statements.append(statement)
        return [[]]


def lists() -> Iterator[tuple[str, str, Parameters]]:
    """The lists as `store.reading` builds them: first page and later ones."""
    for word, page in (("first", Page(PAGE, None)), ("later", Page(PAGE, BEFORE))):
        recorder = Recorder()
        read = ReadingRows(cast("kernel.db.Database", recorder))
        for name, reading in (
            ("proposals", read.proposals(USER, None, "", page)),
            ("executions", read.executions(USER, ExecutionStatus.FILLED, "M1-EUR", page)),
            ("decisions", read.decisions(USER, None, DecisionOutcome.ALLOW, page)),
            ("decisions of one", read.decisions(USER, SOME_ID, None, page)),
        ):
            asyncio.run(reading)
            statement = recorder.statements.pop()
            yield f"{name}, {word} page", statement.sql, statement.parameters


HOT: list[tuple[str, str, str, Parameters]] = [
    ("trade_service", "view of a claim", view.VIEW, KEY | {"rows_max": 501}),
    ("trade_service", "look: proposal", proposals.READ, KEY),
    ("trade_service", "look: execution", proposals.READ_EXECUTION, KEY),
    ("trade_service", "look: decision", proposals.READ_DECISION, KEY),
    ("trade_service", "settle", executions.SETTLE, SETTLEMENT),
    ("trade_service", "fills", executions.READ_FILLS, EXECUTION),
    ("trade_service", "events", executions.READ_EVENTS, EXECUTION),
    ("trade_service", "budget", budget.VIEW, {"user_id": USER, "rows_max": 501, "reservations_max": 2000}),
    ("trade_reconciler", "due", sweep.DUE, {"margin_seconds": 2, "limit": 500}),
    ("trade_reconciler", "lapsed", sweep.LAPSED, {"margin_seconds": 600, "limit": 100}),
    ("trade_reconciler", "expired", sweep.EXPIRED, {"limit": 100}),
    *(("trade_service", *each) for each in lists()),
]
SMALL = {"protocol", "policy_sets", "trading_state"}
"""Tables of a few rows, where reading all of them is the better plan."""


@pytest.fixture(scope="module")
def filled(cluster: Cluster, trade_template: str) -> Iterator[Database]:
    with cluster.clone(trade_template, "trade") as database:
        with psycopg.connect(database.admin, autocommit=True) as connection:
            connection.execute(FILL)
        yield database


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(("role", "name", "statement", "parameters"), HOT, ids=[each[1] for each in HOT])
def test_a_hot_statement_reads_no_table_from_end_to_end(
    filled: Database, role: str, name: str, statement: str, parameters: Parameters, mode: str
) -> None:
    plan = plan_of(filled.url(role), statement, parameters, mode)
    read_whole = set(re.findall(r"Seq Scan on (\w+)", plan)) - SMALL
    assert not read_whole, f"{name}\n{plan}"
    assert "Index" in plan


def test_a_page_is_read_in_the_order_of_its_index(filled: Database) -> None:
    for name, statement, parameters in lists():
        plan = plan_of(filled.service, statement, parameters, "force_custom_plan")
        filtered = name.startswith(("executions", "decisions of one"))
        assert filtered or "Sort" not in plan, f"{name}\n{plan}"


def plan_of(url: str, statement: str, parameters: Parameters, mode: str) -> str:
    """Return the plan of a prepared statement: what the pool's connections come to use."""
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement)))
    numbered = re.sub(r"%\((\w+)\)s", lambda found: f"${names.index(found[1]) + 1}", statement)
    with psycopg.connect(url) as connection, psycopg.ClientCursor(connection) as cursor:
        connection.execute("SELECT set_config('app.user_id', %s, true)", (USER,))
        connection.execute(sql.SQL("SET LOCAL plan_cache_mode = {}").format(sql.Identifier(mode)))
        connection.execute(f"PREPARE hot AS {numbered}")
        values: list[Any] = [_plain(parameters[name]) for name in names]
        marks = ", ".join("%s" for _ in values)
        rows = cursor.execute(f"EXPLAIN EXECUTE hot ({marks})", values).fetchall()
    return "\n".join(row[0] for row in rows)


def _plain(value: object) -> object:
    return str(value) if isinstance(value, (UUID, datetime)) else value
