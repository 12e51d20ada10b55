"""Every reason an error may give: how it is reached, and that it comes as the .proto's own comment says."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]  # the package has no stubs

import kernel.rpc.reasons
import market_service.reasons
import trade_service.reasons
from protos.market.v1 import market_pb2
from protos.trade.v1 import trade_pb2 as pb
from protos.trade.v1.trade_pb2_grpc import AdminServiceStub, BudgetServiceStub, TradeServiceStub
from standalone.system import System
from tests.contract import test_scan_reasons
from tests.contract.promises import keeps_its_promise
from tests.contract.refusal import Refusal, read, refused
from tests.contract.wishes import buy, new_id, placement, submission

ROOT: Final = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Scene:
    """What a way to an error may use."""

    system: System
    trade: TradeServiceStub
    admin: AdminServiceStub
    budget: BudgetServiceStub
    policies: Path
    user: str

    def key(self) -> dict[str, str]:
        """Return both ids of something nobody has."""
        return {"user_id": self.user, "proposal_id": new_id()}

    def submitted(self) -> pb.Proposal:
        """Return a proposal that the policy allows."""
        return self.trade.SubmitProposal(submission(self.user)).proposal

    def execute(self, proposal: pb.Proposal) -> Refusal:
        """Execute a proposal, to be refused."""
        request = pb.ExecuteProposalRequest(user_id=proposal.user_id, proposal_id=proposal.proposal_id)
        return refused(lambda: self.trade.ExecuteProposal(request, wait_for_ready=True))

    def approve(self, proposal: pb.Proposal, content_hash: str, approver: str) -> Refusal:
        """Approve a proposal, to be refused."""
        request = pb.ApproveProposalRequest(
            user_id=self.user, proposal_id=proposal.proposal_id, content_hash=content_hash, approver=approver
        )
        return refused(lambda: self.trade.ApproveProposal(request))

    def connect(self, role: str) -> "psycopg.Connection[tuple[Any, ...]]":
        """Connect to the trade database as a role."""
        return psycopg.connect(self.system.database_url(role))


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

KERNEL: Final = "tests/kernel/test_rpc_errors.py"
REACHED_ELSEWHERE: Final = {
    "RIGHT_MISSING": (KERNEL, "test_an_actor_without_the_right_is_refused_by_name"),  # on loopback all rights are there
    "DEADLINE_EXCEEDED": (KERNEL, "test_a_call_without_a_deadline_gets_one"),  # here it would take thirty seconds
    "INTERNAL": (KERNEL, "test_an_unforeseen_error_leaks_nothing_and_is_logged_with_its_trace"),  # none is known here
    "KEY_NOT_ATTESTED": (
        "tests/trade_service/test_execute.py",
        "test_without_an_attestation_nothing_is_claimed_and_a_check_is_answered",
    ),
    "ACCOUNT_NOT_MATCHED": (  # freezes the database it happens to
        "tests/e2e/test_restore.py",
        "test_g1_after_a_restore_nothing_trades_until_the_lost_rows_are_back",
    ),
}
NEVER_SENT_YET: Final = {
    "UNSPECIFIED": "never sent, by its own comment",
    "USER_NOT_ALLOWED": "callers are told apart by certificate; on loopback there is one, who may act for all",
}
CHANCE: Final = {
    "CONTENTION": "needs three collisions of one claim in a row, or policies that change three times within it",
}

MARKET_TESTS: Final = "tests/market_service"
MARKET: Final = {
    "INVALID_REQUEST": ("test_contract.py", "test_bad_input_is_answered_with_every_wrong_field"),
    "PAGE_TOKEN_INVALID": ("test_contract.py", "test_list_markets_filters_and_binds_its_token_to_the_filter"),
    "MARKET_UNKNOWN": ("test_contract.py", "test_an_unknown_market_is_not_found_and_costs_no_request"),
    "MARKET_DATA_UNAVAILABLE": ("test_outages.py", "test_a_halted_market_has_no_book_and_the_others_have"),
    "TOO_OLD": ("test_outages.py", "test_an_answer_that_takes_longer_than_allowed_is_too_old"),
    "EXCHANGE_UNAVAILABLE": ("test_outages.py", "test_an_exchange_that_hangs_is_given_up"),
    "EXCHANGE_UNREADABLE": ("test_outages.py", "test_a_page_of_html_is_unreadable_and_gone_with_the_next_question"),
    "EXCHANGE_BAN": ("test_outages.py", "test_a_ban_is_told_with_its_end_and_nothing_is_sent_meanwhile"),
    "EXCHANGE_REFUSED": ("test_exchange.py", ""),  # one row of a table
    "RATE_BUDGET": ("test_exchange.py", "test_the_accounts_reads_stop_at_our_share_of_its_points"),
    "READONLY_KEY_MISSING": ("test_outages.py", "test_without_a_key_public_data_is_served_and_the_account_is_not"),
    "KEY_NOT_ATTESTED": ("test_exchange.py", "test_without_an_attestation_the_account_is_not_read_and_prices_are"),
    "READONLY_KEY_REFUSED": ("test_outages.py", "test_a_key_without_the_right_to_view_is_refused_as_a_state"),
    "RESUME_TOKEN_INVALID": ("live/test_streams.py", "test_a_resume_token_of_another_market_is_refused"),
    "STOPPING": ("live/test_streams.py", "test_a_drain_ends_every_stream_with_a_status_that_says_why"),
    "SCANS_OFF": ("scan/test_jobs.py", "test_without_a_database_every_method_says_so"),
}
KERNEL_GIVES: Final = {"RIGHT_MISSING", "DEADLINE_EXCEEDED", "INTERNAL", "OVERLOADED"}


# --- the tests ---


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


def named(package: ModuleType) -> set[str]:
    """Return the reasons of a .proto."""
    values: Any = package.ErrorReason.keys()
    return {str(name).removeprefix("ERROR_REASON_") for name in values}


def test_every_reason_of_trade_service_has_its_place_here() -> None:
    reached = {way.__name__.upper() for way in REACHED}
    places = [reached, set(REACHED_ELSEWHERE), set(NEVER_SENT_YET), set(CHANCE)]
    assert set().union(*places) == named(pb)
    assert sum(map(len, places)) == len(named(pb))


def test_every_reason_of_market_service_has_its_place_here() -> None:
    scans = {way.__name__.upper() for way in test_scan_reasons.WAYS}
    assert {"UNSPECIFIED"} | set(MARKET) | scans | KERNEL_GIVES == named(market_pb2)


@pytest.mark.parametrize(
    ("reason", "file", "test"),
    [(reason, file, test) for reason, (file, test) in REACHED_ELSEWHERE.items()]
    + [(reason, f"{MARKET_TESTS}/{file}", test) for reason, (file, test) in MARKET.items()],
)
def test_a_reason_reached_elsewhere_is_reached_there(reason: str, file: str, test: str) -> None:
    text = (ROOT / file).read_text()
    assert f"def {test}" in text
    assert reason in text or f"reasons.{reason}" in text or test.endswith("refused_by_name")
    assert not test or test.startswith("test_")


def test_the_reasons_in_the_code_are_those_of_the_proto() -> None:
    own = constants(trade_service.reasons) | constants(kernel.rpc.reasons)
    assert own | set(NEVER_SENT_YET) >= named(pb)
    assert own <= named(pb)
    assert constants(market_service.reasons) | constants(kernel.rpc.reasons) | {"UNSPECIFIED"} == named(market_pb2)


def test_a_reason_that_is_never_sent_is_given_nowhere() -> None:
    given = "".join(path.read_text() for path in (ROOT / "trade_service").rglob("*.py") if path.name != "reasons.py")
    assert [reason for reason in NEVER_SENT_YET if f"reasons.{reason}" in given] == []


def constants(module: ModuleType) -> set[str]:
    """Return the reasons a module names; each is spelt like its value."""
    found = {name: value for name, value in vars(module).items() if name.isupper()}
    assert all(name == value for name, value in found.items())
    return set(found)
