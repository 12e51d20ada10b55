"""The pure part of a claim: when it begins again, when a proposal is over, what an allowing judgement fixes."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from kernel.errors import NotNow, Unavailable
from policy.model import DecisionOutcome, Side, Terms
from policy.policy import MissingReason, PolicyMissing
from tests.policy import given as rules
from tests.trade_service import fakes, given
from trade_service.claiming import Expire, Reload
from trade_service.execution import Judgement
from trade_service.judge import Gathered, client_order_id, facts_of, judge
from trade_service.ports import Aged
from trade_service.proposal import ProposalStatus, StoredProposal

MS = timedelta(milliseconds=1)
VIEW = fakes.view()


def expiring(left: timedelta) -> StoredProposal:
    return replace(fakes.stored(), expires_at=rules.NOW + left)


def judged(proposal: StoredProposal, **changes: object) -> Judgement:
    result = judge(fakes.view(proposal), given.bench(**changes))  # type: ignore[arg-type]
    assert isinstance(result, Judgement)
    return result


@pytest.mark.parametrize(("low", "high", "allowed"), [(1, 1, True), (0, 5, True), (2, 3, False), (0, 0, False)])
def test_a_replica_outside_the_protocol_claims_nothing(low: int, high: int, *, allowed: bool) -> None:
    view = fakes.view(protocol_min=low, protocol_max=high)
    if allowed:
        assert isinstance(judge(view, given.bench()), Judgement)
    else:
        with pytest.raises(Unavailable) as failure:
            judge(view, given.bench())
        assert (failure.value.reason, failure.value.metadata["max"]) == ("VERSION_SKEW", str(high))


@pytest.mark.parametrize("status", ProposalStatus)
def test_only_a_proposal_that_is_open_is_judged(status: ProposalStatus) -> None:
    view = fakes.view(fakes.stored(status))
    if status in {ProposalStatus.PROPOSED, ProposalStatus.APPROVED}:
        assert isinstance(judge(view, given.bench()), Judgement)
    else:
        with pytest.raises(NotNow) as failure:
            judge(view, given.bench())
        assert failure.value.metadata == {"status": str(status)}


@pytest.mark.parametrize(("seen", "at_hand"), [(1, 0), (0, 1), (7, 6), (6, 7)])
def test_another_generation_than_the_one_at_hand_begins_again(seen: int, at_hand: int) -> None:
    assert judge(fakes.view(generation=seen), given.bench(generation=at_hand)) == Reload(seen)


@pytest.mark.parametrize(
    ("left", "over"), [(1000 * MS, False), (999 * MS, True), (0 * MS, True), (-1000 * MS, True), (3600_000 * MS, False)]
)
def test_with_less_than_a_second_left_a_proposal_is_over(left: timedelta, *, over: bool) -> None:
    assert isinstance(judge(fakes.view(expiring(left)), given.bench()), Expire if over else Judgement)


@pytest.mark.parametrize(("left_ms", "window_ms"), [(1000, 1000), (4999, 4999), (5000, 5000), (5001, 5000)])
def test_the_window_ends_with_the_proposal(left_ms: int, window_ms: int) -> None:
    execution = judged(expiring(left_ms * MS)).execution
    assert execution is not None
    assert execution.window_ms == window_ms


def test_an_allowing_judgement_fixes_everything_that_will_be_sent() -> None:
    proposal = fakes.stored()
    bench = given.bench()
    result = judge(fakes.view(proposal), bench)
    assert isinstance(result, Judgement)
    execution = result.execution
    assert execution is not None
    order_id = client_order_id(given.DEPLOYMENT, "alice", proposal.content.proposal_id)
    assert (result.decision.outcome, result.decision_id) == (DecisionOutcome.ALLOW, bench.decision_id)
    assert execution.execution_id == bench.execution_id
    assert (execution.client_order_id, execution.operator_id) == (order_id, given.OPERATOR_ID)
    assert (execution.signed_timestamp_ms, execution.signed_monotonic) == (given.SIGNED_MS, bench.monotonic)
    assert execution.body == f"BTC-EUR {order_id}".encode()
    assert execution.worst_value == Decimal(50)


@pytest.mark.parametrize(
    ("terms", "worst"),
    [
        (rules.limit(amount="0.00123456", price="50001"), Decimal("0.00123456") * 50001),
        (rules.market_buy("77.77"), Decimal("77.77")),
        (rules.market_sell("0.001"), Decimal("0.001") * 49990),
    ],
)
def test_the_worst_value_is_the_order_value(terms: Terms, worst: Decimal) -> None:
    execution = judged(fakes.stored(terms=terms)).execution
    assert execution is not None
    assert execution.worst_value == worst


@pytest.mark.parametrize(
    "changes",
    [
        {"timestamp_ms": None},
        {"policy": PolicyMissing(MissingReason.NO_POLICY)},
        {"policy": rules.policy({"allowlist": {"markets": []}})},
    ],
)
def test_a_denying_judgement_carries_no_execution(changes: dict[str, object]) -> None:
    result = judged(fakes.stored(), closes=True, **changes)
    assert (result.decision.outcome, result.execution, result.closes) == (DecisionOutcome.DENY, None, True)


def test_the_client_order_id_is_the_same_for_ever_and_of_one_proposal() -> None:
    other = UUID(int=1)
    ids = {
        client_order_id(deployment, user, proposal)
        for deployment in (given.DEPLOYMENT, other)
        for user in ("alice", "bob")
        for proposal in (other, UUID(int=2))
    }
    assert len(ids) == 8
    assert {each.version for each in ids} == {5}
    assert client_order_id(given.DEPLOYMENT, "alice", other) == UUID("e4cf9c49-970e-5f82-960b-4a518ea792b2")


def test_facts_grow_older_until_they_are_judged() -> None:
    bench = given.bench()
    assert bench.gathered.quote is not None
    asked_at = bench.gathered.quote.asked_at
    facts = facts_of(VIEW, replace(bench, monotonic=asked_at + 2.5))
    assert facts.quote is not None
    assert facts.market_rules is not None
    assert (facts.quote.age_seconds, facts.market_rules.age_seconds) == (Decimal("3.5"), Decimal("12.5"))
    assert bench.gathered.quote == Aged(rules.quote(), asked_at)


def test_facts_that_were_not_gathered_are_missing() -> None:
    facts = facts_of(VIEW, given.bench(gathered=Gathered(None, None)))
    assert (facts.quote, facts.market_rules) == (None, None)


@pytest.mark.parametrize(
    ("ago", "back"),
    [
        (None, False),
        (timedelta(hours=1), False),
        (-timedelta(seconds=2), False),
        (-timedelta(seconds=2, microseconds=1), True),
    ],
)
def test_a_clock_that_went_back_more_than_two_seconds_is_noticed(ago: timedelta | None, *, back: bool) -> None:
    last = None if ago is None else rules.NOW - ago
    assert facts_of(fakes.view(last_decided_at=last), given.bench()).clock_went_back is back


def test_the_facts_are_what_was_read() -> None:
    past = (rules.execution(),)
    view = fakes.view(executions=past, history_complete=False, position=Decimal(3))
    facts = facts_of(view, given.bench(timestamp_ms=None))
    assert (facts.now, facts.executions, facts.history_complete) == (rules.NOW, past, False)
    assert (facts.position, facts.exchange_clock_known, facts.trading_states) == (Decimal(3), False, (rules.state(),))


def test_a_judgement_is_the_same_each_time() -> None:
    bench, view = given.bench(), fakes.view(fakes.stored(terms=rules.limit(Side.BUY)))
    assert judge(view, bench) == judge(view, bench)


def test_a_market_sell_that_no_rule_values_and_no_quote_can_is_a_denial_and_no_failure() -> None:
    policy = rules.policy({"order_value": {"disabled": "a test"}}, approval={"required": "false"})
    gathered = Gathered(given.bench().gathered.market_rules, None)
    result = judged(fakes.stored(terms=rules.market_sell()), policy=policy, gathered=gathered)
    assert (result.decision.outcome, result.execution) == (DecisionOutcome.DENY, None)
