"""The pure part of a claim: what was read under the lock becomes a judgement. Called inside the claim's transaction.

It asks nothing of anyone: facts were gathered before the lock, the policy is at hand, ids are handed in. What it
concludes is written by the store in the same transaction.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Final, TypeVar
from uuid import UUID

from kernel.errors import NotNow, StateViolation, Unavailable
from kernel.ids import deterministic_id
from policy.engine import decide
from policy.model import DecisionOutcome, Facts, MarketRules, Quote, Terms
from policy.policy import Policy, PolicyMissing
from policy.value import order_value
from trade_service import reasons
from trade_service.claiming import Expire, Reload, View
from trade_service.execution import Judgement, NewExecution
from trade_service.ports import Aged
from trade_service.proposal import EXECUTABLE, ProposalStatus, StoredProposal

OWN_PROTOCOL: Final = 1
"""The version of the claim this code speaks; the row in `protocol` says which may claim."""
EXPIRES_WITHIN: Final = timedelta(seconds=1)
"""With less than this left a proposal is over: its window would be too short to be useful."""
CLOCK_STEP_BACK_MAX: Final = timedelta(seconds=2)
VERSION_RETRY_SECONDS: Final = 5.0
AGE_DECIMALS: Final = 6

Fact = TypeVar("Fact", MarketRules, Quote)


@dataclass(frozen=True, slots=True)
class Gathered:
    """Facts fetched before the lock; each knows when our request for it left."""

    market_rules: Aged[MarketRules] | None
    quote: Aged[Quote] | None


@dataclass(frozen=True, slots=True)
class Bench:
    """What one judgement needs beside the view. `timestamp_ms` is the exchange's clock, None when not known.

    `write_body` turns terms and client order id into the bytes of the order.
    """

    policy: Policy | PolicyMissing
    generation: int
    gathered: Gathered
    timestamp_ms: int | None
    monotonic: float
    window_ms_max: int
    deployment_id: UUID
    operator_id: int
    decision_id: UUID
    execution_id: UUID
    write_body: Callable[[Terms, UUID], bytes]
    closes: bool


def judge(view: View, bench: Bench) -> Judgement | Expire | Reload:
    """Judge the proposal that `view` shows; an allowing judgement carries everything that will be sent.

    Raises:
        Unavailable: this replica may not claim on this database.
        NotNow: the proposal is closed.
    """
    _require_protocol(view)
    _require_executable(view.proposal)
    if view.generation != bench.generation:
        return Reload(view.generation)
    if view.proposal.expires_at - view.now < EXPIRES_WITHIN:
        return Expire()
    facts = facts_of(view, bench)
    decision = decide(bench.policy, view.proposal.judged(), facts)
    allowed = decision.outcome is DecisionOutcome.ALLOW
    execution = _execution(view, bench, facts) if allowed else None
    return Judgement(bench.decision_id, decision, facts, view.generation, execution, closes=bench.closes)


def facts_of(view: View, bench: Bench) -> Facts:
    """Put together all that the rules may look at. Ages are taken now, after the lock."""
    last = view.last_decided_at
    return Facts(
        now=view.now,
        trading_states=view.trading_states,
        market_rules=_aged(bench.gathered.market_rules, bench.monotonic),
        quote=_aged(bench.gathered.quote, bench.monotonic),
        executions=view.executions,
        history_complete=view.history_complete,
        position=view.position,
        clock_went_back=last is not None and view.now < last - CLOCK_STEP_BACK_MAX,
        exchange_clock_known=bench.timestamp_ms is not None,
    )


def closed(status: ProposalStatus) -> NotNow:
    """Return the failure that says a proposal can no longer be executed or changed."""
    message = f"the proposal is {status}; submit a new one under a new id"
    violation = StateViolation("PROPOSAL_STATUS", str(status), message)
    return NotNow(reasons.PROPOSAL_CLOSED, message, (violation,), metadata={"status": str(status)})


def _execution(view: View, bench: Bench, facts: Facts) -> NewExecution:
    content = view.proposal.content
    left_ms = int((view.proposal.expires_at - view.now) / timedelta(milliseconds=1))
    worst = order_value(content.terms, facts.quote)
    if bench.timestamp_ms is None or not isinstance(worst, Decimal):
        raise RuntimeError("a decision allowed an order without a clock or without a value")
    order_id = client_order_id(bench.deployment_id, content.user_id, content.proposal_id)
    return NewExecution(
        execution_id=bench.execution_id,
        client_order_id=order_id,
        operator_id=bench.operator_id,
        signed_timestamp_ms=bench.timestamp_ms,
        signed_monotonic=bench.monotonic,
        window_ms=min(bench.window_ms_max, left_ms),
        body=bench.write_body(content.terms, order_id),
        worst_value=worst,
    )


def client_order_id(deployment_id: UUID, user_id: str, proposal_id: UUID) -> UUID:
    """Return the id under which the exchange knows the order of a proposal: the same for ever."""
    return deterministic_id(deployment_id, user_id, str(proposal_id))


def _aged(fact: Aged[Fact] | None, monotonic: float) -> Fact | None:
    if fact is None:
        return None
    since_asked = Decimal(str(round(monotonic - fact.asked_at, AGE_DECIMALS)))
    return replace(fact.fact, age_seconds=fact.fact.age_seconds + since_asked)


def _require_protocol(view: View) -> None:
    if view.protocol_min <= OWN_PROTOCOL <= view.protocol_max:
        return
    found = {"min": str(view.protocol_min), "max": str(view.protocol_max), "own": str(OWN_PROTOCOL)}
    message = f"this replica speaks protocol {OWN_PROTOCOL}, the database allows {found['min']} to {found['max']}"
    raise Unavailable(reasons.VERSION_SKEW, message, retry_after_seconds=VERSION_RETRY_SECONDS, metadata=found)


def _require_executable(proposal: StoredProposal) -> None:
    if proposal.status not in EXECUTABLE:
        raise closed(proposal.status)
