"""Jobs, claims and boots as tests need them, and hand-written parties on the other side of the ports."""
# ruff: noqa: ARG002 - a fake takes what the port gives

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID, uuid4

from kernel.db import Database, Reasons
from kernel.errors import Failure
from market_service.scan.holds import HoldRows
from market_service.scan.job import (
    AnalystKind,
    Claim,
    Content,
    End,
    Gate,
    MissedPolicy,
    Opinion,
    Pace,
    Side,
    Snapshot,
)
from market_service.scan.ports import AnalystError, Boot, Permission, Reserved, SettledAs, Usage

NOON = datetime(2026, 9, 24, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LEASE = timedelta(seconds=15)
NO_DELAY = timedelta(0)
REASONS = Reasons("DATABASE_UNAVAILABLE")
T = TypeVar("T")

CONTENT = Content(
    job_id=UUID("00000000-0000-4000-8000-000000000001"),
    user_id="alice",
    market="BTC-EUR",
    analyst=AnalystKind.RULES,
    pace=Pace(MINUTE, MINUTE, MINUTE, None),
    missed=MissedPolicy.LATEST_ONCE,
    backfill_max=0,
    scans_per_day=1_000,
    gate=Gate(),
    buy_quote_amount=Decimal(25),
    sell_amount=Decimal("0.001"),
    valid_for=None,
)
SNAPSHOT = Snapshot(
    "BTC-EUR", NOON, Decimal(75_000), Decimal("0.001"), Decimal("0.02"), Decimal("0.03"), Decimal("2.5")
)
OPINION = Opinion(Side.BUY, 75, Decimal(25), "it rises")


def content(**changes: Any) -> Content:  # noqa: ANN401
    return replace(CONTENT, **({"job_id": uuid4()} | changes))


def claim(content: Content = CONTENT, **changes: Any) -> Claim:  # noqa: ANN401
    given = Claim(
        content=content,
        pace=content.pace.every,
        next_slot=NOON,
        requested_slot=None,
        fence=1,
        failures=0,
        counted_on=date(1970, 1, 1),
        counted=0,
        now=NOON,
        attempt=1,
    )
    return replace(given, **changes)


def boot(name: str = "test/1") -> Boot:
    return Boot(uuid4(), name)


def database(url: str) -> Database:
    return Database(url, connections_max=4, reasons=REASONS)


def found(value: T | None) -> T:
    assert value is not None
    return value


class OneAtATime(HoldRows):
    """What one boot holds, in turns that either claim or end."""

    async def claim(self, lease: timedelta, limit: int) -> list[Claim]:
        return list((await self.turn((), lease, limit)).claims)

    async def end(self, ends: Sequence[End]) -> set[UUID]:
        return {job_id for job_id, _ in (await self.turn(ends, LEASE, 0)).ended}


class AtOnce:
    """Takes an end to the database as soon as a run leaves it."""

    def __init__(self, holds: HoldRows) -> None:
        self._holds = holds

    async def end(self, end: End) -> bool:
        return end.key in (await self._holds.turn([end], LEASE, 0)).ended


class MarketAt:
    """A market that always looks the same, or is not to be had."""

    def __init__(self, snapshot: Snapshot | Failure = SNAPSHOT) -> None:
        self.answer = snapshot

    async def snapshot(self, market: str) -> Snapshot:
        if isinstance(self.answer, Failure):
            raise self.answer
        return replace(self.answer, market=market)


@dataclass
class DeskOf:
    """A trade_service that remembers reservations, settlements and proposals by their ids."""

    budget: int = 1_000
    reserve_fails: Failure | None = None
    submit_fails: Failure | None = None
    reserved: set[UUID] = field(default_factory=set)
    settled: dict[UUID, SettledAs] = field(default_factory=dict)
    proposals: dict[UUID, Opinion] = field(default_factory=dict)

    async def reserve(self, user_id: str, reservation_id: UUID, purpose: str) -> Permission:
        if self.reserve_fails is not None:
            raise self.reserve_fails
        if reservation_id in self.reserved:
            return Permission(Reserved.REPEATED, 0)
        if len(self.reserved) >= self.budget:
            return Permission(Reserved.DENIED, 0)
        self.reserved.add(reservation_id)
        return Permission(Reserved.CREATED, 30)

    async def settle(self, user_id: str, reservation_id: UUID, outcome: SettledAs, usage: Usage) -> None:
        self.settled[reservation_id] = outcome

    async def submit(self, content: Content, proposal_id: UUID, opinion: Opinion, rationale: str) -> None:
        if self.submit_fails is not None:
            raise self.submit_fails
        assert self.proposals.setdefault(proposal_id, opinion) == opinion


class AnalystOf:
    """An analyst that says what it is told to, and counts."""

    def __init__(self, answer: Opinion | AnalystError = OPINION, kind: AnalystKind = AnalystKind.RULES) -> None:
        self.kind = kind
        self.answer = answer
        self.calls = 0

    async def judge(self, content: Content, snapshot: Snapshot) -> tuple[Opinion, Usage]:
        self.calls += 1
        if isinstance(self.answer, AnalystError):
            raise self.answer
        return self.answer, Usage()
