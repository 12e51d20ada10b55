"""Pages of TradeService: newest first, nothing twice, tokens bound to their filter; decisions that can be replayed."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import grpc
import orjson
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from kernel.paging import token_after
from policy.canonical import policy_from_canonical
from policy.engine import decide
from policy.model import Approval, OrderType, Override, Proposal, Side, Terms, TimeInForce
from policy.record import facts_from_json
from protos.trade.v1 import trade_pb2 as pb
from protos.trade.v1.trade_pb2_grpc import AdminServiceStub, TradeServiceStub
from tests.contract.refusal import refused
from tests.contract.wishes import DENY, buy, new_id, placement, rest, submission


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[TradeServiceStub]:
    return TradeServiceStub


def pages(call: Any, request: Any, name: str) -> list[list[Any]]:  # noqa: ANN401 - any list's method and request
    """Follow the tokens to the end."""
    found: list[list[Any]] = []
    while not found or request.page_token:
        answer = call(request)
        found.append(list(getattr(answer, name)))
        request.page_token = answer.next_page_token
    return found


def test_proposals_are_listed_newest_first_by_status_and_market(grpc_stub: TradeServiceStub, user: str) -> None:
    markets = ["BTC-EUR", "ETH-EUR", "BTC-EUR", "SOL-EUR", "BTC-EUR"]
    wishes = [submission(user, buy(market=market)) for market in markets]
    for wish in wishes:
        grpc_stub.SubmitProposal(wish)
    grpc_stub.DeclineProposal(pb.DeclineProposalRequest(user_id=user, proposal_id=wishes[0].proposal_id))
    newest = [wish.proposal_id for wish in reversed(wishes)]

    def listed(**filters: Any) -> list[list[str]]:  # noqa: ANN401 - fields of many types
        request = pb.ListProposalsRequest(user_id=user, page_size=2, **filters)
        found = pages(grpc_stub.ListProposals, request, "proposals")
        return [[each.proposal_id for each in page] for page in found]

    assert listed() == [newest[:2], newest[2:4], newest[4:]]
    assert listed(market="BTC-EUR") == [[newest[0], newest[2]], [newest[4]]]
    assert listed(market="BTC-EUR", status=pb.PROPOSAL_STATUS_DECLINED) == [[newest[4]]]
    assert listed(status=pb.PROPOSAL_STATUS_EXECUTED) == [[]]


def test_executions_are_listed_newest_first_without_fills_and_events(grpc_stub: TradeServiceStub, user: str) -> None:
    for terms in (buy(), rest("1000", "0.03", "ETH-EUR")):
        assert grpc_stub.PlaceOrder(placement(user, terms)).HasField("execution")
    [[newest], [oldest], *rest_of] = pages(
        grpc_stub.ListExecutions, pb.ListExecutionsRequest(user_id=user, page_size=1), "executions"
    )
    assert [one.terms.market for one in (newest, oldest)] == ["ETH-EUR", "BTC-EUR"]
    assert not any(rest_of)
    assert not any((newest.fills, newest.events, oldest.fills, oldest.events))
    filled = pb.ListExecutionsRequest(user_id=user, status=pb.EXECUTION_STATUS_FILLED)
    assert [one.execution_id for one in grpc_stub.ListExecutions(filled).executions] == [oldest.execution_id]
    grpc_stub.CancelExecution(pb.CancelExecutionRequest(user_id=user, proposal_id=newest.proposal_id))


def test_decisions_are_listed_newest_first_without_facts(grpc_stub: TradeServiceStub, user: str) -> None:
    denied = placement(user, buy(market="XRP-EUR"))
    grpc_stub.PlaceOrder(denied)
    allowed = grpc_stub.PlaceOrder(placement(user)).decision
    both = grpc_stub.ListDecisions(pb.ListDecisionsRequest(user_id=user)).decisions
    assert both[0] == allowed
    assert both[1].proposal_id == denied.proposal_id
    assert not any(each.facts_json for each in both)
    for filters in ({"outcome": DENY}, {"proposal_id": denied.proposal_id}):
        request = pb.ListDecisionsRequest(user_id=user, **filters)
        assert list(grpc_stub.ListDecisions(request).decisions) == [both[1]]


def test_a_page_token_belongs_to_one_list_and_one_filter(grpc_stub: TradeServiceStub, user: str) -> None:
    for _ in range(2):
        grpc_stub.SubmitProposal(submission(user))
    token = grpc_stub.ListProposals(pb.ListProposalsRequest(user_id=user, page_size=1)).next_page_token
    forged = token_after("nonsense", f"proposals\n{user}\nNone\n")
    for call in (
        lambda: grpc_stub.ListProposals(pb.ListProposalsRequest(user_id="x" + user, page_token=token)),
        lambda: grpc_stub.ListProposals(pb.ListProposalsRequest(user_id=user, market="BTC-EUR", page_token=token)),
        lambda: grpc_stub.ListProposals(pb.ListProposalsRequest(user_id=user, page_token=token[:-4])),
        lambda: grpc_stub.ListProposals(pb.ListProposalsRequest(user_id=user, page_token=forged)),
        lambda: grpc_stub.ListExecutions(pb.ListExecutionsRequest(user_id=user, page_token=token)),
        lambda: grpc_stub.ListDecisions(pb.ListDecisionsRequest(user_id=user, page_token=token)),
    ):
        told = refused(call)
        assert (told.code, told.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
        assert told.fields == ["page_token"]


def test_an_absent_page_size_is_fifty(grpc_stub: TradeServiceStub, user: str) -> None:
    for _ in range(51):
        grpc_stub.SubmitProposal(submission(user))
    found = pages(grpc_stub.ListProposals, pb.ListProposalsRequest(user_id=user), "proposals")
    assert [len(page) for page in found] == [50, 1]


@pytest.mark.parametrize("terms", [buy(), buy("150", "XRP-EUR"), rest("30000", "0.001"), rest("30000.123", "7")])
def test_a_decision_is_replayed_from_what_it_stored(
    grpc_stub: TradeServiceStub, admin: AdminServiceStub, user: str, terms: pb.OrderTerms
) -> None:
    wish = submission(user, terms, proposal_id=new_id())
    before = grpc_stub.SubmitProposal(wish).proposal
    if terms.quote_amount == "150":
        before = grpc_stub.ApproveProposal(
            pb.ApproveProposalRequest(
                user_id=user, proposal_id=wish.proposal_id, content_hash=before.content_hash, approver="bob"
            )
        ).proposal
    answer = grpc_stub.ExecuteProposal(pb.ExecuteProposalRequest(user_id=user, proposal_id=wish.proposal_id))
    stored = grpc_stub.GetDecision(
        pb.GetDecisionRequest(user_id=user, decision_id=answer.decision.decision_id)
    ).decision
    policy = admin.GetPolicy(pb.GetPolicyRequest(sha256=stored.policy_sha256)).policy
    again = decide(
        policy_from_canonical(policy.canonical_json),
        proposal_of(before),
        facts_from_json(orjson.loads(stored.facts_json)),
    )
    assert pb.DecisionOutcome.Name(stored.outcome) == f"DECISION_OUTCOME_{again.outcome}"
    assert again.policy_sha256 == stored.policy_sha256
    told = [
        (each.rule, pb.VerdictOutcome.Name(each.outcome), each.code, each.observed, each.limit, each.message)
        for each in stored.verdicts
    ]
    assert told == [
        (each.rule, f"VERDICT_OUTCOME_{each.outcome}", each.code, each.observed, each.limit, each.message)
        for each in again.verdicts
    ]
    stored.facts_json = ""
    assert answer.decision == stored


def proposal_of(message: pb.Proposal) -> Proposal:
    """Read a proposal back into what the engine judges, from the answer alone."""
    return Proposal(
        user_id=message.user_id,
        proposal_id=UUID(message.proposal_id),
        terms=terms_of(message.terms),
        confidence=message.confidence,
        content_hash=message.content_hash,
        submitted_by=message.submitted_by,
        submitted_at=aware(message.submitted_at),
        expires_at=aware(message.expires_at),
        approval=Approval(message.approval.approver, message.approval.content_hash, aware(message.approval.approved_at))
        if message.HasField("approval")
        else None,
        overrides=tuple(Override(each.rule, each.actor, each.reason, aware(each.until)) for each in message.overrides),
    )


def terms_of(message: pb.OrderTerms) -> Terms:
    """Read the terms back."""
    tif = pb.TimeInForce.Name(message.time_in_force).removeprefix("TIME_IN_FORCE_")
    return Terms(
        market=message.market,
        side=Side(pb.Side.Name(message.side).removeprefix("SIDE_")),
        order_type=OrderType(pb.OrderType.Name(message.order_type).removeprefix("ORDER_TYPE_")),
        amount=Decimal(message.amount) if message.amount else None,
        price=Decimal(message.price) if message.price else None,
        quote_amount=Decimal(message.quote_amount) if message.quote_amount else None,
        time_in_force=None if tif == "UNSPECIFIED" else TimeInForce(tif),
        post_only=message.post_only,
    )


def aware(moment: Timestamp) -> datetime:
    """Return a moment in UTC."""
    return moment.ToDatetime(tzinfo=UTC)
