"""What the exchange shows of the whole account, and which of it our rows explain. Pure; `match` asks.

docs/decisions/0009-account-match.md says what is read, when, and why.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol, TypeAlias
from uuid import UUID

from policy.model import Side, Terms

OrderKey: TypeAlias = tuple[str, str]
"""Market and order id: the exchange does not promise that an order id is one of all markets."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What was asked for, as an order and our row must agree on it. None where that kind of order has no such field."""

    market: str
    side: Side
    amount: Decimal | None
    quote_amount: Decimal | None
    price: Decimal | None

    def is_of(self, asked: "Shape", *, made_smaller: bool) -> bool:
        """Say whether an order like this may be the one `asked` for: smaller only if the exchange made it so."""
        if self == asked:
            return True
        alike = (self.market, self.side, self.price) == (asked.market, asked.side, asked.price)
        smaller = _at_most(self.amount, asked.amount) and _at_most(self.quote_amount, asked.quote_amount)
        return made_smaller and alike and smaller


@dataclass(frozen=True, slots=True)
class AccountOrder:
    """One order of the account as the exchange lists it. Whoever made it chose `client_order_id`, if any."""

    order_id: str
    client_order_id: str | None
    operator_id: int | None
    shape: Shape
    created_at: datetime
    made_smaller: bool = False
    """The exchange took off what the account would have sold to itself."""

    @property
    def key(self) -> OrderKey:
        """What tells it from every other order."""
        return self.shape.market, self.order_id

    def __str__(self) -> str:
        """Name it as a person would look for it at the exchange."""
        return f"{self.shape.market} order {self.order_id} (client {self.client_order_id}, {self.created_at:%F %T} UTC)"


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """What one of our rows says of its order; `order_id` is None until the exchange has told it."""

    client_order_id: UUID
    operator_id: int
    order_id: str | None
    shape: Shape


class Comparison:
    """Sorts orders, page by page, into those our rows explain and those they do not; an order may come twice."""

    def __init__(self, operator_id: int) -> None:
        """Take the operator id of this deployment."""
        self._operator_id = operator_id
        self._bound: dict[UUID, OrderKey] = {}
        self._seen: set[OrderKey] = set()
        self._missing: dict[OrderKey, AccountOrder] = {}
        self._foreign: dict[OrderKey, AccountOrder] = {}

    @property
    def orders(self) -> int:
        """How many orders were looked at."""
        return len(self._seen)

    @property
    def missing(self) -> tuple[AccountOrder, ...]:
        """Orders with our operator id that no row explains, oldest first."""
        return tuple(sorted(self._missing.values(), key=lambda order: order.created_at))

    @property
    def foreign(self) -> tuple[AccountOrder, ...]:
        """Orders of somebody else: another operator id, or none; oldest first."""
        return tuple(sorted(self._foreign.values(), key=lambda order: order.created_at))

    def add(self, orders: Iterable[AccountOrder], rows: Mapping[UUID, KnownOrder]) -> None:
        """Sort these orders; `rows` are ours by client order id, read after the orders were."""
        for order in orders:
            self._seen.add(order.key)
            if self._explains(rows.get(client_order_id_of(order) or UUID(int=0)), order):
                continue
            kind = self._missing if order.operator_id == self._operator_id else self._foreign
            kind[order.key] = order

    def _explains(self, row: KnownOrder | None, order: AccountOrder) -> bool:
        # Cases: no row; a row that knows its order, which is this one or not; a row that does not know it yet: then
        # operator, market, side, amount and price must be those asked for (less only where the exchange made it so),
        # and only one order can be it.
        if row is None:
            return False
        if row.order_id is not None:
            return (row.shape.market, row.order_id) == order.key
        if row.operator_id != order.operator_id or not order.shape.is_of(row.shape, made_smaller=order.made_smaller):
            return False
        return self._bound.setdefault(row.client_order_id, order.key) == order.key


def client_order_id_of(order: AccountOrder) -> UUID | None:
    """Return the client order id as one of ours is written; None for any other text."""
    try:
        found = UUID(order.client_order_id or "")
    except ValueError:
        return None
    return found if str(found) == order.client_order_id else None


def _at_most(told: Decimal | None, asked: Decimal | None) -> bool:
    return told is None if asked is None else told is not None and told <= asked


def shape_of(terms: Terms) -> Shape:
    """Return what an order of these terms looks like."""
    return Shape(terms.market, terms.side, terms.amount, terms.quote_amount, terms.price)


class Account(Protocol):
    """The whole account at the exchange. Every read waits for its points, and may raise `Unavailable`."""

    operator_id: int

    def now_ms(self) -> int | None:
        """Return a lower bound of the exchange's clock; None when it is not known."""
        ...

    async def open_orders(self) -> Sequence[AccountOrder]:
        """Return every open order of every market; none when this replica's points never suffice (it says so)."""
        ...

    def orders(self, market: str, start_ms: int, end_ms: int) -> AsyncIterator[Sequence[AccountOrder]]:
        """Yield, page by page, every order of a market made in this span, open or not; at most 24 h."""
        ...


class MatchStore(Protocol):
    """Reads across users, with the reconciler's rights."""

    async def newest_ms(self) -> int | None:
        """Return the exchange's time at the newest claim; None when there never was one."""
        ...

    async def allowed_markets(self) -> frozenset[str]:
        """Return the markets of every policy that ever was in force: an order of ours was allowed by one of them."""
        ...

    async def known(self, client_order_ids: Collection[UUID]) -> Mapping[UUID, KnownOrder]:
        """Return our rows of these orders, by client order id."""
        ...
