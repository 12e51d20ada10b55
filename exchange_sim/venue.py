"""One market as the exchange runs it: rules, book, tape, order indexes and the numbers that grow."""

from __future__ import annotations

from exchange_sim.order import Order
from exchange_sim.order_book import OrderBook
from exchange_sim.rules import MarketRules
from exchange_sim.tape import Tape

# Every market counts from the same number: the same order id may exist in two markets, as the exchange warns.
FIRST_ORDER_NUMBER = 0x4676_0000
ORDER_ID_PREFIX = "00000000-0000-0460-0100-"


class Venue:
    """Mutable state of one market. `nonce` counts changes of the book."""

    def __init__(self, rules: MarketRules, nonce: int = 1) -> None:
        """Open a market with an empty book."""
        self.rules = rules
        self.book = OrderBook()
        self.tape = Tape()
        self.nonce = nonce
        self.orders: dict[str, Order] = {}
        # The newest order of a client order id, and those whose order is still open.
        self.by_client_id: dict[str, Order] = {}
        self.open_client_ids: set[str] = set()
        # Trigger orders that have not fired, oldest first.
        self.waiting: dict[str, Order] = {}
        self.next_order_number = FIRST_ORDER_NUMBER

    def new_order_id(self) -> str:
        """The next order id, unique in this market only."""
        self.next_order_number += 1
        return order_id(self.next_order_number)


def order_id(number: int) -> str:
    """Write an order number the way recent order ids look."""
    return f"{ORDER_ID_PREFIX}{number:012x}"
