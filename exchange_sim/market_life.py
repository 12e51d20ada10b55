"""The life of the markets: a seeded flow of the house's orders that moves books, trades and candles.

One step changes one market: a trade with what is there (clients' resting orders included), some levels that change
their size or place, or a shift of the whole book. Off with `--still`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from random import Random

from exchange_sim import fixed, house_moves
from exchange_sim.exchange import Exchange
from exchange_sim.rules import TRADING
from exchange_sim.venue import Venue

STEP_INTERVAL_S = 0.05
# The loop's timers count milliseconds.
SHORTEST_SLEEP_S = 0.002
MOST_STEPS_AT_ONCE = 200
# Of ten steps so many trade, and so many change levels; the rest shifts the book.
TRADES_OF_TEN, CHANGES_OF_TEN = 4, 4
MOST_TICKS_MOVED = 3
MOST_LEVELS_CHANGED = 4
# A trade takes one part in 2..20 of the best level.
SMALLEST_SHARE, LARGEST_SHARE = 20, 2
# What a level is worth in the quote asset.
LEAST_WORTH, MOST_WORTH = 100, 20_000
LEVEL_CHANGES_PER_MOVE = 4

Sides = tuple[list[tuple[int, int]], list[tuple[int, int]]]


class MarketLife:
    """Steps through random markets with a generator of its own."""

    def __init__(self, exchange: Exchange, seed: int, spared: Collection[str] = ()) -> None:
        """Live on one exchange, but for the spared markets."""
        self._exchange = exchange
        self._spared = frozenset(spared)
        self._random = Random(f"life {seed}")
        # Markets open and never close, so their number tells whether there are new ones.
        self._venues: list[Venue] = []
        self._counted = 0

    async def run(self, speed: float = 1) -> None:
        """Step until cancelled, `speed` times as fast as usual, several steps at once where timers are too coarse."""
        loop, interval_s = asyncio.get_running_loop(), STEP_INTERVAL_S / speed
        due_s = loop.time()
        while True:
            behind = int((loop.time() - due_s) / interval_s)
            for _ in range(min(behind, MOST_STEPS_AT_ONCE)):
                self.step()
            # What is more than so many steps behind is let go: a slow machine lives slower.
            due_s = max(due_s + behind * interval_s, loop.time() - MOST_STEPS_AT_ONCE * interval_s)
            await asyncio.sleep(max(interval_s, SHORTEST_SLEEP_S))

    def step(self) -> None:
        """Change one market."""
        if len(self._exchange.venues) != self._counted:
            self._counted = len(self._exchange.venues)
            self._venues = [venue for name, venue in self._exchange.venues.items() if name not in self._spared]
        if not self._venues:
            return
        venue = self._random.choice(self._venues)
        if venue.rules.status != TRADING:
            return
        kind = self._random.randrange(10)
        if kind < TRADES_OF_TEN:
            self._trade(venue)
        elif kind < TRADES_OF_TEN + CHANGES_OF_TEN:
            self._change(venue)
        else:
            self._shift(venue)

    def _trade(self, venue: Venue) -> None:
        is_buy = self._random.random() < 0.5  # noqa: PLR2004  a fair coin
        best = (venue.book.asks if is_buy else venue.book.bids).best()
        if best is None:
            return
        share = self._random.randint(LARGEST_SHARE, SMALLEST_SHARE)
        amount = max(1, best.total // share // venue.rules.amount_step) * venue.rules.amount_step
        house_moves.house_order(self._exchange, venue, is_buy=is_buy, amount=amount, limit=None)

    def _change(self, venue: Venue) -> None:
        """Give some levels a new size; some go, and come back within the spread or at the far end."""
        changes: Sides = ([], [])
        sides = self._exchange.house.levels(venue)
        for _ in range(self._random.randint(1, MOST_LEVELS_CHANGED)):
            is_ask = self._random.randrange(2)
            if not sides[is_ask]:
                continue
            price, _ = self._random.choice(sides[is_ask])
            if self._random.randrange(LEVEL_CHANGES_PER_MOVE):
                changes[is_ask].append((price, self._size(venue, price)))
                continue
            place = self._place(venue, sides, is_ask)
            changes[is_ask].append((price, 0))
            changes[is_ask].append((place, self._size(venue, place)))
        house_moves.change_levels(self._exchange, venue, *changes)

    def _place(self, venue: Venue, sides: Sides, is_ask: int) -> int:
        """A tick better than the best level where the spread has room and a coin says so, or beyond the last level."""
        own, outwards = [price for price, _ in sides[is_ask]], venue.rules.tick if is_ask else -venue.rules.tick
        best, last = (min(own), max(own)) if is_ask else (max(own), min(own))
        other = {price for price, _ in sides[1 - is_ask]}
        if self._random.randrange(2) and best - outwards not in other:
            return best - outwards
        beyond = last + outwards * self._random.randint(1, MOST_TICKS_MOVED)
        return beyond if beyond > 0 else last

    def _shift(self, venue: Venue) -> None:
        shift = self._random.randint(-MOST_TICKS_MOVED, MOST_TICKS_MOVED) * venue.rules.tick
        bids, asks = self._exchange.house.levels(venue)
        if shift and all(price + shift > 0 for price, _ in bids):
            moved = ([(price + shift, size) for price, size in side] for side in (bids, asks))
            house_moves.set_levels(self._exchange, venue, *moved)

    def _size(self, venue: Venue, price: int) -> int:
        worth: int = self._random.randint(LEAST_WORTH, MOST_WORTH) * 10**fixed.ATOM_DIGITS
        return max(1, worth // price // venue.rules.amount_step) * venue.rules.amount_step
