"""Price-time priority in its plainest words: sort everything, take from the front, look at every trigger.

It shares nothing with the simulator, knows no money, and is slow on purpose.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Wish:
    """What somebody wants. `trigger` is (price, reference, whether it fires at or above the price)."""

    who: int
    is_buy: bool
    amount: int
    price: int | None = None
    force: str = "GTC"
    post_only: bool = False
    prevention: str = "decrementAndCancel"
    trigger: tuple[int, str, bool] | None = None


@dataclass(eq=False)
class Modelled:
    """An order: what is left of it, its fills as (price, amount), and its state."""

    wish: Wish
    left: int
    arrived: int = 0
    state: str = "open"
    fills: list[tuple[int, int]] = field(default_factory=list)


class BruteForce:
    """One market. `protection` is how many per cent a market order may go from the best price."""

    def __init__(self, protection: int | None) -> None:
        self.protection = protection
        self.resting: list[Modelled] = []
        self.waiting: list[Modelled] = []
        self.last: int | None = None
        self.arrivals = 0

    def place(self, wish: Wish) -> Modelled:
        order = Modelled(wish, wish.amount)
        if wish.trigger is not None:
            order.state = "waiting"
            self.waiting.append(order)
        else:
            self._match(order)
        self._fire()
        return order

    def update(self, order: Modelled, wish: Wish) -> None:
        order.left += wish.amount - order.wish.amount
        order.wish = wish
        if order.state == "waiting":
            self.waiting.remove(order)
            self.waiting.append(order)
        else:
            self.resting.remove(order)
            self._match(order)
        self._fire()

    def cancel(self, orders: list[Modelled]) -> None:
        for order in orders:
            self._end(order, "canceled")
        self._fire()

    def best(self, *, is_buy: bool) -> int | None:
        prices = [order.wish.price or 0 for order in self.resting if order.wish.is_buy is is_buy]
        return (max if is_buy else min)(prices, default=None)

    def _match(self, order: Modelled) -> None:
        wish, before = order.wish, order.left
        met = self._met(order)
        if wish.post_only and met:
            self._end(order, "canceled")
            return
        if wish.force == "FOK" and sum(amount for _, amount, is_own in self._meetings(order) if not is_own) < before:
            self._end(order, "expired")
            return
        for other, amount, is_own in self._meetings(order):
            if is_own:
                self._meet_own(order, other, amount)
            else:
                self._trade(order, other, amount)
        if order.state == "open":
            self._rest(order)

    def _meetings(self, order: Modelled) -> list[tuple[Modelled, int, bool]]:
        """Whom the order meets, for how much, and whether that one is its own account's."""
        found, left, stops = [], order.left, order.wish.prevention in ("cancelNewest", "cancelBoth")
        for other in self._met(order):
            if not left:
                break
            amount, is_own = min(left, other.left), other.wish.who == order.wish.who
            found.append((other, amount, is_own))
            if is_own and stops:
                break
            if not (is_own and order.wish.prevention == "cancelOldest"):
                left -= amount
        return found

    def _met(self, order: Modelled) -> list[Modelled]:
        wish = order.wish
        best, limit = self.best(is_buy=not wish.is_buy), wish.price
        if limit is None and best is not None and self.protection is not None:
            percent = 100 + self.protection if wish.is_buy else 100 - self.protection
            limit = best * percent // 100 if wish.is_buy else -(-best * percent // 100)
        opposite = [each for each in self.resting if each.wish.is_buy is not wish.is_buy]
        opposite.sort(key=lambda each: ((each.wish.price or 0) * (1 if wish.is_buy else -1), each.arrived))
        if limit is None:
            return opposite
        reaches: Callable[[int], bool] = limit.__ge__ if wish.is_buy else limit.__le__
        return [each for each in opposite if reaches(each.wish.price or 0)]

    def _meet_own(self, order: Modelled, other: Modelled, amount: int) -> None:
        prevention = order.wish.prevention
        if prevention == "decrementAndCancel":
            for each in (order, other):
                each.left -= amount
                each.wish = replace(each.wish, amount=each.wish.amount - amount)
                if not each.left:
                    self._end(each, "canceled")
        if prevention in ("cancelOldest", "cancelBoth"):
            self._end(other, "canceled")
        if prevention in ("cancelNewest", "cancelBoth"):
            self._end(order, "canceled")

    def _trade(self, order: Modelled, other: Modelled, amount: int) -> None:
        price = other.wish.price or 0
        for each in (order, other):
            each.left -= amount
            each.fills.append((price, amount))
            if not each.left:
                self._end(each, "filled")
        self.last = price

    def _rest(self, order: Modelled) -> None:
        if order.wish.price is None:
            self._end(order, "expired" if self.best(is_buy=not order.wish.is_buy) is None else "canceled")
        elif order.wish.force != "GTC":
            self._end(order, "expired")
        else:
            self.arrivals += 1
            order.arrived = self.arrivals
            self.resting.append(order)

    def _end(self, order: Modelled, state: str) -> None:
        order.state = state
        self.resting = [each for each in self.resting if each is not order]
        self.waiting = [each for each in self.waiting if each is not order]

    def _fire(self) -> None:
        while due := [order for order in self.waiting if self._is_due(order)]:
            self.waiting.remove(due[0])
            due[0].state = "open"
            self._match(due[0])

    def _is_due(self, order: Modelled) -> bool:
        assert order.wish.trigger is not None
        price, name, above = order.wish.trigger
        bid, ask = self.best(is_buy=True), self.best(is_buy=False)
        middle = None if bid is None or ask is None else (bid + ask) / 2
        reference = {"lastTrade": self.last, "bestBid": bid, "bestAsk": ask, "midPrice": middle}[name]
        if reference is None:
            return False
        return reference >= price if above else reference <= price
