"""AdminService as its callers see it: the kill switch, and policies in force by generation."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from protos.trade.v1 import trade_pb2 as pb
from protos.trade.v1.trade_pb2_grpc import AdminServiceStub, TradeServiceStub
from tests.contract.refusal import refused
from tests.contract.wishes import ALLOW, DENY, denials, placement, submission

ACTIVE, REDUCE_ONLY, HALTED = pb.TRADING_STATE_ACTIVE, pb.TRADING_STATE_REDUCE_ONLY, pb.TRADING_STATE_HALTED
Switch = Callable[..., pb.TradingSwitch]


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[AdminServiceStub]:
    return AdminServiceStub


@pytest.fixture
def switch(grpc_stub: AdminServiceStub) -> Iterator[Switch]:
    """Return a setter of the global switch; the switch is ACTIVE again afterwards."""

    def set_to(state: pb.TradingState.ValueType, **more: Any) -> pb.TradingSwitch:  # noqa: ANN401 - fields of many types
        wish = {"scope": pb.TRADING_SCOPE_GLOBAL, "reason": "drill", **more}
        return grpc_stub.SetTradingState(pb.SetTradingStateRequest(state=state, **wish)).switch

    yield set_to
    generation = set_to(HALTED).generation
    set_to(ACTIVE, expected_generation=generation)


def test_the_kill_switch_denies_at_once_and_is_loosened_only_knowingly(
    grpc_stub: AdminServiceStub, trade: TradeServiceStub, switch: Switch, user: str
) -> None:
    halted = switch(HALTED)
    assert (halted.state, halted.actor, halted.reason) == (HALTED, "local", "drill")
    assert grpc_stub.GetTradingState(pb.GetTradingStateRequest()).switches[0] == halted
    denied = trade.PlaceOrder(placement(user))
    assert denied.decision.outcome == DENY
    assert denials(denied.decision) == {"trading_state": "TRADING_HALTED"}
    for expected in (0, halted.generation - 1, halted.generation + 1):
        told = refused(lambda expected=expected: switch(ACTIVE, expected_generation=expected))  # type: ignore[misc]
        assert (told.code, told.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "GENERATION_MISMATCH")
        assert told.metadata == {"generation": str(halted.generation)}
        assert told.states == [("GENERATION", "GLOBAL")]
    active = switch(ACTIVE, expected_generation=halted.generation)
    assert (active.state, active.generation) == (ACTIVE, halted.generation + 1)
    assert trade.PlaceOrder(placement(user)).decision.outcome == ALLOW


def test_to_stop_cancelling_is_to_loosen(switch: Switch) -> None:
    cancelling = switch(HALTED, cancel_open_orders=True)
    told = refused(lambda: switch(HALTED))
    assert told.reason == "GENERATION_MISMATCH"
    kept = switch(HALTED, expected_generation=cancelling.generation)
    assert not kept.cancel_open_orders


def test_a_switch_of_one_user_or_market_holds_for_it_alone(
    grpc_stub: AdminServiceStub, trade: TradeServiceStub, user: str
) -> None:
    for scope, subject in ((pb.TRADING_SCOPE_USER, user), (pb.TRADING_SCOPE_MARKET, "ADA-EUR")):
        grpc_stub.SetTradingState(
            pb.SetTradingStateRequest(scope=scope, subject=subject, state=REDUCE_ONLY, reason="drill")
        )
    board = grpc_stub.GetTradingState(pb.GetTradingStateRequest()).switches
    scopes = [each.scope for each in board]
    assert scopes == sorted(scopes)
    assert {(each.subject, each.state) for each in board} >= {(user, REDUCE_ONLY), ("ADA-EUR", REDUCE_ONLY)}
    assert denials(trade.PlaceOrder(placement(user)).decision) == {"trading_state": "REDUCE_ONLY"}
    assert trade.PlaceOrder(placement("y" + user)).decision.outcome == ALLOW


@pytest.mark.parametrize(
    ("scope", "subject"),
    [
        (pb.TRADING_SCOPE_GLOBAL, "alice"),
        (pb.TRADING_SCOPE_MARKET, ""),
        (pb.TRADING_SCOPE_MARKET, "alice"),
        (pb.TRADING_SCOPE_USER, "BTC-EUR"),
    ],
)
def test_scope_and_subject_must_fit(
    grpc_stub: AdminServiceStub, scope: pb.TradingScope.ValueType, subject: str
) -> None:
    request = pb.SetTradingStateRequest(scope=scope, subject=subject, state=HALTED, reason="drill")
    told = refused(lambda: grpc_stub.SetTradingState(request))
    assert (told.code, told.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["subject"])


# --- policies ---


def test_the_policy_in_force_is_found_by_user_and_by_hash(grpc_stub: AdminServiceStub, user: str) -> None:
    listed = grpc_stub.ListPolicies(pb.ListPoliciesRequest())
    [policy] = listed.policies
    assert (policy.name, list(policy.users)) == ("everybody", ["*"])
    assert hashlib.sha256(policy.canonical_json.encode()).hexdigest() == policy.sha256
    for which in ({"user_id": user}, {"sha256": policy.sha256}):
        found = grpc_stub.GetPolicy(pb.GetPolicyRequest(**which))
        assert (found.policy, found.generation) == (policy, listed.generation)


def test_a_policy_that_never_was_is_not_found(grpc_stub: AdminServiceStub) -> None:
    told = refused(lambda: grpc_stub.GetPolicy(pb.GetPolicyRequest(sha256="0" * 64)))
    assert (told.code, told.reason) == (grpc.StatusCode.NOT_FOUND, "POLICY_NOT_FOUND")


def test_a_reload_without_a_change_changes_nothing(grpc_stub: AdminServiceStub) -> None:
    before = grpc_stub.ListPolicies(pb.ListPoliciesRequest())
    answer = grpc_stub.ReloadPolicies(pb.ReloadPoliciesRequest())
    assert (answer.changed, answer.generation) == (False, before.generation)
    assert list(answer.policies) == list(before.policies)


def test_one_bad_file_is_named_by_line_and_key_and_changes_nothing(grpc_stub: AdminServiceStub, policies: Path) -> None:
    before = grpc_stub.ListPolicies(pb.ListPoliciesRequest())
    good = (policies / "everybody.yaml").read_text()
    bad = policies / "bad.yaml"
    bad.write_text(
        good.replace('["*"]', "[dave]").replace('min: "25"', "min: lots").replace("period: 2h", "period: -1")
    )
    try:
        told = refused(lambda: grpc_stub.ReloadPolicies(pb.ReloadPoliciesRequest()))
    finally:
        bad.unlink()
    lines = good.splitlines()
    at = {
        key: next(n for n, line in enumerate(lines, 1) if f"  {key}:" in line) for key in ("order_value", "anti_flip")
    }
    assert (told.code, told.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "POLICY_INVALID")
    assert told.states == [
        ("POLICY_FILE", f"bad.yaml:{at['order_value']}"),
        ("POLICY_FILE", f"bad.yaml:{at['anti_flip']}"),
    ]
    texts = [each.description for each in told.details["PreconditionFailure"].violations]
    assert texts[0].startswith("rules.order_value.min: found 'lots'")
    assert texts[1].startswith("rules.anti_flip.period: found '-1'")
    assert grpc_stub.ListPolicies(pb.ListPoliciesRequest()) == before


def test_a_changed_directory_is_in_force_for_the_next_decision(
    grpc_stub: AdminServiceStub, trade: TradeServiceStub, policies: Path, user: str
) -> None:
    wish = submission(user)
    trade.SubmitProposal(wish)
    check = pb.CheckProposalRequest(user_id=user, proposal_id=wish.proposal_id)
    generation = trade.CheckProposal(check).decision.policy_generation
    stricter = (policies / "everybody.yaml").read_text().replace('["*"]', f"[{user}]").replace("[50, 75, 100]", "[100]")
    own = policies / "own.yaml"
    own.write_text(stricter.replace("name: everybody", "name: own"))
    try:
        answer = grpc_stub.ReloadPolicies(pb.ReloadPoliciesRequest())
        decision = trade.CheckProposal(check).decision
    finally:
        own.unlink()
        restored = grpc_stub.ReloadPolicies(pb.ReloadPoliciesRequest())
    assert (answer.changed, answer.generation) == (True, generation + 1)
    assert {each.name for each in answer.policies} == {"everybody", "own"}
    assert (decision.policy_name, decision.policy_generation) == ("own", generation + 1)
    assert denials(decision) == {"confidence": "CONFIDENCE_NOT_ALLOWED"}
    assert (restored.changed, restored.generation) == (True, generation + 2)
    assert trade.CheckProposal(check).decision.outcome == ALLOW
