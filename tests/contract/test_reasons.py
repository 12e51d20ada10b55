"""Every reason an error may give: how it is reached, and that it comes as the .proto's own comment says."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]  # the package has no stubs

from protos.trade.v1 import trade_pb2 as pb
from protos.trade.v1.trade_pb2_grpc import AdminServiceStub, BudgetServiceStub, TradeServiceStub
from standalone.system import System
from tests.contract.promises import keeps_its_promise
from tests.contract.refusal import Refusal, read, refused
from tests.contract.scene import Scene
from tests.contract.wishes import buy, new_id, placement, submission

PATIENCE_SECONDS: Final = 10.0


# --- what a request alone can cause ---


def invalid_request(scene: Scene) -> Refusal:
    return refused(lambda: scene.trade.GetProposal(pb.GetProposalRequest()))


def proposal_mismatch(scene: Scene) -> Refusal:
    stored = scene.submitted()
    other = submission(scene.user, buy("60"), proposal_id=stored.proposal_id)
    return refused(lambda: scene.trade.SubmitProposal(other))


def proposal_not_found(scene: Scene) -> Refusal:
    return refused(lambda: scene.trade.GetProposal(pb.GetProposalRequest(**scene.key())))


def execution_not_found(scene: Scene) -> Refusal:
    return refused(lambda: scene.trade.GetExecution(pb.GetExecutionRequest(**scene.key())))


def decision_not_found(scene: Scene) -> Refusal:
    return refused(lambda: scene.trade.GetDecision(pb.GetDecisionRequest(user_id=scene.user, decision_id=new_id())))


def policy_not_found(scene: Scene) -> Refusal:
    return refused(lambda: scene.admin.GetPolicy(pb.GetPolicyRequest(sha256="0" * 64)))


def reservation_not_found(scene: Scene) -> Refusal:
    request = pb.SettleBudgetRequest(user_id=scene.user, reservation_id=new_id(), outcome=pb.RESERVATION_STATUS_FAILED)
    return refused(lambda: scene.budget.SettleBudget(request))


def proposal_closed(scene: Scene) -> Refusal:
    proposal = scene.submitted()
    scene.trade.DeclineProposal(pb.DeclineProposalRequest(user_id=scene.user, proposal_id=proposal.proposal_id))
    return scene.execute(proposal)


def content_hash_mismatch(scene: Scene) -> Refusal:
    return scene.approve(scene.submitted(), "0" * 64, "bob")


def approver_is_submitter(scene: Scene) -> Refusal:
    proposal = scene.submitted()
    return scene.approve(proposal, proposal.content_hash, proposal.submitted_by)


def policy_invalid(scene: Scene) -> Refusal:
    bad = scene.policies / "bad.yaml"
    bad.write_text("kind: Nonsense\n")
    try:
        return refused(lambda: scene.admin.ReloadPolicies(pb.ReloadPoliciesRequest()))
    finally:
        bad.unlink()


def generation_mismatch(scene: Scene) -> Refusal:
    request = pb.SetTradingStateRequest(
        scope=pb.TRADING_SCOPE_USER, subject=scene.user, state=pb.TRADING_STATE_HALTED, reason="drill"
    )
    scene.admin.SetTradingState(request)
    request.state = pb.TRADING_STATE_ACTIVE
    return refused(lambda: scene.admin.SetTradingState(request))


def execution_final(scene: Scene) -> Refusal:
    wish = placement(scene.user)
    scene.trade.PlaceOrder(wish)
    cancel = pb.CancelExecutionRequest(user_id=scene.user, proposal_id=wish.proposal_id)
    return refused(lambda: scene.trade.CancelExecution(cancel))


def reservation_settled(scene: Scene) -> Refusal:
    request = pb.SettleBudgetRequest(user_id=scene.user, reservation_id=new_id(), outcome=pb.RESERVATION_STATUS_FAILED)
    scene.budget.ReserveBudget(pb.ReserveBudgetRequest(user_id=scene.user, reservation_id=request.reservation_id))
    scene.budget.SettleBudget(request)
    request.outcome = pb.RESERVATION_STATUS_SUCCEEDED
    return refused(lambda: scene.budget.SettleBudget(request))


def page_token_invalid(scene: Scene) -> Refusal:
    return refused(lambda: scene.trade.ListProposals(pb.ListProposalsRequest(user_id=scene.user, page_token="x")))


# --- what the state of things causes ---


def overloaded(scene: Scene) -> Refusal:
    """Open more health watches than are allowed; the one too many is refused."""
    with grpc.insecure_channel(scene.system.trade[0].address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(33)]
        for watch in watches:
            try:
                next(watch)
            except grpc.RpcError as error:
                return read(error)
    raise AssertionError("nobody was refused")


def database_unavailable(scene: Scene) -> Refusal:
    """Hold the user's lock for longer than anybody waits for it."""
    proposal = scene.submitted()
    with scene.connect("trade_service") as other:
        other.execute("SELECT set_config('app.user_id', %s, true)", [scene.user])
        locked = other.execute("SELECT 1 FROM users WHERE user_id = %s FOR UPDATE", [scene.user]).fetchone()
        assert locked is not None
        return scene.execute(proposal)


def version_skew(scene: Scene) -> Refusal:
    proposal = scene.submitted()
    with scene.connect("trade_owner") as owner:
        owner.execute("UPDATE protocol SET min = 2, max = 3")
        owner.commit()
        try:
            return scene.execute(proposal)
        finally:
            owner.execute("UPDATE protocol SET min = 1, max = 1")


def market_unavailable(scene: Scene) -> Refusal:
    proposal = scene.submitted()
    scene.system.market.kill()
    try:
        return scene.execute(proposal)
    finally:
        scene.system.market.restart()
        until_found_again(scene, proposal)


def until_found_again(scene: Scene, proposal: pb.Proposal) -> None:
    """Wait until trade_service has its connection to market_service again."""
    check = pb.CheckProposalRequest(user_id=proposal.user_id, proposal_id=proposal.proposal_id)
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            scene.trade.CheckProposal(check)
        except grpc.RpcError:
            assert time.monotonic() < ends
            time.sleep(0.05)
        else:
            return


def exchange_rate_exhausted(scene: Scene) -> Refusal:
    """Let the exchange ban us at one order, and try another."""
    with fault(scene, "POST", fault="ban", ms=300):
        scene.trade.PlaceOrder(placement(scene.user))
        told = scene.execute(scene.trade.SubmitProposal(submission("x" + scene.user)).proposal)
    restart_when_ready(scene)
    return told


def not_ready(scene: Scene) -> Refusal:
    """Lose an order's answer, start again, and let nobody ask the exchange about it."""
    with fault(scene, "POST", fault="drop_response", how="close"), fault(scene, "GET", times=1_000_000):
        answer = scene.trade.PlaceOrder(placement(scene.user))
        assert answer.execution.status == pb.EXECUTION_STATUS_UNKNOWN
        proposal = scene.trade.SubmitProposal(submission("x" + scene.user)).proposal
        service = scene.system.trade[0]
        service.kill()
        service.start()
        service.wait_listening()
        told = scene.execute(proposal)
    service.wait_ready()
    return told


def exchange_unavailable(scene: Scene) -> Refusal:
    """Start again while the exchange lists no orders."""
    proposal, service = scene.submitted(), scene.system.trade[0]
    with fault(scene, "GET", about="/v2/orders", times=1_000_000):
        service.kill()
        service.start()
        service.wait_listening()
        ends = time.monotonic() + PATIENCE_SECONDS
        while (told := scene.execute(proposal)).reason == "NOT_READY":
            assert time.monotonic() < ends
            time.sleep(0.05)
    service.wait_ready()
    return told


@contextmanager
def fault(scene: Scene, verb: str, *, about: str = "/v2/order", times: int = 1, **how: object) -> Iterator[None]:
    """Hurt the exchange's answers about orders."""
    wish = {"fault": "error_5xx_before", **how}
    simulator = scene.system.simulator
    made = simulator.admin("POST", "faults", match={"method": verb, "contains": about}, times=times, **wish)
    try:
        yield
    finally:
        simulator.admin("DELETE", f"faults?id={made['id']}")


def restart_when_ready(scene: Scene) -> None:
    """Start trade_service anew: what it knows of a ban is gone, and so is the ban."""
    scene.system.simulator.admin("POST", "limits", points_per_minute=1_000_000_000)
    scene.system.trade[0].kill()
    scene.system.trade[0].restart()


REACHED: Final[tuple[Callable[[Scene], Refusal], ...]] = (
    *(invalid_request, proposal_mismatch, proposal_not_found, execution_not_found, decision_not_found),
    *(policy_not_found, reservation_not_found, proposal_closed, content_hash_mismatch, approver_is_submitter),
    *(policy_invalid, generation_mismatch, execution_final, reservation_settled, page_token_invalid, overloaded),
    *(database_unavailable, version_skew, market_unavailable, exchange_rate_exhausted, not_ready, exchange_unavailable),
)


@pytest.fixture
def scene(
    system: System, trade: TradeServiceStub, admin: AdminServiceStub, policies: Path, user: str
) -> Iterator[Scene]:
    with grpc.insecure_channel(system.trade[0].address) as channel:
        yield Scene(system, trade, admin, BudgetServiceStub(channel), policies, user)


@pytest.mark.parametrize("way", REACHED, ids=lambda way: way.__name__)
def test_a_reason_comes_with_the_status_and_metadata_its_comment_promises(
    scene: Scene, way: Callable[[Scene], Refusal]
) -> None:
    keeps_its_promise(way(scene), way.__name__.upper(), "trade")
