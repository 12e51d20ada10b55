"""Proposals as their submitters and approvers see them, called through pytest-grpc's stub."""

import re
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from protos.trade.v1 import trade_pb2 as pb
from protos.trade.v1.trade_pb2_grpc import TradeServiceStub
from tests.contract.refusal import refused
from tests.contract.stored import Stored
from tests.contract.wishes import ALLOW, approval, buy, denials, key, placement, submission

FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
PERMISSION_DENIED = grpc.StatusCode.PERMISSION_DENIED


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[TradeServiceStub]:
    return TradeServiceStub


def in_minutes(minutes: float) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(datetime.now(UTC) + timedelta(minutes=minutes))
    return moment


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
