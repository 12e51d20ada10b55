"""What the feed tells of a market, put together again by a listener that knows nothing else."""

from exchange_sim.feed import BookChange
from exchange_sim.order import Fill, Order
from exchange_sim.tape import Trade
from exchange_sim.venue import Venue


class Mirror:
    """Rebuilds a market's book from what the feed tells, and counts what else it tells."""

    def __init__(self, venue: Venue) -> None:
        self.nonce = venue.nonce
        self.levels: dict[tuple[bool, int], int] = {}
        self.traded_amount = 0
        self.filled: dict[str, int] = {}

    def order_changed(self, venue: Venue, order: Order, execution: str) -> None:
        del venue, execution
        assert order.hold >= 0

    def order_filled(self, venue: Venue, order: Order, fill: Fill) -> None:
        del venue
        self.filled[order.order_id] = self.filled.get(order.order_id, 0) + fill.amount

    def traded(self, venue: Venue, trade: Trade) -> None:
        del venue
        self.traded_amount += trade.amount

    def book_changed(self, venue: Venue, change: BookChange) -> None:
        del venue
        assert change.nonce == self.nonce + 1
        self.nonce = change.nonce
        for is_buy, levels in ((True, change.bids), (False, change.asks)):
            for price, total in levels:
                self.levels[is_buy, price] = total
