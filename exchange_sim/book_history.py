"""Remembers what each market's own book looked like at each of its nonces, as a digest, for whoever rebuilds books.

Off until a test asks for it. The digest is made from the orders that rest, not from what was told.
"""

from __future__ import annotations

from collections import deque
from hashlib import sha256

from exchange_sim.exchange import Exchange
from exchange_sim.feed import BookChange
from exchange_sim.fixed import write_amount, write_price
from exchange_sim.order import Fill, Order
from exchange_sim.order_book import OrderBook
from exchange_sim.tape import Trade
from exchange_sim.venue import Venue

MOST_EVENTS = 200_000
MOST_LEVELS = 1_000_000


class BookHistory:
    """The digests of the last batches, of all markets together."""

    def __init__(self, exchange: Exchange) -> None:
        """Remember nothing yet."""
        self._exchange = exchange
        self._rows: deque[tuple[str, int, str]] = deque(maxlen=0)

    def remember(self, events: int) -> None:
        """Remember the last so many batches from now on; none with 0."""
        self._rows = deque(maxlen=events)
        self._exchange.feed.unsubscribe(self)
        if events:
            self._exchange.feed.subscribe(self)

    def rows(self, market: str) -> list[tuple[int, str]]:
        """A market's batches as (nonce, digest), oldest first."""
        return [(nonce, digest) for name, nonce, digest in self._rows if name == market]

    def book_changed(self, venue: Venue, _: BookChange) -> None:
        """Note a batch, by the nonce that a fault may have changed."""
        self._rows.append((venue.rules.market, venue.nonce, digest_of(venue.book)))

    def order_changed(self, venue: Venue, order: Order, execution: str) -> None:
        """Nothing to note."""

    def order_filled(self, venue: Venue, order: Order, fill: Fill) -> None:
        """Nothing to note."""

    def traded(self, venue: Venue, trade: Trade) -> None:
        """Nothing to note."""


def digest_of(book: OrderBook) -> str:
    """SHA-256 of the lines `b price amount` (best first) and `a price amount`, numbers without trailing zeros."""
    lines = [
        f"{name} {write_price(price)} {write_amount(total)}\n"
        for name, is_buy in (("b", True), ("a", False))
        for price, total in book.depth(is_buy=is_buy, levels=MOST_LEVELS)
    ]
    return sha256("".join(lines).encode()).hexdigest()
