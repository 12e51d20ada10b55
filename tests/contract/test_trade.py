"""TradeService as its callers see it, called through pytest-grpc's stub."""

import hashlib
import time
from datetime import timedelta
from typing import Any

import grpc
import pytest

from protos.trade.v1 import trade_pb2 as pb
from protos.trade.v1.trade_pb2_grpc import TradeServiceStub
from standalone.system import System
from tests.contract.refusal import refused
from tests.contract.stored import Stored
from tests.contract.wishes import ALLOW, DENY, approval, buy, denials, key, new_id, placement, rest, submission

FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
PERMISSION_DENIED = grpc.StatusCode.PERMISSION_DENIED
FAR_BELOW = "30000"
PATIENCE_SECONDS = 10.0


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[TradeServiceStub]:
    return TradeServiceStub


def until_status(stub: TradeServiceStub, wish: pb.PlaceOrderRequest, status: pb.ExecutionStatus.ValueType) -> None:
    """Wait for a status: an order may stay invisible at the exchange for some hundred milliseconds."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while stub.GetExecution(pb.GetExecutionRequest(**key(wish))).execution.status != status:
        assert time.monotonic() < ends
        time.sleep(0.05)


# --- judged, executed ---


def test_a_check_stores_nothing_and_sends_nothing(
    grpc_stub: TradeServiceStub, user: str, stored: Stored, system: System
) -> None:
    proposal = grpc_stub.SubmitProposal(submission(user)).proposal
    before = stored.counts(), len(system.simulator.orders())
    decision = grpc_stub.CheckProposal(pb.CheckProposalRequest(**key(proposal))).decision
    assert (decision.outcome, decision.decision_id, decision.policy_name) == (ALLOW, "", "everybody")
    assert (stored.counts(), len(system.simulator.orders())) == before


def test_an_execution_trades_once_and_every_repeat_answers_it(
    grpc_stub: TradeServiceStub, user: str, system: System
) -> None:
    wish = submission(user)
    grpc_stub.SubmitProposal(wish)
    execute = pb.ExecuteProposalRequest(**key(wish))
    first, call = grpc_stub.ExecuteProposal.with_call(execute)
    execution = first.execution
    assert (first.replayed, first.decision.outcome) == (False, ALLOW)
    assert execution.status == pb.EXECUTION_STATUS_FILLED
    assert execution.terms == wish.terms
    assert {str(name): str(value) for name, value in call.trailing_metadata()}.items() >= {
        "interlock-decision-id": first.decision.decision_id,
        "interlock-execution-id": execution.execution_id,
    }.items()
    again = grpc_stub.ExecuteProposal(execute)
    assert again.replayed
    assert again.decision == first.decision
    assert again.execution.execution_id == execution.execution_id
    assert [order["orderId"] for order in system.simulator.orders(execution.client_order_id)] == [execution.order_id]
    [sent] = [each for each in system.simulator.requests(execution.client_order_id) if each["method"] == "POST"]
    assert sent["body_sha256"] == execution.body_sha256


def test_an_execution_is_told_in_full_and_fills_sum_up(grpc_stub: TradeServiceStub, user: str) -> None:
    wish = placement(user)
    placed = grpc_stub.PlaceOrder(wish)
    found = grpc_stub.GetExecution(pb.GetExecutionRequest(**key(wish))).execution
    assert (found.events[0].type, found.events[0].to_status) == ("CLAIMED", pb.EXECUTION_STATUS_SUBMITTING)
    assert found.events[-1].to_status == found.status == pb.EXECUTION_STATUS_FILLED
    assert [each.number for each in found.events] == list(range(1, len(found.events) + 1))
    assert found.fills == placed.execution.fills
    assert sum(float(each.amount) for each in found.fills) == pytest.approx(float(found.filled_amount))
    assert float(found.filled_quote) + float(found.fee_paid) <= 50
    assert found.HasField("settled_at")
    assert not found.HasField("cancel_requested_at")
    assert found.window.ToTimedelta() == timedelta(seconds=5)


def test_a_denial_is_an_answer_with_every_verdict(grpc_stub: TradeServiceStub, user: str, system: System) -> None:
    wish = submission(user, buy("1000", "XRP-EUR"), confidence=10)
    grpc_stub.SubmitProposal(wish)
    execute = pb.ExecuteProposalRequest(**key(wish))
    orders = len(system.simulator.orders())
    first, call = grpc_stub.ExecuteProposal.with_call(execute)
    assert first.decision.outcome == DENY
    assert not first.HasField("execution")
    assert (
        denials(first.decision).items()
        >= {
            "approval": "APPROVAL_REQUIRED",
            "allowlist": "MARKET_NOT_ALLOWED",
            "order_value": "ORDER_VALUE_ABOVE_MAX",
            "confidence": "CONFIDENCE_NOT_ALLOWED",
            "budget": "BUDGET_ORDER_VALUE",
        }.items()
    )
    rules = [each.rule for each in first.decision.verdicts]
    assert rules[:4] == ["trading_state", "market_rules", "unresolved", "approval"]
    assert len(rules) == len(set(rules)) == 13
    trailers = {str(name) for name, _ in call.trailing_metadata()}
    assert "interlock-decision-id" in trailers
    assert "interlock-execution-id" not in trailers
    again = grpc_stub.ExecuteProposal(execute)
    assert (again.replayed, again.decision) == (True, first.decision)
    assert grpc_stub.GetProposal(pb.GetProposalRequest(**key(wish))).proposal.status == pb.PROPOSAL_STATUS_PROPOSED
    assert len(system.simulator.orders()) == orders


def test_a_cooldown_says_when_it_ends(grpc_stub: TradeServiceStub, user: str) -> None:
    claimed_at = grpc_stub.PlaceOrder(placement(user)).execution.claimed_at.ToDatetime()
    decision = grpc_stub.PlaceOrder(placement(user, buy("60"))).decision
    [cooldown] = [each for each in decision.verdicts if each.rule == "cooldown"]
    assert cooldown.outcome == pb.VERDICT_OUTCOME_DENY
    wait = cooldown.next_possible_at.ToDatetime() - claimed_at
    assert timedelta(minutes=30) <= wait < timedelta(minutes=30, seconds=5)


def test_a_denied_place_order_closes_its_proposal_and_is_repeated(grpc_stub: TradeServiceStub, user: str) -> None:
    wish = placement(user, buy("50", "XRP-EUR"))
    first = grpc_stub.PlaceOrder(wish)
    assert (first.decision.outcome, first.proposal.status) == (DENY, pb.PROPOSAL_STATUS_DECLINED)
    assert denials(first.decision) == {"allowlist": "MARKET_NOT_ALLOWED"}
    again = grpc_stub.PlaceOrder(wish)
    assert again.replayed
    assert (again.decision, again.proposal) == (first.decision, first.proposal)
    execute = grpc_stub.ExecuteProposal(pb.ExecuteProposalRequest(**key(wish)))
    assert (execute.replayed, execute.decision) == (True, first.decision)


def test_a_placed_order_is_repeated_without_trading(grpc_stub: TradeServiceStub, user: str, system: System) -> None:
    wish = placement(user)
    first = grpc_stub.PlaceOrder(wish)
    assert (first.decision.outcome, first.replayed) == (ALLOW, False)
    assert first.proposal.status == pb.PROPOSAL_STATUS_EXECUTED
    again = grpc_stub.PlaceOrder(wish)
    assert again.replayed
    assert again.execution.execution_id == first.execution.execution_id
    assert len(system.simulator.orders(first.execution.client_order_id)) == 1


# --- cancelled ---


def test_a_resting_order_is_cancelled_and_a_final_one_is_not(grpc_stub: TradeServiceStub, user: str) -> None:
    wish = placement(user, rest(FAR_BELOW, "0.001"))
    placed = grpc_stub.PlaceOrder(wish)
    assert placed.execution.status == pb.EXECUTION_STATUS_SUBMITTED
    cancel = pb.CancelExecutionRequest(**key(wish), reason="drill")
    assert grpc_stub.CancelExecution(cancel).execution.HasField("cancel_requested_at")
    until_status(grpc_stub, wish, pb.EXECUTION_STATUS_CANCELED)
    told = refused(lambda: grpc_stub.CancelExecution(cancel))
    assert (told.code, told.reason, told.metadata) == (FAILED_PRECONDITION, "EXECUTION_FINAL", {"status": "CANCELED"})
    assert told.states == [("EXECUTION_STATUS", "CANCELED")]
    assert grpc_stub.GetProposal(pb.GetProposalRequest(**key(wish))).proposal.status == pb.PROPOSAL_STATUS_FAILED


# --- not there ---


@pytest.mark.parametrize(
    ("method", "request_type", "reason"),
    [
        ("GetProposal", pb.GetProposalRequest, "PROPOSAL_NOT_FOUND"),
        ("DeclineProposal", pb.DeclineProposalRequest, "PROPOSAL_NOT_FOUND"),
        ("CheckProposal", pb.CheckProposalRequest, "PROPOSAL_NOT_FOUND"),
        ("ExecuteProposal", pb.ExecuteProposalRequest, "PROPOSAL_NOT_FOUND"),
        ("GetExecution", pb.GetExecutionRequest, "EXECUTION_NOT_FOUND"),
        ("CancelExecution", pb.CancelExecutionRequest, "EXECUTION_NOT_FOUND"),
    ],
)
def test_what_is_not_there_is_not_found(
    grpc_stub: TradeServiceStub, user: str, method: str, request_type: type[Any], reason: str
) -> None:
    told = refused(lambda: getattr(grpc_stub, method)(request_type(user_id=user, proposal_id=new_id())))
    assert (told.code, told.reason) == (NOT_FOUND, reason)
    assert told.domain == "trade.interlock"


def test_approving_what_is_not_there_is_not_found(grpc_stub: TradeServiceStub, user: str) -> None:
    nothing = pb.Proposal(user_id=user, proposal_id=new_id(), content_hash=hashlib.sha256().hexdigest())
    assert refused(lambda: grpc_stub.ApproveProposal(approval(nothing))).reason == "PROPOSAL_NOT_FOUND"


def test_a_decision_that_is_not_there_is_not_found(grpc_stub: TradeServiceStub, user: str) -> None:
    told = refused(lambda: grpc_stub.GetDecision(pb.GetDecisionRequest(user_id=user, decision_id=new_id())))
    assert (told.code, told.reason) == (NOT_FOUND, "DECISION_NOT_FOUND")
