"""A modest life for the markets: the house moves its levels and trades with itself and with resting orders.

Seeded; one step changes one market. Off with `--still`.
"""

from __future__ import annotations

import asyncio
from random import Random

from exchange_sim import house_moves
from exchange_sim.exchange import Exchange
from exchange_sim.rules import TRADING
from exchange_sim.venue import Venue

STEP_INTERVAL_S = 0.05
# One step in this many moves the levels; the others trade.
STEPS_PER_MOVE = 3
MOST_TICKS_MOVED = 3
# A trade takes one part in 2..20 of the best level.
SMALLEST_SHARE, LARGEST_SHARE = 20, 2


class MarketLife:
    """Steps through random markets with a generator of its own."""

    def __init__(self, exchange: Exchange, seed: int) -> None:
        """Live on one exchange."""
        self._exchange = exchange
        self._random = Random(f"life {seed}")

    async def run(self) -> None:
        """Step until cancelled."""
        while True:
            self.step()
            await asyncio.sleep(STEP_INTERVAL_S)

    def step(self) -> None:
        """Change one market."""
        venue = self._random.choice(list(self._exchange.venues.values()))
        if venue.rules.status != TRADING:
            return
        if self._random.randrange(STEPS_PER_MOVE):
            self._trade(venue)
        else:
            self._move(venue)

    def _trade(self, venue: Venue) -> None:
        is_buy = self._random.random() < 0.5  # noqa: PLR2004  a fair coin
        best = (venue.book.asks if is_buy else venue.book.bids).best()
        if best is None:
            return
        share = self._random.randint(LARGEST_SHARE, SMALLEST_SHARE)
        amount = max(1, best.total // share // venue.rules.amount_step) * venue.rules.amount_step
        house_moves.house_order(self._exchange, venue, is_buy=is_buy, amount=amount, limit=None)

    def _move(self, venue: Venue) -> None:
        shift = self._random.randint(-MOST_TICKS_MOVED, MOST_TICKS_MOVED) * venue.rules.tick
        bids, asks = self._exchange.house.levels(venue)
        if shift and all(price + shift > 0 for price, _ in bids):
            moved = ([(price + shift, size) for price, size in side] for side in (bids, asks))
            house_moves.set_levels(self._exchange, venue, *moved)
