"""How answers of the services look on the screen: decisions, executions, events."""

from protos.trade.v1 import trade_pb2 as pb
from standalone.client import moment
from standalone.screen import Column, table, values

RULE, CODE = Column("rule", 13), Column("verdict", 24)
OBSERVED, LIMIT, NEXT = Column("observed", 22), Column("limit", 20), Column("passes from", 11)


def show_proposal(proposal: pb.Proposal) -> None:
    """Show what is wanted, by whom."""
    terms = proposal.terms
    size = f"{terms.amount} at {terms.price}" if terms.price else f"for {terms.quote_amount}, at the market"
    side = pb.Side.Name(terms.side).removeprefix("SIDE_")
    values(proposal=f"{proposal.proposal_id}: {proposal.user_id} wants to {side} {terms.market} {size}")


def show_decision(decision: pb.Decision) -> None:
    """Show the outcome and every verdict."""
    outcome = pb.DecisionOutcome.Name(decision.outcome).removeprefix("DECISION_OUTCOME_")
    values(decision=f"{outcome} by policy {decision.policy_name}, generation {decision.policy_generation}")
    table((RULE, CODE, OBSERVED, LIMIT, NEXT), [_verdict_row(each) for each in decision.verdicts])


def show_denials(decision: pb.Decision) -> None:
    """Show the outcome and only the verdicts that deny."""
    outcome = pb.DecisionOutcome.Name(decision.outcome).removeprefix("DECISION_OUTCOME_")
    denials = [each for each in decision.verdicts if each.outcome != pb.VERDICT_OUTCOME_PASS]
    values(decision=f"{outcome}; {len(decision.verdicts)} rules judged, {len(denials)} against it")
    if denials:
        table((RULE, CODE, OBSERVED, LIMIT, NEXT), [_verdict_row(each) for each in denials])


def show_execution(execution: pb.Execution) -> None:
    """Show where an execution stands, and its fills."""
    values(
        execution=f"{execution.execution_id}  {status_word(execution)}",
        client_order_id=execution.client_order_id,
        exchange_order_id=execution.order_id or "not known",
        filled=f"{execution.filled_amount} for {execution.filled_quote}, fee {fee_of(execution)}",
    )
    if execution.fills:
        head = (Column("fill", 36), Column("amount", 14), Column("price", 12), Column("fee", 12), Column("at", 12))
        table(
            head,
            [(f.fill_id, f.amount, f.price, f.fee, f"{moment(f.filled_at):%H:%M:%S.%f}"[:-3]) for f in execution.fills],
        )


def show_events(execution: pb.Execution) -> None:
    """Show an execution's history."""
    head = (
        Column("event", 5),
        Column("at", 12),
        Column("what", 18),
        Column("status after", 12),
        Column("evidence", 41),
    )
    rows = [
        (
            str(each.number),
            f"{moment(each.at):%H:%M:%S.%f}"[:-3],
            each.type,
            pb.ExecutionStatus.Name(each.to_status).removeprefix("EXECUTION_STATUS_"),
            each.evidence_json,
        )
        for each in execution.events
    ]
    table(head, rows)


def status_word(execution: pb.Execution) -> str:
    """Return the status as the documents write it."""
    return pb.ExecutionStatus.Name(execution.status).removeprefix("EXECUTION_STATUS_")


def fee_of(execution: pb.Execution) -> str:
    """Return the fee paid with its asset."""
    return f"{execution.fee_paid} {execution.fee_currency}".strip()


def _verdict_row(verdict: pb.Verdict) -> tuple[str, ...]:
    when = f"{moment(verdict.next_possible_at):%H:%M:%S}" if verdict.HasField("next_possible_at") else ""
    code = verdict.code if verdict.outcome == pb.VERDICT_OUTCOME_PASS else f"{verdict.code} ✗"
    return verdict.rule, code, verdict.observed, verdict.limit, when
