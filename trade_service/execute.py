"""ExecuteProposal, PlaceOrder and CheckProposal: judge a proposal, and trade it once if every rule passes.

The way: look (no lock) → facts → claim (one transaction) → send (no transaction) → settle (one transaction) → answer.
Every repeat answers the same execution. No acknowledged commit, no send; and never a second send.

The first look at a proposal that this process stored may be from memory (`store/fresh.py`): a look decides nothing.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from kernel import logs
from kernel.errors import Exhausted, NotFound, NotNow, Unavailable
from kernel.ids import new_id
from policy.model import DecisionOutcome, Terms
from policy.needs import facts_needed
from trade_service import reasons
from trade_service.claiming import Claimed, ClaimResult, Collided, Denied, Exists, Expire, Look, Reload, View
from trade_service.counters import count_decision, count_settlement
from trade_service.execution import Execution, Judgement, Settlement, StoredDecision
from trade_service.gate import UserGate
from trade_service.judge import Bench, Gathered, closed, judge
from trade_service.policies import PolicyBook
from trade_service.ports import ClaimStore, Exchange, ExecutionStore, Market, ProposalStore
from trade_service.proposal import EXECUTABLE, ProposalStatus, StoredProposal
from trade_service.readiness import Readiness
from trade_service.send import send

CLAIM_ATTEMPTS_MAX: Final = 3
DENIAL_HOLDS_SECONDS: Final = 1.0
"""Denials of one proposal closer than this answer the last decision: hammering costs no judgement and no row."""
SETTLE_ATTEMPTS_MAX: Final = 6
SETTLE_FIRST_PAUSE_SECONDS: Final = 0.1
CONTENTION_RETRY_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller gets: the decision, the execution unless denied, and whether this call changed nothing."""

    decision: StoredDecision
    execution: Execution | None
    replayed: bool


class Execute:
    """The main job."""

    def __init__(
        self,
        proposals: ProposalStore,
        claims: ClaimStore,
        executions: ExecutionStore,
        market: Market,
        exchange: Exchange,
        policies: PolicyBook,
        readiness: Readiness,
        window_ms_max: int,
    ) -> None:
        """Take the parts; `app` names the real ones."""
        self._proposals = proposals
        self._claims = claims
        self._executions = executions
        self._market = market
        self._exchange = exchange
        self._policies = policies
        self._readiness = readiness
        self._window_ms_max = window_ms_max
        self._gate = UserGate()

    async def execute(self, user_id: str, proposal_id: UUID, actor: str, *, closes: bool = False) -> Answer:
        """Execute a proposal once. `closes`: a denial declines it (PlaceOrder).

        Raises:
            NotFound: no such proposal. NotNow: it is closed. Exhausted: no rate budget; nothing was judged.
            Unavailable: database, market_service or replica not able to; nothing was changed, or repeat to learn.
        """
        look = await self._proposals.first_look(user_id, proposal_id)
        if look is None:
            raise _not_found(proposal_id)
        known = _known(look)
        if known is not None:
            return known
        if look.proposal.status not in EXECUTABLE:
            raise closed(look.proposal.status)
        try:
            self._readiness.require()
            async with self._gate.pass_one(user_id):
                result = await self._claim(look.proposal, actor, closes=closes)
        except (NotNow, Exhausted, Unavailable) as failure:
            # Closed while this call waited, perhaps by the denial of its twin; or done elsewhere meanwhile.
            # A commit without an answer is told as what it is.
            may_be_done = look.remembered or isinstance(failure, NotNow)
            if failure.reason == reasons.DATABASE_UNAVAILABLE or not may_be_done:
                raise
            known = await self._standing(user_id, proposal_id)
            if known is None:
                raise
            return known
        return await self._follow(result, user_id, proposal_id)

    async def check(self, user_id: str, proposal_id: UUID) -> StoredDecision:
        """Judge as `execute` would, now; store nothing, lock nothing, spend nothing.

        Raises:
            As `execute`, but for the rate budget and for what only a claim must wait for.
        """
        deployment_id = self._readiness.require_deployment()
        for _ in range(CLAIM_ATTEMPTS_MAX):
            view = await self._claims.view(user_id, proposal_id)
            if view is None:
                raise _not_found(proposal_id)
            gathered = await self._gather(user_id, view.proposal.content.terms)
            judgement = judge(view, self._bench(user_id, gathered, deployment_id, closes=False))
            if isinstance(judgement, Expire):
                raise closed(ProposalStatus.EXPIRED)
            if isinstance(judgement, Judgement):
                return StoredDecision(None, user_id, proposal_id, judgement.decision, judgement.policy_generation)
            await self._policies.load(judgement.generation)
        raise _contended()

    async def _look(self, user_id: str, proposal_id: UUID) -> Look:
        look = await self._proposals.look(user_id, proposal_id)
        if look is None:
            raise _not_found(proposal_id)
        return look

    async def _standing(self, user_id: str, proposal_id: UUID) -> Answer | None:
        """Look for the answer that already stands; None when there is none, or no database to ask.

        Raises:
            NotFound: no such proposal. NotNow: it is closed.
        """
        try:
            look = await self._look(user_id, proposal_id)
        except Unavailable:
            return None
        known = _known(look)
        if known is None and look.proposal.status not in EXECUTABLE:
            raise closed(look.proposal.status)
        return known

    async def _claim(self, proposal: StoredProposal, actor: str, *, closes: bool) -> ClaimResult:
        """Claim, starting again when another generation is in force or a row moved; twice at most."""
        content = proposal.content
        for _ in range(CLAIM_ATTEMPTS_MAX):
            gathered = await self._gather(content.user_id, content.terms)
            result = await self._claim_once(content.user_id, content.proposal_id, actor, gathered, closes=closes)
            if isinstance(result, Reload):
                await self._policies.load(result.generation)
            elif not isinstance(result, Collided):
                return result
        raise _contended()

    async def _claim_once(
        self, user_id: str, proposal_id: UUID, actor: str, gathered: Gathered, *, closes: bool
    ) -> ClaimResult:
        permit = self._exchange.permit()
        if permit is None:
            message = "the exchange's rate budget for new orders is used up; nothing was judged"
            wait = self._exchange.retry_after_seconds()
            raise Exhausted(reasons.EXCHANGE_RATE_EXHAUSTED, message, retry_after_seconds=wait)
        result: ClaimResult | None = None

        def judge_view(view: View) -> Judgement | Expire | Reload:
            return judge(view, self._bench(user_id, gathered, self._readiness.require(), closes=closes))

        try:
            result = await self._claims.claim(user_id, proposal_id, actor, judge_view)
        finally:
            if not isinstance(result, Claimed):
                permit.give_back()
        if result is None:
            raise _not_found(proposal_id)
        return result

    async def _follow(self, result: ClaimResult, user_id: str, proposal_id: UUID) -> Answer:
        # Cases: ours to send; denied; another claim was first, so its execution is the answer; the time was over.
        match result:
            case Claimed(authority, decision):
                count_decision(decision.decision)
                settlement = await send(authority, self._exchange, time.monotonic)
                return Answer(decision, await self._settle(user_id, authority.execution_id, settlement), replayed=False)
            case Denied(decision):
                count_decision(decision.decision)
                return Answer(decision, None, replayed=False)
            case Exists():
                known = _known(await self._look(user_id, proposal_id))
                if known is None:
                    raise _contended()
                return known
            case _:
                raise closed(ProposalStatus.EXPIRED)

    async def _settle(self, user_id: str, execution_id: UUID, settlement: Settlement) -> Execution:
        """Write down what came of a send. The order is out: a database that is away is waited for, a while."""
        count_settlement(settlement)
        pause = SETTLE_FIRST_PAUSE_SECONDS
        for attempt in range(1, SETTLE_ATTEMPTS_MAX + 1):
            try:
                return await self._executions.settle(user_id, execution_id, settlement)
            except Unavailable as failure:
                logs.log("settle_failed", execution_id=str(execution_id), attempt=attempt, reason=failure.reason)
            await asyncio.sleep(pause)
            pause *= 2
        message = "the order was sent and its outcome is not yet stored; repeat the call to learn it"
        raise Unavailable(reasons.DATABASE_UNAVAILABLE, message, retry_after_seconds=pause)

    async def _gather(self, user_id: str, terms: Terms) -> Gathered:
        needs = facts_needed(self._policies.for_user(user_id), terms)
        rules = await self._market.market_rules(terms.market) if needs.market_rules else None
        if not needs.quote:
            return Gathered(rules, None)
        quote = await self._market.quote(terms.market, bids=needs.bids, asks=needs.asks, max_age=needs.max_quote_age)
        return Gathered(rules, quote)

    def _bench(self, user_id: str, gathered: Gathered, deployment_id: UUID, *, closes: bool) -> Bench:
        return Bench(
            policy=self._policies.for_user(user_id),
            generation=self._policies.generation,
            gathered=gathered,
            timestamp_ms=self._exchange.timestamp_ms(),
            monotonic=time.monotonic(),
            window_ms_max=self._window_ms_max,
            deployment_id=deployment_id,
            operator_id=self._exchange.operator_id,
            decision_id=new_id(),
            execution_id=new_id(),
            write_body=self._exchange.body,
            closes=closes,
        )


def _known(look: Look) -> Answer | None:
    """Return the answer that already stands, if any: the execution, a very recent denial, or a closing one."""
    decision = look.decision
    if decision is None:
        return None
    if look.execution is not None:
        return Answer(decision, look.execution, replayed=True)
    denied = decision.decision.outcome is DecisionOutcome.DENY
    closing = look.proposal.content.placed and look.proposal.status is ProposalStatus.DECLINED
    if denied and (closing or (look.decision_age_seconds < DENIAL_HOLDS_SECONDS and _executable(look))):
        return Answer(decision, None, replayed=True)
    return None


def _executable(look: Look) -> bool:
    return look.proposal.status in EXECUTABLE


def _not_found(proposal_id: UUID) -> NotFound:
    return NotFound(reasons.PROPOSAL_NOT_FOUND, f"no proposal {proposal_id} of this user")


def _contended() -> Unavailable:
    message = "claims of this user kept colliding; nothing was changed"
    return Unavailable(reasons.CONTENTION, message, retry_after_seconds=CONTENTION_RETRY_SECONDS)
