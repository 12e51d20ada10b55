"""The main job with parties written by hand: permits, replays, starting again, and a database that is away."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast
from uuid import UUID

import pytest

from kernel.errors import Exhausted, Failure, NotFound, NotNow, Unavailable
from policy.model import DecisionOutcome, ExecutionStatus
from policy.policy import canonical_json
from tests.policy import given as rules
from tests.trade_service import fakes, given
from trade_service.authority import Order, SendAuthority
from trade_service.claiming import Claimed, Collided, Denied, Exists, Expire, Look, Reload
from trade_service.execute import CLAIM_ATTEMPTS_MAX, SETTLE_ATTEMPTS_MAX, Answer, Execute
from trade_service.execution import NOT_SENT, Judgement
from trade_service.judge import closed
from trade_service.policies import PolicyBook
from trade_service.ports import PolicyGeneration, PolicyRow
from trade_service.proposal import ProposalStatus
from trade_service.readiness import NOT_YET, Condition

ALLOW, DENY = DecisionOutcome.ALLOW, DecisionOutcome.DENY
PROPOSAL = fakes.stored()
ALLOWED, DENIED = (fakes.decided(each, PROPOSAL) for each in (ALLOW, DENY))
EXECUTION = fakes.execution()
FRESH = Look(PROPOSAL, None, None, 0.0)
DONE = Look(PROPOSAL, EXECUTION, ALLOWED, 5.0)


def claimed() -> Claimed:
    return Claimed(SendAuthority(Order("alice", "BTC-EUR", given.new_execution())), ALLOWED)


def in_force(number: int) -> PolicyGeneration:
    policy = rules.policy()
    row = PolicyRow(policy.sha256, policy.name, policy.users, canonical_json(policy))
    return PolicyGeneration(number, "carol", rules.NOW, (row,))


class Stage:
    """An Execute between parties of a test's own."""

    def __init__(
        self,
        *results: object,
        looks: tuple[Look | Exception | None, ...] = (FRESH,),
        remembered: Look | None = None,
        ready: bool = True,
    ) -> None:
        self.exchange, self.market, self.executions = fakes.Exchange(), fakes.Market(), fakes.Executions()
        self.claims = fakes.Claims(list(results), fakes.view(PROPOSAL))
        self.store = fakes.PolicyStore({number: in_force(number) for number in range(1, 10)})
        self.book = PolicyBook(cast("Any", self.store))
        self.readiness = given.readiness(ready=ready)
        self.execute = Execute(
            fakes.Proposals(list(looks), remembered),
            self.claims,
            self.executions,
            self.market,
            self.exchange,
            self.book,
            self.readiness,
            given.WINDOW_MS,
        )

    async def run(self) -> Answer:
        return await self.execute.execute("alice", PROPOSAL.content.proposal_id, "bot")

    async def fails(self) -> Failure:
        with pytest.raises(Failure) as failure:
            await self.run()
        return failure.value

    @property
    def permits_kept(self) -> int:
        return sum(1 - each.given_back for each in self.exchange.permits)


async def test_a_claimed_order_is_sent_once_settled_once_and_answered() -> None:
    result = claimed()
    stage = Stage(result)
    assert await stage.run() == Answer(ALLOWED, EXECUTION, replayed=False)
    assert [each.execution.execution_id for each in stage.exchange.created] == [result.authority.execution_id]
    assert stage.executions.settled == [(result.authority.execution_id, stage.exchange.settlement)]
    assert stage.permits_kept == 1


@pytest.mark.parametrize(
    ("result", "looks"),
    [(Denied(DENIED), (FRESH,)), (Exists(), (FRESH, DONE)), (fakes.DOWN, (FRESH,)), (Expire(), (FRESH,))],
)
async def test_a_permit_is_given_back_unless_something_is_sent(result: object, looks: tuple[Look, ...]) -> None:
    stage = Stage(result, looks=looks)
    await given.outcome(stage.run())
    assert (len(stage.exchange.permits), stage.permits_kept) == (1, 0)
    assert stage.exchange.created == []


async def test_without_a_permit_nothing_is_judged() -> None:
    stage = Stage("judge")
    stage.exchange.permits_left = 0
    failure = await stage.fails()
    assert isinstance(failure, Exhausted)
    assert (failure.reason, failure.retry_after_seconds) == ("EXCHANGE_RATE_EXHAUSTED", 7.0)
    assert stage.claims.judged == []


async def test_an_execution_that_exists_is_answered_without_a_claim_a_permit_or_a_fact() -> None:
    stage = Stage(looks=(DONE,), ready=False)
    assert await stage.run() == Answer(ALLOWED, EXECUTION, replayed=True)
    assert (stage.exchange.permits, stage.market.asked) == ([], 0)


async def test_a_claim_that_came_second_answers_the_first_ones_execution() -> None:
    stage = Stage(Exists(), looks=(FRESH, DONE))
    assert await stage.run() == Answer(ALLOWED, EXECUTION, replayed=True)
    assert stage.exchange.created == []


REMEMBERED = replace(FRESH, remembered=True)


async def test_a_remembered_proposal_is_claimed_without_a_look() -> None:
    stage = Stage(claimed(), looks=(None,), remembered=REMEMBERED)
    assert await stage.run() == Answer(ALLOWED, EXECUTION, replayed=False)


def no_permit(stage: Stage) -> None:
    stage.exchange.permits_left = 0


def not_ready(stage: Stage) -> None:
    stage.readiness.miss(Condition.ATTESTED, NOT_YET[Condition.ATTESTED])


def no_market(stage: Stage) -> None:
    def refuse() -> None:
        raise Unavailable("MARKET_UNAVAILABLE", "down")

    stage.market.meanwhile = refuse


OBSTACLES = pytest.mark.parametrize("obstacle", [no_permit, not_ready, no_market])


@OBSTACLES
async def test_what_was_done_elsewhere_is_answered_whatever_keeps_this_replica_from_claiming(
    obstacle: Callable[[Stage], None],
) -> None:
    stage = Stage(looks=(DONE,), remembered=REMEMBERED)
    obstacle(stage)
    assert await stage.run() == Answer(ALLOWED, EXECUTION, replayed=True)
    assert stage.exchange.created == []


@OBSTACLES
async def test_what_was_closed_elsewhere_is_closed_whatever_keeps_this_replica_from_claiming(
    obstacle: Callable[[Stage], None],
) -> None:
    stage = Stage(looks=(DECLINED_BY_SOMEONE,), remembered=REMEMBERED)
    obstacle(stage)
    assert (await stage.fails()).reason == "PROPOSAL_CLOSED"


async def test_a_commit_without_an_answer_is_told_as_such_though_the_execution_can_be_seen() -> None:
    failure = await Stage(fakes.DOWN, looks=(DONE,), remembered=REMEMBERED).fails()
    assert failure is fakes.DOWN


async def test_without_a_database_to_look_what_stood_in_the_way_is_told() -> None:
    stage = Stage(looks=(fakes.DOWN,), remembered=REMEMBERED)
    no_permit(stage)
    assert isinstance(await stage.fails(), Exhausted)


@OBSTACLES
@pytest.mark.parametrize("remembered", [None, REMEMBERED])
async def test_where_nothing_stands_the_obstacle_is_told(
    obstacle: Callable[[Stage], None], remembered: Look | None
) -> None:
    stage = Stage(remembered=remembered)
    obstacle(stage)
    assert isinstance(await stage.fails(), (Exhausted, Unavailable))
    assert stage.exchange.created == []


DECLINED_BY_DENIAL = Look(fakes.stored(ProposalStatus.DECLINED, placed=True), None, DENIED, 0.1)
DECLINED_BY_SOMEONE = Look(fakes.stored(ProposalStatus.DECLINED), None, None, 0.0)


async def test_a_placement_whose_twin_was_denied_meanwhile_answers_that_denial() -> None:
    stage = Stage(closed(ProposalStatus.DECLINED), looks=(FRESH, DECLINED_BY_DENIAL))
    assert await stage.run() == Answer(DENIED, None, replayed=True)
    assert stage.permits_kept == 0


async def test_a_proposal_someone_declined_meanwhile_is_closed() -> None:
    failure = await Stage(closed(ProposalStatus.DECLINED), looks=(FRESH, DECLINED_BY_SOMEONE)).fails()
    assert isinstance(failure, NotNow)
    assert failure.metadata == {"status": "DECLINED"}


@pytest.mark.parametrize(
    ("age", "placed", "status", "replayed"),
    [
        (0.9, False, ProposalStatus.PROPOSED, True),
        (1.0, False, ProposalStatus.PROPOSED, False),
        (0.0, False, ProposalStatus.APPROVED, True),
        (3600.0, True, ProposalStatus.DECLINED, True),
        (3600.0, True, ProposalStatus.PROPOSED, False),
    ],
)
async def test_a_recent_or_closing_denial_is_answered_again(
    age: float, status: ProposalStatus, *, placed: bool, replayed: bool
) -> None:
    look = Look(fakes.stored(status, placed=placed), None, DENIED, age)
    stage = Stage(Denied(DENIED), looks=(look,))
    assert await stage.run() == Answer(DENIED, None, replayed=replayed)
    assert stage.market.asked == (0 if replayed else 1)


@pytest.mark.parametrize("status", [ProposalStatus.DECLINED, ProposalStatus.EXPIRED, ProposalStatus.FAILED])
async def test_a_closed_proposal_is_not_claimed(status: ProposalStatus) -> None:
    failure = await Stage(looks=(Look(fakes.stored(status), None, DENIED, 0.1),)).fails()
    assert isinstance(failure, NotNow)
    assert failure.metadata == {"status": str(status)}


async def test_a_proposal_that_does_not_exist_is_not_found() -> None:
    assert isinstance(await Stage(looks=(None,)).fails(), NotFound)
    assert isinstance(await Stage(None).fails(), NotFound)


async def test_a_replica_that_is_not_ready_claims_nothing() -> None:
    failure = await Stage(claimed(), ready=False).fails()
    assert (type(failure), failure.reason) == (Unavailable, "NOT_READY")


async def test_without_an_attestation_nothing_is_claimed_and_a_check_is_answered() -> None:
    stage = Stage(claimed())
    stage.claims.seen = fakes.view(PROPOSAL, generation=4)
    stage.readiness.miss(Condition.ATTESTED, NOT_YET[Condition.ATTESTED])
    failure = await stage.fails()
    assert (type(failure), failure.reason) == (Unavailable, "KEY_NOT_ATTESTED")
    assert (stage.exchange.permits, stage.exchange.created) == ([], [])
    assert (await stage.execute.check("alice", PROPOSAL.content.proposal_id)).decision.outcome is ALLOW


async def test_an_attestation_lost_after_the_look_is_noticed_under_the_lock() -> None:
    stage = Stage("judge")
    stage.market.meanwhile = lambda: stage.readiness.miss(Condition.ATTESTED, NOT_YET[Condition.ATTESTED])
    assert (await stage.fails()).reason == "KEY_NOT_ATTESTED"
    assert stage.exchange.created == []


async def test_another_generation_is_loaded_and_the_claim_starts_again() -> None:
    stage = Stage(Reload(5), Collided(), claimed())
    assert (await stage.run()).replayed is False
    assert (stage.store.asked, stage.book.generation) == ([5], 5)
    assert [each.given_back for each in stage.exchange.permits] == [1, 1, 0]


async def test_a_claim_starts_again_twice_at_most() -> None:
    stage = Stage(*[Collided()] * 9)
    assert (await stage.fails()).reason == "CONTENTION"
    assert len(stage.claims.results) == 9 - CLAIM_ATTEMPTS_MAX
    assert stage.permits_kept == 0


async def test_a_settlement_waits_for_a_database_that_is_away_and_sends_nothing_again() -> None:
    stage = Stage(claimed())
    stage.executions.failures = 2
    assert await stage.run() == Answer(ALLOWED, EXECUTION, replayed=False)
    assert (stage.executions.calls, len(stage.exchange.created)) == (3, 1)


async def test_a_settlement_that_cannot_be_stored_says_that_the_order_was_sent() -> None:
    stage = Stage(claimed())
    stage.executions.failures = 99
    failure = await stage.fails()
    assert isinstance(failure, Unavailable)
    assert "the order was sent" in failure.message
    assert (stage.executions.calls, len(stage.exchange.created)) == (SETTLE_ATTEMPTS_MAX, 1)


async def test_an_order_too_late_for_its_window_is_settled_as_never_sent() -> None:
    late = given.new_execution(signed_monotonic=time.monotonic() - 4.6)
    stage = Stage(Claimed(SendAuthority(Order("alice", "BTC-EUR", late)), ALLOWED))
    await stage.run()
    assert stage.exchange.created == []
    ((_, settlement),) = stage.executions.settled
    assert (settlement.status, settlement.event) == (ExecutionStatus.NOT_PLACED, NOT_SENT)


async def test_a_check_judges_as_a_claim_would_and_spends_nothing() -> None:
    stage = Stage()
    stage.claims.seen = fakes.view(PROPOSAL, generation=4)
    checked = await stage.execute.check("alice", PROPOSAL.content.proposal_id)
    assert (checked.decision.outcome, checked.decision_id, checked.policy_generation) == (ALLOW, None, 4)
    assert (stage.exchange.permits, stage.exchange.created, stage.executions.calls) == ([], [], 0)


async def test_the_judge_is_given_the_policy_and_facts_at_hand() -> None:
    stage = Stage("judge", "judge", Exists(), looks=(FRESH, DONE))
    stage.claims.seen = fakes.view(PROPOSAL, generation=3)
    await given.outcome(stage.run())
    first, second = stage.claims.judged
    assert first == Reload(3)
    assert isinstance(second, Judgement)
    assert second.decision.outcome is ALLOW
    assert second.execution is not None
    assert second.execution.operator_id == given.OPERATOR_ID
    assert isinstance(second.execution.client_order_id, UUID)
