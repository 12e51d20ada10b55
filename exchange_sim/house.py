"""The house: an unlimited counterparty whose levels give each market its depth.

Its levels come back after a trade (unless the switch says otherwise), so that any number of small orders fill.
A level that would cross a client's resting order waits until that order is gone.
"""

from __future__ import annotations

from collections.abc import Iterable

from exchange_sim.accounts import Account
from exchange_sim.order import LIMIT, NEW, Order, OrderRequest
from exchange_sim.venue import Venue

HOUSE = "house"


class House:
    """The house's account, and per market the levels it wants to show."""

    def __init__(self) -> None:
        """Start without levels."""
        self.account = Account(HOUSE, taker_rate=0, maker_rate=0, is_house=True)
        self._wanted: dict[str, dict[tuple[bool, int], int]] = {}
        self._shown: dict[str, dict[tuple[bool, int], Order]] = {}
        self._lacking: dict[str, set[tuple[bool, int]]] = {}

    def clear(self, venue: Venue) -> None:
        """Take all levels of a market away."""
        market = venue.rules.market
        for (is_buy, _), order in self._shown.get(market, {}).items():
            if order.is_resting:
                venue.book.own_side(is_buy=is_buy).remove(order)
        self._wanted[market], self._shown[market], self._lacking[market] = {}, {}, set()

    def want(self, venue: Venue, levels: Iterable[tuple[bool, int, int]]) -> None:
        """Remember levels as (is_buy, price, size) and show those that cross nothing."""
        market = venue.rules.market
        for is_buy, price, size in levels:
            self._wanted[market][is_buy, price] = size
            self._lacking[market].add((is_buy, price))
        self.refill(venue)

    def forget(self, venue: Venue, levels: Iterable[tuple[bool, int]]) -> None:
        """Take levels away, each (is_buy, price)."""
        market = venue.rules.market
        for level in levels:
            self._wanted[market].pop(level, None)
            order = self._shown[market].pop(level, None)
            if order is not None and order.is_resting:
                venue.book.own_side(is_buy=level[0]).remove(order)

    def make_room(self, venue: Venue, *, is_buy: bool, price: int) -> None:
        """Take away the wanted levels of the other side that a level would cross."""
        crossed = [
            (side, other)
            for side, other in self._wanted[venue.rules.market]
            if side is not is_buy and (other <= price if is_buy else other >= price)
        ]
        self.forget(venue, crossed)

    def levels(self, venue: Venue) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """The levels it wants, bids and asks, as (price, size)."""
        wanted = self._wanted[venue.rules.market].items()
        bids = [(price, size) for (is_buy, price), size in wanted if is_buy]
        return bids, [(price, size) for (is_buy, price), size in wanted if not is_buy]

    def touched(self, venue: Venue, order: Order) -> None:
        """Note that a level of the house was traded with."""
        lacking = self._lacking.get(venue.rules.market)
        if lacking is not None:
            lacking.add((order.is_buy, order.price))

    def refill(self, venue: Venue) -> None:
        """Bring touched levels back to their size, where they cross nothing."""
        lacking = self._lacking.get(venue.rules.market)
        if not lacking:
            return
        for level in list(lacking):
            if self._show(venue, *level):
                lacking.discard(level)

    def order(self, venue: Venue, *, is_buy: bool, amount: int, price: int) -> Order:
        """Make an order of the house that is not in any index."""
        request = OrderRequest(venue.rules.market, is_buy, LIMIT, 0, amount=amount, price=price)
        return Order("", self.account, request, 0, 0, remaining=amount, is_buy=is_buy, price=price, status=NEW)

    def _show(self, venue: Venue, is_buy: bool, price: int) -> bool:  # noqa: FBT001  the two parts of a level's key
        market = venue.rules.market
        size = self._wanted[market].get((is_buy, price))
        if size is None:
            return True
        order = self._shown[market].get((is_buy, price))
        if order is not None and order.is_resting:
            venue.book.own_side(is_buy=is_buy).resize(order, size)
            return True
        if venue.book.crosses(is_buy=is_buy, price=price):
            return False
        order = self._shown[market][is_buy, price] = self.order(venue, is_buy=is_buy, amount=size, price=price)
        venue.book.own_side(is_buy=is_buy).add(order)
        return True
