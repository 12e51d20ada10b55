"""Every request received and every order ever created, append-only: the oracle that harnesses count on.

It holds no secret: a key appears by its first characters, a signature not at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256

from exchange_sim.fixed import write_amount, write_atoms, write_price
from exchange_sim.order import Order

NS_PER_MS = 1_000_000
KINDS = ("requests", "orders")


@dataclass(slots=True)
class ReceivedRequest:
    """One request as it arrived, and what became of it; an answer never given leaves `status` empty."""

    received_ms: int
    method: str
    target: str
    body: bytes
    key: str | None
    timestamp: str | None
    window: str | None
    account: str | None = None
    status: int | None = None
    error_code: int | None = None
    faults: list[str] = field(default_factory=list)

    def row(self) -> dict[str, object]:
        """The request as JSON."""
        return {
            "received_ms": self.received_ms,
            "method": self.method,
            "path": self.target,
            "key": self.key,
            "account": self.account,
            "timestamp": self.timestamp,
            "window": self.window,
            "body": self.body.decode("utf-8", "replace"),
            "body_sha256": sha256(self.body).hexdigest(),
            "status": self.status,
            "error_code": self.error_code,
            "faults": list(self.faults),
        }


class Ledger:
    """Requests and orders in the order of their arrival."""

    def __init__(self) -> None:
        """Start empty."""
        self.requests: list[ReceivedRequest] = []
        self.orders: list[Order] = []
        self._by_client_id: dict[str, list[Order]] = {}

    def received(self, request: ReceivedRequest) -> None:
        """Note a request before anything is done about it."""
        self.requests.append(request)

    def order_created(self, order: Order) -> None:
        """Note an order; its row shows its state when read."""
        self.orders.append(order)
        if order.request.client_order_id is not None:
            self._by_client_id.setdefault(order.request.client_order_id, []).append(order)

    def order_rows(self, client_order_id: str | None, since_ms: int) -> list[dict[str, object]]:
        """Orders created at or after a moment of exchange time, of one client order id or of all."""
        orders = self.orders if client_order_id is None else self._by_client_id.get(client_order_id, [])
        return [_order_row(order) for order in orders if order.created_ns // NS_PER_MS >= since_ms]

    def request_rows(self, client_order_id: str | None, since_ms: int) -> list[dict[str, object]]:
        """Requests received at or after a moment; of one client order id: those that carry it in target or body."""
        rows: Iterable[ReceivedRequest] = (each for each in self.requests if each.received_ms >= since_ms)
        if client_order_id is not None:
            wanted = client_order_id.encode()
            rows = (each for each in rows if wanted in each.body or client_order_id in each.target)
        return [each.row() for each in rows]


def _order_row(order: Order) -> dict[str, object]:
    request = order.request
    return {
        "created_at": order.created_ns // NS_PER_MS,
        "orderId": order.order_id,
        "clientOrderId": request.client_order_id,
        "market": request.market,
        "side": "buy" if request.is_buy else "sell",
        "type": request.order_type,
        "amount": None if request.amount is None else write_amount(request.amount),
        "amountQuote": None if request.quote is None else write_atoms(request.quote),
        "price": None if request.price is None else write_price(request.price),
        "timeInForce": request.time_in_force,
        "operatorId": request.operator_id,
        "account": order.account.name,
        "status": order.status,
        "filledAmount": write_amount(order.filled),
        "filledAmountQuote": write_atoms(order.filled_quote),
        "feePaid": write_atoms(order.fee_paid),
    }
