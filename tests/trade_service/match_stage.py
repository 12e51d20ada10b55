"""A Match between an exchange, a database and a clock written by hand."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from kernel.errors import Unavailable
from policy.model import Scope, State
from tests.policy import given as rules
from tests.trade_service import given
from trade_service.account import AccountOrder, KnownOrder, client_order_id_of, shape_of
from trade_service.match import Match
from trade_service.readiness import Condition, Readiness
from trade_service.switch import Setting, Switch

NOW_MS = given.SIGNED_MS
MADE_AT = datetime.fromtimestamp(NOW_MS / 1000, UTC)


def order(number: int, operator_id: int | None = given.OPERATOR_ID, market: str = "BTC-EUR") -> AccountOrder:
    shape = shape_of(rules.limit(market=market))
    return AccountOrder(f"o{number}", str(UUID(int=number)), operator_id, shape, MADE_AT)


def row(of: AccountOrder) -> KnownOrder:
    client_order_id = client_order_id_of(of)
    assert client_order_id is not None
    return KnownOrder(client_order_id, of.operator_id or 0, of.order_id, of.shape)


@dataclass
class Account:
    """Lists what a test put there; remembers every span it was asked for."""

    listed: list[AccountOrder] = field(default_factory=list)
    opened: list[AccountOrder] = field(default_factory=list)
    failure: Unavailable | None = None
    clock_ms: int | None = NOW_MS
    asked: list[tuple[str, int, int]] = field(default_factory=list)
    operator_id: int = given.OPERATOR_ID

    def now_ms(self) -> int | None:
        return self.clock_ms

    async def open_orders(self) -> Sequence[AccountOrder]:
        if self.failure is not None:
            raise self.failure
        return self.opened

    async def orders(self, market: str, start_ms: int, end_ms: int) -> AsyncIterator[Sequence[AccountOrder]]:
        self.asked.append((market, start_ms, end_ms))
        for each in self.listed:
            if each.shape.market == market:
                yield [each]


@dataclass
class Store:
    """Our rows."""

    rows: list[AccountOrder] = field(default_factory=list)
    newest: int | None = None
    asked: int = 0

    async def newest_ms(self) -> int | None:
        return self.newest

    async def allowed_markets(self) -> frozenset[str]:
        return frozenset({"BTC-EUR"})

    async def known(self, client_order_ids: Collection[UUID]) -> Mapping[UUID, KnownOrder]:
        self.asked += 1
        found = [row(each) for each in self.rows]
        return {each.client_order_id: each for each in found if each.client_order_id in client_order_ids}


@dataclass
class Board:
    """The kill switch's board."""

    state: State = State.ACTIVE
    changed_at: datetime = MADE_AT - timedelta(days=30)
    cancels: bool = False
    settings: list[tuple[Setting, str]] = field(default_factory=list)

    async def switches(self) -> Sequence[Switch]:
        return [Switch(Scope.GLOBAL, "", self.state, self.cancels, 1, "", "carol", self.changed_at)]

    async def set_switch(self, setting: Setting, actor: str, _permit: object) -> None:
        self.settings.append((setting, actor))
        self.state = setting.state


class Stage:
    """A Match between parties of a test's own, and its clock."""

    def __init__(self, *, halts: bool = False, listed: frozenset[str] = frozenset()) -> None:
        self.now = 1000.0
        self.account, self.store, self.board = Account(), Store(), Board()
        self.readiness = Readiness()
        self.match = Match(
            self.account,
            self.store,
            cast("Any", self.board),
            self.readiness,
            lambda: listed,
            lambda: self.now,
            halts=halts,
        )

    async def round(self, seconds: float = 0.0) -> int:
        """Run a round that much later; returns how many lists it asked for."""
        self.now += seconds
        if self.account.clock_ms is not None:
            self.account.clock_ms += int(seconds * 1000)
        self.account.asked.clear()
        await self.match.round()
        return len(self.account.asked)

    def matched(self) -> bool:
        return self.readiness.holds(Condition.MATCHED)

    def told(self) -> Unavailable:
        """What a caller is told."""
        for condition in set(Condition) - {Condition.MATCHED}:
            self.readiness.meet(condition)
        self.readiness.know_deployment(given.DEPLOYMENT)
        with pytest.raises(Unavailable) as refused:
            self.readiness.require()
        return refused.value
