"""What listeners are told as it happens: order changes, fills, public trades and book changes.

The trading core tells, a WebSocket session listens. Calls are synchronous and come in the order of the events. Orders
change later, so a listener takes what it needs at once; it must not call back into the trading core.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from exchange_sim.order import Fill, Order
from exchange_sim.tape import Trade
from exchange_sim.venue import Venue

# The `executionType` of an order change: https://docs.bitvavo.com/docs/websocket-api/account-subscription/.
PLACED = "new"
TRADED = "trade"
CANCELED = "canceled"
EXPIRED = "expired"
UPDATED = "updated"
TRIGGERED = "triggered"
RESTATED = "restated"


@dataclass(frozen=True, slots=True)
class BookChange:
    """The levels that one batch changed, in no order, as (price, total amount); total 0 takes the level away.

    `nonce` is the one the market has from this batch on: a snapshot with the same nonce includes it.
    """

    nonce: int
    at_ns: int
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]


class Listener(Protocol):
    """Who wants to know. Orders of the house are never told; `venue.rules.market` names the market."""

    def order_changed(self, venue: Venue, order: Order, execution: str) -> None:
        """An order of a client changed; `execution` is one of the words above."""

    def order_filled(self, venue: Venue, order: Order, fill: Fill) -> None:
        """An order of a client has one more fill."""

    def traded(self, venue: Venue, trade: Trade) -> None:
        """A public trade is on the tape; candles and tickers follow from it."""

    def book_changed(self, venue: Venue, change: BookChange) -> None:
        """A batch of book changes is complete."""


class Feed:
    """Tells each listener, in the order of their subscription."""

    def __init__(self) -> None:
        """Start without listeners."""
        self._listeners: tuple[Listener, ...] = ()
        self._pending: dict[str, Venue] = {}

    def subscribe(self, listener: Listener) -> None:
        """Tell a listener everything from now on."""
        self._listeners = (*self._listeners, listener)

    def unsubscribe(self, listener: Listener) -> None:
        """Tell a listener nothing more."""
        self._listeners = tuple(each for each in self._listeners if each is not listener)

    def order_changed(self, venue: Venue, order: Order, execution: str) -> None:
        """Tell of an order's change."""
        for listener in self._listeners:
            listener.order_changed(venue, order, execution)

    def order_filled(self, venue: Venue, order: Order, fill: Fill) -> None:
        """Tell of an order's fill."""
        for listener in self._listeners:
            listener.order_filled(venue, order, fill)

    def traded(self, venue: Venue, trade: Trade) -> None:
        """Tell of a public trade."""
        for listener in self._listeners:
            listener.traded(venue, trade)

    def hold_back(self, venue: Venue) -> None:
        """Leave a market's book changes for the next flush."""
        self._pending[venue.rules.market] = venue

    def flush_all(self, now_ns: int) -> None:
        """Make one batch of what each market held back."""
        for venue in list(self._pending.values()):
            self.flush(venue, now_ns)

    def flush(self, venue: Venue, now_ns: int) -> None:
        """Make one batch of a market's book changes: the nonce moves by one, and listeners are told."""
        self._pending.pop(venue.rules.market, None)
        if not venue.book.has_changes:
            return
        venue.nonce += 1
        bids, asks = venue.book.bids.take_changes(), venue.book.asks.take_changes()
        if self._listeners:
            change = BookChange(venue.nonce, now_ns, bids, asks)
            for listener in self._listeners:
                listener.book_changed(venue, change)
