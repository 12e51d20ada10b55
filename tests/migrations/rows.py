"""Rows written by hand, past every use case: what the database itself accepts and refuses."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

Connection = psycopg.Connection[Any]
NOW = datetime(2026, 9, 24, 12, 0, tzinfo=UTC)
BODY = b"{}"
BODY_SHA256 = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

TERMS: Mapping[str, object] = {
    "market": "BTC-EUR",
    "side": "BUY",
    "order_type": "LIMIT",
    "amount": "0.001",
    "price": "50000",
    "time_in_force": "GTC",
    "post_only": False,
}


def insert(connection: Connection, table: str, values: Mapping[str, object]) -> None:
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(sql.Placeholder() * len(values)),
    )
    connection.execute(statement, list(values.values()))


def user(connection: Connection, user_id: str = "alice") -> None:
    insert(connection, "users", {"user_id": user_id, "created_by": "test"})


def proposal(connection: Connection, user_id: str = "alice", **changes: object) -> UUID:
    proposal_id = uuid4()
    values = {
        "user_id": user_id,
        "proposal_id": proposal_id,
        **TERMS,
        "confidence": 75,
        "rationale": "",
        "content_hash": "0" * 64,
        "placed": False,
        "submitted_by": "bot",
        "submitted_at": NOW,
        "expires_at": NOW + timedelta(hours=1),
        "status": "PROPOSED",
    }
    insert(connection, "trade_proposals", values | changes)
    return proposal_id


def decision(connection: Connection, proposal_id: UUID, user_id: str = "alice", outcome: str = "ALLOW") -> UUID:
    decision_id = uuid4()
    values = {
        "user_id": user_id,
        "decision_id": decision_id,
        "proposal_id": proposal_id,
        "outcome": outcome,
        "verdicts": Jsonb([]),
        "facts": Jsonb({}),
        "policy_name": "tested",
        "policy_sha256": "",
        "policy_generation": 1,
        "decided_at": NOW,
    }
    insert(connection, "decisions", values)
    return decision_id


def execution(
    connection: Connection, proposal_id: UUID, decision_id: UUID, user_id: str = "alice", **changes: object
) -> UUID:
    execution_id = uuid4()
    values = {
        "user_id": user_id,
        "execution_id": execution_id,
        "proposal_id": proposal_id,
        "decision_id": decision_id,
        **TERMS,
        "worst_value": 50,
        "client_order_id": uuid4(),
        "operator_id": 1,
        "signed_timestamp_ms": 1,
        "window_ms": 5000,
        "body": BODY,
        "claimed_at": NOW,
        "claimed_by": "bot",
        "status": "SUBMITTING",
    }
    insert(connection, "trade_executions", values | changes)
    return execution_id


def event(connection: Connection, execution_id: UUID, user_id: str = "alice", number: int = 1) -> None:
    values = {
        "user_id": user_id,
        "number": number,
        "execution_id": execution_id,
        "type": "CLAIMED",
        "to_status": "SUBMITTING",
        "evidence": Jsonb({}),
    }
    insert(connection, "execution_events", values)


def fill(connection: Connection, execution_id: UUID, user_id: str = "alice", fill_id: str = "f1") -> None:
    values = {
        "user_id": user_id,
        "market": "BTC-EUR",
        "fill_id": fill_id,
        "execution_id": execution_id,
        "order_id": "o1",
        "side": "BUY",
        "amount": 1,
        "price": 1,
        "taker": True,
        "filled_at": NOW,
    }
    insert(connection, "trade_history", values)


def reservation(connection: Connection, user_id: str = "alice") -> None:
    values = {
        "user_id": user_id,
        "reservation_id": uuid4(),
        "purpose": "scan",
        "status": "RESERVED",
        "reserved_at": NOW,
        "reserved_by": "bot",
        "call_before": NOW,
    }
    insert(connection, "gpt_usage_log", values)


def whole_user(connection: Connection, user_id: str) -> UUID:
    """Give a user one row in every table of his; returns his execution."""
    user(connection, user_id)
    proposal_id = proposal(connection, user_id)
    execution_id = execution(connection, proposal_id, decision(connection, proposal_id, user_id), user_id)
    event(connection, execution_id, user_id)
    fill(connection, execution_id, user_id, fill_id=f"fill of {user_id}")
    reservation(connection, user_id)
    return execution_id
