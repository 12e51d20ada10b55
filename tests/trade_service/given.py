"""What the tests of trade_service start from: proposals that may trade, judges, benches, answers of the exchange."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID, uuid4

from kernel.db import Database
from kernel.ids import new_id
from policy.model import Decision, DecisionOutcome, ExecutionStatus, Terms, Verdict, VerdictOutcome
from policy.policy import Policy, PolicyMissing
from tests.policy import given as rules
from trade_service.authority import SendAuthority
from trade_service.claiming import Claimed, ClaimResult, Expire, Judge, Reload, View
from trade_service.execution import UNRESOLVED, Fill, Judgement, NewExecution, OrderFacts, Settlement
from trade_service.judge import Bench, Gathered, judge
from trade_service.ports import Aged
from trade_service.proposal import Content, StoredProposal
from trade_service.readiness import Condition, Readiness
from trade_service.store.claim import ClaimRows
from trade_service.store.proposals import ProposalRows

ALICE = "alice"
BOT = "bot"
TTL = timedelta(hours=1)
OPERATOR_ID = 7
WINDOW_MS = 5000
SIGNED_MS = 1_790_000_000_000
DEPLOYMENT = UUID("00000000-0000-4000-8000-0000000000dd")
FILLED_AT = datetime(2026, 9, 24, 12, 0, 1, tzinfo=UTC)
ANY_OPEN = UNRESOLVED | {ExecutionStatus.SUBMITTED}
SENDER = frozenset({ExecutionStatus.SUBMITTING})

T = TypeVar("T")


async def outcome(work: Awaitable[T]) -> T | Exception:
    """What came of it, an exception as a value: a test asserts on either."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001 - any
        return error


async def together(*work: Awaitable[T]) -> list[T | Exception]:
    """All at once, exceptions as values."""
    return list(await asyncio.gather(*(outcome(each) for each in work)))


def content(terms: Terms | None = None, **changes: Any) -> Content:  # noqa: ANN401 - any field
    start = Content(ALICE, uuid4(), terms or rules.limit(), 75, "because", None, None, placed=False)
    return replace(start, **changes)


def readiness(*, ready: bool = True) -> Readiness:
    """Every condition met, or only that the deployment is known."""
    found = Readiness()
    found.know_deployment(DEPLOYMENT)
    for condition in Condition if ready else ():
        found.meet(condition)
    return found


def accept_any(_: StoredProposal) -> None:
    """For submits whose repeat is not under test."""


async def submitted(database: Database, wanted: Content | None = None, ttl: timedelta = TTL) -> StoredProposal:
    stored, created = await ProposalRows(database).submit(wanted or content(), BOT, ttl, refuse=accept_any)
    assert created
    return stored


def decision(outcome: DecisionOutcome, now: datetime = rules.NOW) -> Decision:
    passed = outcome is DecisionOutcome.ALLOW
    verdict = Verdict("allowlist", VerdictOutcome.PASS if passed else VerdictOutcome.DENY, "CODE", "a", "b", "why")
    return Decision(outcome, (verdict,), "tested", "", now)


def new_execution(**changes: Any) -> NewExecution:  # noqa: ANN401 - any field
    start = NewExecution(
        new_id(), uuid4(), OPERATOR_ID, SIGNED_MS, time.monotonic(), WINDOW_MS, b'{"amount":"0.001"}', Decimal(50)
    )
    return replace(start, **changes)


def allow(view: View) -> Judgement:
    """A judge that admits everything."""
    return Judgement(
        new_id(),
        decision(DecisionOutcome.ALLOW, view.now),
        rules.facts(),
        view.generation,
        new_execution(),
        closes=False,
    )


def deny(view: View) -> Judgement:
    """A judge that admits nothing."""
    return Judgement(
        new_id(), decision(DecisionOutcome.DENY, view.now), rules.facts(), view.generation, None, closes=False
    )


def bench(policy: Policy | PolicyMissing | None = None, market: str = "BTC-EUR", **changes: Any) -> Bench:  # noqa: ANN401
    """Everything a judgement needs beside the view, all facts fresh."""
    now = time.monotonic()
    base = market.partition("-")[0]
    gathered = Gathered(Aged(rules.market_rules(market=market, base=base), now), Aged(rules.quote(market=market), now))
    start = Bench(
        policy=policy or rules.policy(),
        generation=0,
        gathered=gathered,
        timestamp_ms=SIGNED_MS,
        monotonic=now,
        window_ms_max=WINDOW_MS,
        deployment_id=DEPLOYMENT,
        operator_id=OPERATOR_ID,
        decision_id=new_id(),
        execution_id=new_id(),
        write_body=lambda terms, order_id: f"{terms.market} {order_id}".encode(),
        closes=False,
    )
    return replace(start, **changes)


def aged(fact: T) -> Aged[T]:
    """A fact asked for just now."""
    return Aged(fact, time.monotonic())


def judged_by(policy: Policy | PolicyMissing | None = None, **changes: Any) -> Judge:  # noqa: ANN401 - any field
    """The real judge with everything at hand."""

    def judge_view(view: View) -> Judgement | Expire | Reload:
        return judge(view, bench(policy, view.proposal.content.terms.market, **changes))

    return judge_view


async def claim(database: Database, proposal: StoredProposal, judge_view: Judge = allow) -> ClaimResult | None:
    key = proposal.content
    return await ClaimRows(database).claim(key.user_id, key.proposal_id, BOT, judge_view)


async def claimed(database: Database, wanted: Content | None = None) -> tuple[StoredProposal, SendAuthority]:
    """A proposal that was just claimed, and the right to send it."""
    proposal = await submitted(database, wanted)
    result = await claim(database, proposal)
    assert isinstance(result, Claimed)
    return proposal, result.authority


def fill(fill_id: str = "f1", amount: str = "0.001", fee: str | None = "0.1", **changes: Any) -> Fill:  # noqa: ANN401
    paid = None if fee is None else Decimal(fee)
    currency = None if fee is None else "EUR"
    start = Fill(fill_id, Decimal(amount), Decimal(50000), paid, currency, taker=True, filled_at=FILLED_AT)
    return replace(start, **changes)


def order(*fills: Fill, order_id: str = "o1", status: str = "new") -> OrderFacts:
    """What the exchange says about an order with these fills."""
    return OrderFacts(
        order_id,
        status,
        sum((each.amount for each in fills), Decimal(0)),
        sum((each.amount * each.price for each in fills), Decimal(0)),
        sum((each.fee or Decimal(0) for each in fills), Decimal(0)),
        "EUR",
        fills,
    )


def settlement(
    status: ExecutionStatus,
    facts: OrderFacts | None = None,
    *,
    expected: frozenset[ExecutionStatus] = ANY_OPEN,
    event: str = "SETTLED",
    **changes: Any,  # noqa: ANN401 - any field
) -> Settlement:
    return Settlement(status, expected, event, {"seen": str(status)}, facts, **changes)


Read = Callable[..., list[Any]]
