"""One market's resting orders in price-time priority. Pure: no clock, no money, no network."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from exchange_sim.order import Order


@dataclass(slots=True)
class Level:
    """The orders of one price in the order of their arrival."""

    price: int
    total: int = 0
    queue: dict[Order, None] = field(default_factory=dict)

    def orders(self) -> Iterator[Order]:
        """The orders, oldest first."""
        return iter(self.queue)


class Side:
    """One side of a book. `rank` is the price, or its negative for asks, so that the best level is always last."""

    def __init__(self, *, is_buy: bool) -> None:
        """Start empty."""
        self._sign = 1 if is_buy else -1
        self._ranks: list[int] = []
        self._levels: dict[int, Level] = {}
        # Prices whose total changed since it was last asked.
        self.changed: set[int] = set()

    def best(self) -> Level | None:
        """The best level, or nothing."""
        return self._levels[self._ranks[-1]] if self._ranks else None

    def levels(self) -> Iterator[Level]:
        """All levels, best first."""
        return (self._levels[rank] for rank in reversed(self._ranks))

    def take_changes(self) -> list[tuple[int, int]]:
        """The levels that changed since the last call as (price, total), gone ones with 0."""
        levels, sign = self._levels, self._sign
        taken = [(price, level.total if (level := levels.get(price * sign)) else 0) for price in self.changed]
        self.changed.clear()
        return taken

    def add(self, order: Order) -> None:
        """Queue an order behind all others of its price."""
        self.changed.add(order.price)
        rank = order.price * self._sign
        level = self._levels.get(rank)
        if level is None:
            level = self._levels[rank] = Level(order.price)
            insort(self._ranks, rank)
        level.queue[order] = None
        level.total += order.remaining
        order.is_resting = True

    def remove(self, order: Order) -> None:
        """Take an order out with whatever remains of it."""
        order.is_resting = False
        self.changed.add(order.price)
        level = self._levels[order.price * self._sign]
        level.total -= order.remaining
        del level.queue[order]
        if not level.queue:
            self._drop(order.price * self._sign)

    def resize(self, order: Order, remaining: int) -> None:
        """Change what remains of a resting order without moving it in the queue."""
        self.changed.add(order.price)
        self._levels[order.price * self._sign].total += remaining - order.remaining
        order.remaining = remaining

    def traded(self, order: Order, amount: int) -> None:
        """Count a level down by what an order at it has just traded; the order counted itself down."""
        self.changed.add(order.price)
        self._levels[order.price * self._sign].total -= amount

    def _drop(self, rank: int) -> None:
        del self._levels[rank]
        del self._ranks[bisect_left(self._ranks, rank)]


class OrderBook:
    """Both sides of one market."""

    def __init__(self) -> None:
        """Start empty."""
        self.bids = Side(is_buy=True)
        self.asks = Side(is_buy=False)

    @property
    def has_changes(self) -> bool:
        """Whether any level changed since the changes were last taken."""
        return bool(self.bids.changed or self.asks.changed)

    def own_side(self, *, is_buy: bool) -> Side:
        """The side an order rests on."""
        return self.bids if is_buy else self.asks

    def makers(self, *, is_buy: bool, limit: int | None) -> Iterator[Order]:
        """The resting orders that an incoming order meets, best price first, oldest first; `limit` None takes all."""
        for level in (self.asks if is_buy else self.bids).levels():
            if limit is not None and (level.price > limit if is_buy else level.price < limit):
                return
            yield from level.orders()

    def crosses(self, *, is_buy: bool, price: int) -> bool:
        """Whether an order of that side and price would meet one at once."""
        best = (self.asks if is_buy else self.bids).best()
        return best is not None and (best.price <= price if is_buy else best.price >= price)

    def depth(self, *, is_buy: bool, levels: int) -> list[tuple[int, int]]:
        """The best `levels` as (price, total amount)."""
        return [(level.price, level.total) for level in islice(self.own_side(is_buy=is_buy).levels(), levels)]
