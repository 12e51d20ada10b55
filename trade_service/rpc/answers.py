"""Values as answers: each function writes one message of the .proto."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import orjson
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from bitvavo.errors import DEFINITE_REJECTIONS
from kernel.decimals import plain
from policy.model import Override, Terms, Verdict
from protos.trade.v1 import trade_pb2 as pb
from trade_service.execution import Event, Execution, Fill, StoredDecision
from trade_service.ports import PolicyRow
from trade_service.proposal import StoredProposal
from trade_service.reservation import Reservation, Window
from trade_service.switch import Switch


def proposal_message(stored: StoredProposal) -> pb.Proposal:
    """Write a proposal."""
    content = stored.content
    message = pb.Proposal(
        user_id=content.user_id,
        proposal_id=str(content.proposal_id),
        terms=terms_message(content.terms),
        confidence=content.confidence,
        rationale=content.rationale,
        status=pb.ProposalStatus.Value(f"PROPOSAL_STATUS_{stored.status}"),
        content_hash=stored.content_hash,
        submitted_by=stored.submitted_by,
        submitted_at=moment(stored.submitted_at),
        expires_at=moment(stored.expires_at),
        cancel_after=None if content.cancel_after is None else duration(content.cancel_after),
        overrides=[_override_message(one) for one in stored.overrides],
    )
    if stored.approval is not None:
        approval = stored.approval
        message.approval.approver = approval.approver
        message.approval.content_hash = approval.content_hash
        message.approval.approved_at.CopyFrom(moment(approval.approved_at))
    return message


def terms_message(terms: Terms) -> pb.OrderTerms:
    """Write the terms, digit for digit."""
    return pb.OrderTerms(
        market=terms.market,
        side=pb.Side.Value(f"SIDE_{terms.side}"),
        order_type=pb.OrderType.Value(f"ORDER_TYPE_{terms.order_type}"),
        amount=digits(terms.amount),
        price=digits(terms.price),
        quote_amount=digits(terms.quote_amount),
        time_in_force=pb.TimeInForce.Value(f"TIME_IN_FORCE_{terms.time_in_force or 'UNSPECIFIED'}"),
        post_only=terms.post_only,
    )


def decision_message(stored: StoredDecision) -> pb.Decision:
    """Write a decision with every verdict; the facts where they were read."""
    decision = stored.decision
    return pb.Decision(
        decision_id=str(stored.decision_id or ""),
        user_id=stored.user_id,
        proposal_id=str(stored.proposal_id),
        outcome=pb.DecisionOutcome.Value(f"DECISION_OUTCOME_{decision.outcome}"),
        verdicts=[verdict_message(one) for one in decision.verdicts],
        policy_name=decision.policy_name,
        policy_sha256=decision.policy_sha256,
        policy_generation=stored.policy_generation,
        decided_at=moment(decision.decided_at),
        facts_json="" if stored.facts is None else orjson.dumps(stored.facts).decode(),
    )


def verdict_message(verdict: Verdict) -> pb.Verdict:
    """Write one rule's answer."""
    return pb.Verdict(
        rule=verdict.rule,
        outcome=pb.VerdictOutcome.Value(f"VERDICT_OUTCOME_{verdict.outcome}"),
        code=verdict.code,
        observed=verdict.observed,
        limit=verdict.limit,
        message=verdict.message,
        next_possible_at=None if verdict.next_possible_at is None else moment(verdict.next_possible_at),
    )


def execution_message(execution: Execution) -> pb.Execution:
    """Write an execution, with the fills and events that were read."""
    rejection = DEFINITE_REJECTIONS.get(execution.reject_code)
    signed_at = Timestamp()
    signed_at.FromMilliseconds(execution.signed_timestamp_ms)
    return pb.Execution(
        execution_id=str(execution.execution_id),
        user_id=execution.user_id,
        proposal_id=str(execution.proposal_id),
        decision_id=str(execution.decision_id),
        terms=terms_message(execution.terms),
        status=pb.ExecutionStatus.Value(f"EXECUTION_STATUS_{execution.status}"),
        client_order_id=str(execution.client_order_id),
        order_id=execution.order_id,
        exchange_status=execution.exchange_status,
        claimed_at=moment(execution.claimed_at),
        signed_at=signed_at,
        window=duration(timedelta(milliseconds=execution.window_ms)),
        body_sha256=execution.body_sha256,
        filled_amount=plain(execution.filled_amount),
        filled_quote=plain(execution.filled_quote),
        fee_paid=plain(execution.fee_paid),
        fee_currency=execution.fee_currency,
        reject_code=execution.reject_code,
        reject_meaning=rejection.meaning if rejection else "",
        cancel_requested_at=_moment_or_none(execution.cancel_requested_at),
        settled_at=_moment_or_none(execution.settled_at),
        fills=[_fill_message(fill) for fill in execution.fills],
        events=[_event_message(event) for event in execution.events],
    )


def reservation_message(reservation: Reservation) -> pb.Reservation:
    """Write a reservation."""
    outcome = reservation.outcome
    return pb.Reservation(
        user_id=reservation.user_id,
        reservation_id=str(reservation.reservation_id),
        purpose=reservation.purpose,
        status=pb.ReservationStatus.Value(f"RESERVATION_STATUS_{outcome.status}"),
        reserved_at=moment(reservation.reserved_at),
        call_before=moment(reservation.call_before),
        model=outcome.model,
        input_tokens=outcome.input_tokens,
        output_tokens=outcome.output_tokens,
        cost=digits(outcome.cost),
        cost_currency=outcome.cost_currency,
        settled_at=_moment_or_none(reservation.settled_at),
    )


def window_message(window: Window) -> pb.BudgetWindow:
    """Write one window of a budget."""
    return pb.BudgetWindow(
        name=window.name,
        limit=plain(window.limit),
        used=plain(window.used),
        left=plain(window.left),
        next_free_at=_moment_or_none(window.next_free_at),
    )


def switch_message(switch: Switch) -> pb.TradingSwitch:
    """Write one switch."""
    return pb.TradingSwitch(
        scope=pb.TradingScope.Value(f"TRADING_SCOPE_{switch.scope}"),
        subject=switch.subject,
        state=pb.TradingState.Value(f"TRADING_STATE_{switch.state}"),
        cancel_open_orders=switch.cancel_open_orders,
        generation=switch.generation,
        reason=switch.reason,
        actor=switch.actor,
        changed_at=moment(switch.changed_at),
    )


def policy_message(row: PolicyRow) -> pb.Policy:
    """Write a policy as stored."""
    return pb.Policy(
        name=row.name,
        sha256=row.sha256,
        users=row.users,
        canonical_json=row.canonical_json,
        stored_at=_moment_or_none(row.stored_at),
    )


def moment(value: datetime) -> Timestamp:
    """Write a moment."""
    message = Timestamp()
    message.FromDatetime(value.astimezone(UTC))
    return message


def duration(value: timedelta) -> Duration:
    """Write a span of time."""
    message = Duration()
    message.FromTimedelta(value)
    return message


def digits(value: Decimal | None) -> str:
    """Write a number's own digits; empty for none."""
    return "" if value is None else plain(value)


def _moment_or_none(value: datetime | None) -> Timestamp | None:
    return None if value is None else moment(value)


def _override_message(override: Override) -> pb.Override:
    return pb.Override(rule=override.rule, reason=override.reason, until=moment(override.until), actor=override.actor)


def _fill_message(fill: Fill) -> pb.Fill:
    return pb.Fill(
        fill_id=fill.fill_id,
        amount=plain(fill.amount),
        price=plain(fill.price),
        fee=digits(fill.fee),
        fee_currency=fill.fee_currency or "",
        taker=fill.taker,
        filled_at=moment(fill.filled_at),
    )


def _event_message(event: Event) -> pb.ExecutionEvent:
    return pb.ExecutionEvent(
        number=event.number,
        at=moment(event.at),
        type=event.type,
        from_status=pb.ExecutionStatus.Value(f"EXECUTION_STATUS_{event.from_status or 'UNSPECIFIED'}"),
        to_status=pb.ExecutionStatus.Value(f"EXECUTION_STATUS_{event.to_status}"),
        evidence_json=orjson.dumps(event.evidence).decode(),
    )
