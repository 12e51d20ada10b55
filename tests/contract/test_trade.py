"""TradeService as its callers see it, called through pytest-grpc's stub."""

import hashlib
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from protos.trade.v1 import trade_pb2 as pb
from protos.trade.v1.trade_pb2_grpc import TradeServiceStub
from standalone.system import System
from tests.contract.refusal import refused
from tests.contract.stored import Stored
from tests.contract.wishes import ALLOW, DENY, buy, denials, new_id, placement, rest, submission

FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
PERMISSION_DENIED = grpc.StatusCode.PERMISSION_DENIED
FAR_BELOW = "30000"
PATIENCE_SECONDS = 10.0


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[TradeServiceStub]:
    return TradeServiceStub


def key(request: Any) -> dict[str, str]:  # noqa: ANN401 - any message with both ids
    return {"user_id": request.user_id, "proposal_id": request.proposal_id}


def in_minutes(minutes: float) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(datetime.now(UTC) + timedelta(minutes=minutes))
    return moment


def approval(proposal: pb.Proposal, **more: Any) -> pb.ApproveProposalRequest:  # noqa: ANN401 - fields of many types
    return pb.ApproveProposalRequest(
        **{**key(proposal), "content_hash": proposal.content_hash, "approver": "bob@desk", **more}
    )


def until_status(stub: TradeServiceStub, wish: pb.PlaceOrderRequest, status: pb.ExecutionStatus.ValueType) -> None:
    """Wait for a status: an order may stay invisible at the exchange for some hundred milliseconds."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while stub.GetExecution(pb.GetExecutionRequest(**key(wish))).execution.status != status:
        assert time.monotonic() < ends
        time.sleep(0.05)


# --- submitted ---


def test_a_submitted_proposal_is_what_was_asked_for(grpc_stub: TradeServiceStub, user: str) -> None:
    wish = submission(user, valid_for=Duration(seconds=600), cancel_after=Duration(seconds=60))
    answer = grpc_stub.SubmitProposal(wish)
    found = answer.proposal
    assert answer.created
    assert (found.user_id, found.proposal_id, found.confidence, found.rationale) == (
        *key(wish).values(),
        75,
        "oversold",
    )
    assert found.terms == wish.terms
    assert found.status == pb.PROPOSAL_STATUS_PROPOSED
    assert found.submitted_by == "local"
    assert found.expires_at.ToDatetime() - found.submitted_at.ToDatetime() == timedelta(seconds=600)
    assert found.cancel_after == wish.cancel_after
    assert re.fullmatch("[0-9a-f]{64}", found.content_hash)
    assert not found.HasField("approval")
    assert grpc_stub.GetProposal(pb.GetProposalRequest(**key(wish))).proposal == found


def test_a_repeated_submission_answers_the_stored_proposal(grpc_stub: TradeServiceStub, user: str) -> None:
    wish = submission(user)
    first = grpc_stub.SubmitProposal(wish)
    again = grpc_stub.SubmitProposal(wish)
    assert not again.created
    assert again.proposal == first.proposal


def test_the_same_id_with_other_content_is_refused_and_the_fields_are_named(
    grpc_stub: TradeServiceStub, user: str
) -> None:
    wish = submission(user)
    grpc_stub.SubmitProposal(wish)
    other = submission(user, buy("60", "ETH-EUR"), proposal_id=wish.proposal_id, confidence=50)
    told = refused(lambda: grpc_stub.SubmitProposal(other))
    assert (told.code, told.reason) == (grpc.StatusCode.ALREADY_EXISTS, "PROPOSAL_MISMATCH")
    assert told.metadata == {"fields": "terms.market,terms.quote_amount,confidence"}


def test_a_placed_order_is_not_the_submitted_proposal_of_the_same_id(grpc_stub: TradeServiceStub, user: str) -> None:
    wish = submission(user)
    grpc_stub.SubmitProposal(wish)
    told = refused(
        lambda: grpc_stub.PlaceOrder(placement(user, proposal_id=wish.proposal_id, rationale=wish.rationale))
    )
    assert (told.reason, told.metadata) == ("PROPOSAL_MISMATCH", {"fields": "method"})


def test_the_same_id_of_another_user_is_another_proposal(grpc_stub: TradeServiceStub, user: str) -> None:
    wish = submission(user)
    grpc_stub.SubmitProposal(wish)
    told = refused(
        lambda: grpc_stub.GetProposal(pb.GetProposalRequest(user_id="x" + user, proposal_id=wish.proposal_id))
    )
    assert (told.code, told.reason) == (NOT_FOUND, "PROPOSAL_NOT_FOUND")
    other = submission("x" + user, buy("60"), proposal_id=wish.proposal_id)
    assert grpc_stub.SubmitProposal(other).created


def test_a_proposal_may_not_live_longer_than_the_policy_lets_it(
    grpc_stub: TradeServiceStub, user: str, stored: Stored
) -> None:
    wish = submission(user, valid_for=Duration(seconds=3601))
    told = refused(lambda: grpc_stub.SubmitProposal(wish))
    assert (told.code, told.reason, told.fields) == (INVALID_ARGUMENT, "INVALID_REQUEST", ["valid_for"])
    assert stored.value("SELECT count(*) FROM trade_proposals WHERE user_id = %(user)s", user=user) == 0


# --- approved, declined ---


def test_an_approval_is_bound_to_the_content_and_may_be_repeated(grpc_stub: TradeServiceStub, user: str) -> None:
    proposal = grpc_stub.SubmitProposal(submission(user, buy("150"))).proposal
    assert denials(grpc_stub.CheckProposal(pb.CheckProposalRequest(**key(proposal))).decision) == {
        "approval": "APPROVAL_REQUIRED"
    }
    approved = grpc_stub.ApproveProposal(approval(proposal)).proposal
    assert approved.status == pb.PROPOSAL_STATUS_APPROVED
    assert (approved.approval.approver, approved.approval.content_hash) == ("bob@desk", proposal.content_hash)
    assert grpc_stub.ApproveProposal(approval(proposal)).proposal == approved
    answer = grpc_stub.ExecuteProposal(pb.ExecuteProposalRequest(**key(proposal)))
    assert answer.execution.status == pb.EXECUTION_STATUS_FILLED


def test_an_approval_of_other_content_is_refused(grpc_stub: TradeServiceStub, user: str) -> None:
    proposal = grpc_stub.SubmitProposal(submission(user)).proposal
    told = refused(lambda: grpc_stub.ApproveProposal(approval(proposal, content_hash="0" * 64)))
    assert (told.code, told.reason) == (FAILED_PRECONDITION, "CONTENT_HASH_MISMATCH")
    assert told.metadata == {"content_hash": proposal.content_hash}
    assert told.states == [("CONTENT_HASH", proposal.content_hash)]


@pytest.mark.parametrize("approver", ["", "local"])
def test_a_submitter_may_not_approve(grpc_stub: TradeServiceStub, user: str, approver: str) -> None:
    proposal = grpc_stub.SubmitProposal(submission(user)).proposal
    told = refused(lambda: grpc_stub.ApproveProposal(approval(proposal, approver=approver)))
    assert (told.code, told.reason) == (PERMISSION_DENIED, "APPROVER_IS_SUBMITTER")


def test_an_override_is_added_by_a_second_approval_and_lets_the_order_pass(
    grpc_stub: TradeServiceStub, user: str
) -> None:
    grpc_stub.PlaceOrder(placement(user))
    proposal = grpc_stub.SubmitProposal(submission(user, buy("60"))).proposal
    check = pb.CheckProposalRequest(**key(proposal))
    assert denials(grpc_stub.CheckProposal(check).decision) == {"cooldown": "COOLDOWN"}
    assert not grpc_stub.ApproveProposal(approval(proposal)).proposal.overrides
    wanted = pb.Override(rule="cooldown", reason="drill", until=in_minutes(10), actor="somebody else")
    given = grpc_stub.ApproveProposal(approval(proposal, overrides=[wanted])).proposal.overrides
    assert [(each.rule, each.reason, each.actor) for each in given] == [("cooldown", "drill", "bob@desk")]
    decision = grpc_stub.CheckProposal(check).decision
    assert decision.outcome == ALLOW
    assert {each.rule: each.code for each in decision.verdicts}["cooldown"] == "OVERRIDDEN"


@pytest.mark.parametrize("minutes", [-1, 24 * 60 + 1])
def test_an_override_ends_in_the_future_within_a_day(grpc_stub: TradeServiceStub, user: str, minutes: float) -> None:
    proposal = grpc_stub.SubmitProposal(submission(user)).proposal
    good = pb.Override(rule="cooldown", reason="drill", until=in_minutes(10))
    bad = pb.Override(rule="anti_flip", reason="drill", until=in_minutes(minutes))
    told = refused(lambda: grpc_stub.ApproveProposal(approval(proposal, overrides=[good, bad])))
    assert (told.code, told.fields) == (INVALID_ARGUMENT, ["overrides[1].until"])
    assert grpc_stub.GetProposal(pb.GetProposalRequest(**key(proposal))).proposal == proposal


def test_a_declined_proposal_is_closed_for_good(grpc_stub: TradeServiceStub, user: str) -> None:
    proposal = grpc_stub.SubmitProposal(submission(user)).proposal
    decline = pb.DeclineProposalRequest(**key(proposal), reason="changed my mind")
    declined = grpc_stub.DeclineProposal(decline).proposal
    assert declined.status == pb.PROPOSAL_STATUS_DECLINED
    assert grpc_stub.DeclineProposal(decline).proposal == declined
    for call in (
        lambda: grpc_stub.ExecuteProposal(pb.ExecuteProposalRequest(**key(proposal))),
        lambda: grpc_stub.CheckProposal(pb.CheckProposalRequest(**key(proposal))),
        lambda: grpc_stub.ApproveProposal(approval(proposal)),
    ):
        told = refused(call)
        assert (told.code, told.reason) == (FAILED_PRECONDITION, "PROPOSAL_CLOSED")
        assert told.metadata == {"status": "DECLINED"}
        assert told.states == [("PROPOSAL_STATUS", "DECLINED")]


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
