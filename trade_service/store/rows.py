"""Rows of the trade database, turned into the values the use cases speak of."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from policy.model import (
    Approval,
    Decision,
    DecisionOutcome,
    ExecutionStatus,
    OrderType,
    Override,
    PastExecution,
    Scope,
    Side,
    State,
    Terms,
    TimeInForce,
    TradingState,
)
from policy.record import verdicts_from_json
from trade_service.execution import Event, Execution, Fill, StoredDecision
from trade_service.proposal import Content, ProposalStatus, StoredProposal

Row = Mapping[str, Any]


def terms_of(row: Row) -> Terms:
    """Read the terms, which proposals and executions have in the same columns."""
    time_in_force = row["time_in_force"]
    return Terms(
        market=row["market"],
        side=Side(row["side"]),
        order_type=OrderType(row["order_type"]),
        amount=row["amount"],
        price=row["price"],
        quote_amount=row["quote_amount"],
        time_in_force=None if time_in_force is None else TimeInForce(time_in_force),
        post_only=row["post_only"],
    )


def proposal_of(row: Row) -> StoredProposal:
    """Read a row of `trade_proposals`."""
    content = Content(
        user_id=row["user_id"],
        proposal_id=row["proposal_id"],
        terms=terms_of(row),
        confidence=row["confidence"],
        rationale=row["rationale"],
        valid_for=row["valid_for"],
        cancel_after=row["cancel_after"],
        placed=row["placed"],
    )
    approver = row["approver"]
    return StoredProposal(
        content=content,
        content_hash=row["content_hash"],
        status=ProposalStatus(row["status"]),
        submitted_by=row["submitted_by"],
        submitted_at=row["submitted_at"],
        expires_at=row["expires_at"],
        approval=None if approver is None else Approval(approver, row["approved_hash"], row["approved_at"]),
        overrides=tuple(_override_of(one) for one in row["overrides"]),
    )


def override_json(override: Override) -> dict[str, str]:
    """Write an override as it stands in the column."""
    return {
        "rule": override.rule,
        "actor": override.actor,
        "reason": override.reason,
        "until": override.until.isoformat(),
    }


def execution_of(row: Row, fills: tuple[Fill, ...] = (), events: tuple[Event, ...] = ()) -> Execution:
    """Read a row of `trade_executions`."""
    return Execution(
        execution_id=row["execution_id"],
        user_id=row["user_id"],
        proposal_id=row["proposal_id"],
        decision_id=row["decision_id"],
        terms=terms_of(row),
        status=ExecutionStatus(row["status"]),
        client_order_id=row["client_order_id"],
        order_id=row["order_id"] or "",
        exchange_status=row["exchange_status"],
        operator_id=row["operator_id"],
        claimed_at=row["claimed_at"],
        signed_timestamp_ms=row["signed_timestamp_ms"],
        window_ms=row["window_ms"],
        body_sha256=row["body_sha256"],
        filled_amount=row["filled_amount"],
        filled_quote=row["filled_quote"],
        fee_paid=row["fee_paid"],
        fee_currency=row["fee_currency"],
        reject_code=row["reject_code"] or 0,
        cancel_requested_at=row["cancel_requested_at"],
        settled_at=row["settled_at"],
        fills=fills,
        events=events,
    )


def fill_of(row: Row) -> Fill:
    """Read a row of `trade_history`."""
    names = ("fill_id", "amount", "price", "fee", "fee_currency", "taker", "filled_at")
    return Fill(**{name: row[name] for name in names})


def event_of(row: Row) -> Event:
    """Read a row of `execution_events`."""
    before = row["from_status"]
    return Event(
        number=row["number"],
        at=row["at"],
        type=row["type"],
        from_status=None if before is None else ExecutionStatus(before),
        to_status=ExecutionStatus(row["to_status"]),
        evidence=row["evidence"],
    )


def decision_of(row: Row, facts: Mapping[str, object] | None = None) -> StoredDecision:
    """Read a row of `decisions`; the facts are large, so only where they are asked for."""
    decision = Decision(
        outcome=DecisionOutcome(row["outcome"]),
        verdicts=verdicts_from_json(row["verdicts"]),
        policy_name=row["policy_name"],
        policy_sha256=row["policy_sha256"],
        decided_at=row["decided_at"],
    )
    return StoredDecision(
        row["decision_id"], row["user_id"], row["proposal_id"], decision, row["policy_generation"], facts
    )


def past_execution_of(item: Row) -> PastExecution:
    """Read one entry of the history a view gathers as JSON: every number in it is text."""
    terms = Terms(
        market=item["market"],
        side=Side(item["side"]),
        order_type=OrderType(item["order_type"]),
        amount=_decimal(item["amount"]),
        price=_decimal(item["price"]),
        quote_amount=_decimal(item["quote_amount"]),
    )
    last_fill_at = item["last_fill_at"]
    return PastExecution(
        proposal_id=UUID(item["proposal_id"]),
        terms=terms,
        status=ExecutionStatus(item["status"]),
        claimed_at=datetime.fromisoformat(item["claimed_at"]),
        last_fill_at=None if last_fill_at is None else datetime.fromisoformat(last_fill_at),
        worst_value=Decimal(item["worst_value"]),
        filled_value=Decimal(item["filled_quote"]),
        filled_amount=Decimal(item["filled_amount"]),
    )


def trading_state_of(item: Row) -> TradingState:
    """Read one switch of a view's JSON."""
    return TradingState(Scope(item["scope"]), item["subject"], State(item["state"]), item["reason"])


def _override_of(item: Row) -> Override:
    return Override(item["rule"], item["actor"], item["reason"], datetime.fromisoformat(item["until"]))


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
