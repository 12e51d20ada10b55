"""Parties behind the ports of trade_service, written by hand: each does what a test scripts, and remembers."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from kernel.errors import Unavailable
from policy.model import ExecutionStatus, MarketRules, Quote, Terms
from tests.policy import given as rules
from tests.trade_service import given
from trade_service.authority import Order
from trade_service.claiming import ClaimResult, Judge, Look, View
from trade_service.execution import Execution, Settlement, StoredDecision, Target
from trade_service.ports import Aged, Due, LookUp, PolicyGeneration, ProposalChange
from trade_service.proposal import Content, ProposalStatus, StoredProposal

FILLED = given.settlement(ExecutionStatus.FILLED, given.order(given.fill()))
DOWN = Unavailable("DATABASE_UNAVAILABLE", "down")


def stored(status: ProposalStatus = ProposalStatus.PROPOSED, **changes: Any) -> StoredProposal:  # noqa: ANN401
    content = given.content(**changes)
    expires = rules.NOW + timedelta(hours=1)
    return StoredProposal(content, content.content_hash(), status, "bot", rules.NOW, expires, None, ())


def view(proposal: StoredProposal | None = None, **changes: Any) -> View:  # noqa: ANN401
    values: dict[str, Any] = {
        "now": rules.NOW,
        "protocol_min": 1,
        "protocol_max": 1,
        "generation": 0,
        "proposal": proposal or stored(),
        "trading_states": (rules.state(),),
        "executions": (),
        "history_complete": True,
        "position": Decimal(0),
        "last_decided_at": None,
    }
    return View(**values | changes)


def execution(status: ExecutionStatus = ExecutionStatus.FILLED, **changes: Any) -> Execution:  # noqa: ANN401
    values: dict[str, Any] = {
        "execution_id": UUID(int=1),
        "proposal_id": UUID(int=2),
        "decision_id": UUID(int=3),
        "user_id": "alice",
        "terms": rules.limit(),
        "status": status,
        "client_order_id": UUID(int=4),
        "order_id": "o1",
        "exchange_status": "filled",
        "operator_id": given.OPERATOR_ID,
        "claimed_at": rules.NOW,
        "signed_timestamp_ms": given.SIGNED_MS,
        "window_ms": 5000,
        "body_sha256": "",
        **dict.fromkeys(("filled_amount", "filled_quote", "fee_paid"), Decimal(0)),
        "fee_currency": "",
        "reject_code": 0,
        **dict.fromkeys(("cancel_requested_at", "settled_at")),
    }
    return Execution(**values | changes)


def decided(outcome: Any, proposal: StoredProposal) -> StoredDecision:  # noqa: ANN401
    return StoredDecision(UUID(int=9), "alice", proposal.content.proposal_id, given.decision(outcome), 1)


@dataclass
class Permit:
    """Counts how often it came back."""

    given_back: int = 0

    def give_back(self) -> None:
        self.given_back += 1


@dataclass
class Exchange:
    """Answers a create with `settlement`, look-ups with `found`; `permits` runs out."""

    settlement: Settlement = FILLED
    found: Callable[[Target], LookUp] = lambda _: LookUp(answered=True, settlement=None)
    permits_left: int = 100
    operator_id: int = given.OPERATOR_ID
    permits: list[Permit] = field(default_factory=list)
    created: list[Order] = field(default_factory=list)
    cancelled: list[Target] = field(default_factory=list)
    looked_up: list[Target] = field(default_factory=list)

    def permit(self) -> Permit | None:
        if self.permits_left == 0:
            return None
        self.permits_left -= 1
        self.permits.append(Permit())
        return self.permits[-1]

    def retry_after_seconds(self) -> float:
        return 7.0

    def timestamp_ms(self) -> int | None:
        return given.SIGNED_MS

    def body(self, terms: Terms, client_order_id: UUID) -> bytes:
        return f"{terms.market} {client_order_id}".encode()

    async def create(self, order: Order) -> Settlement:
        self.created.append(order)
        return self.settlement

    async def look_up(self, target: Target) -> LookUp:
        self.looked_up.append(target)
        return self.found(target)

    async def cancel(self, target: Target) -> None:
        self.cancelled.append(target)


@dataclass
class Market:
    """Has every fact; `meanwhile` happens while it is asked."""

    asked: int = 0
    meanwhile: Callable[[], object] = lambda: None

    async def market_rules(self, market: str) -> Aged[MarketRules] | None:
        self.asked += 1
        self.meanwhile()
        return given.aged(rules.market_rules(market=market))

    async def quote(self, market: str, *, bids: int, asks: int, max_age: timedelta) -> Aged[Quote] | None:
        del bids, asks, max_age
        return given.aged(rules.quote(market=market))


@dataclass
class Proposals:
    """Looks are scripted, or fail; the last one stays. `remembered` is the first one, from memory, if there is one."""

    looks: list[Look | Exception | None]
    remembered: Look | None = None
    expired: list[tuple[str, UUID]] = field(default_factory=list)

    async def look(self, _user_id: str, _proposal_id: UUID) -> Look | None:
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, Exception):
            raise look
        return look

    async def first_look(self, user_id: str, proposal_id: UUID) -> Look | None:
        remembered, self.remembered = self.remembered, None
        return remembered or await self.look(user_id, proposal_id)

    async def submit(self, content: Content, *_: Any, **__: Any) -> tuple[StoredProposal, bool]:  # noqa: ANN401
        raise AssertionError(content)

    async def change(self, *_: Any) -> StoredProposal | None:  # noqa: ANN401
        raise AssertionError(ProposalChange)

    async def expire(self, user_id: str, proposal_id: UUID) -> StoredProposal | None:
        self.expired.append((user_id, proposal_id))
        return None


@dataclass
class Claims:
    """Claims are scripted: a result, an exception, or "judge" to answer what the judge says."""

    results: list[Any]
    seen: View
    judged: list[Any] = field(default_factory=list)

    async def view(self, _user_id: str, _proposal_id: UUID) -> View | None:
        return self.seen

    async def claim(self, _user_id: str, _proposal_id: UUID, _actor: str, judge: Judge) -> ClaimResult | None:
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        if result == "judge":
            self.judged.append(judge(self.seen))
            return self.judged[-1]  # type: ignore[no-any-return]
        return result  # type: ignore[no-any-return]


@dataclass
class Executions:
    """Settles with `answer`, after failing `failures` times."""

    answer: Execution = field(default_factory=execution)
    failures: int = 0
    settled: list[tuple[UUID, Settlement]] = field(default_factory=list)
    calls: int = 0

    async def settle(self, _user_id: str, execution_id: UUID, settlement: Settlement) -> Execution:
        self.calls += 1
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise DOWN
        self.settled.append((execution_id, settlement))
        return self.answer

    async def request_cancel(self, *_: Any) -> Execution | None:  # noqa: ANN401
        return self.answer

    async def execution(self, *_: Any, events: bool) -> Execution | None:  # noqa: ANN401
        raise AssertionError(events)


@dataclass
class Sweep:
    """What is due, as a test says."""

    due_now: Sequence[Due] = ()
    lapsed_now: Sequence[tuple[str, UUID]] = ()
    expired_now: Sequence[tuple[str, UUID]] = ()

    async def due(self, _limit: int) -> Sequence[Due]:
        return self.due_now

    async def lapsed(self, _limit: int) -> Sequence[tuple[str, UUID]]:
        return self.lapsed_now

    async def expired(self, _limit: int) -> Sequence[tuple[str, UUID]]:
        return self.expired_now


@dataclass
class Budget:
    """Remembers what was settled."""

    settled: list[tuple[UUID, Any]] = field(default_factory=list)

    async def settle(self, _user_id: str, reservation_id: UUID, outcome: Any) -> None:  # noqa: ANN401
        self.settled.append((reservation_id, outcome))


@dataclass
class PolicyStore:
    """Policies in force by generation; only what a book asks."""

    generations: dict[int, PolicyGeneration]
    asked: list[int | None] = field(default_factory=list)

    async def policies_in_force(self, generation: int | None = None) -> PolicyGeneration | None:
        self.asked.append(generation)
        return self.generations.get(generation or max(self.generations, default=0))
