"""The right to send one order, once.

It is born in the process that saw its claim's commit acknowledged, lives in that process's memory only, and is spent
by the first send. Nothing rebuilds it from the database: not a restart, not a sweep, not another replica. Only
`trade_service.store.claim` makes one, only `trade_service.send` spends it; a test looks for any other place.
"""

from dataclasses import dataclass
from uuid import UUID

from trade_service.execution import NewExecution


class AuthoritySpentError(RuntimeError):
    """Someone tried to send twice."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is sent: exactly these bytes, signed for exactly this moment."""

    user_id: str
    market: str
    execution: NewExecution


class SendAuthority:
    """A one-use right to send `Order`."""

    __slots__ = ("_order", "execution_id")

    def __init__(self, order: Order) -> None:
        """Hold the order until it is taken."""
        self._order: Order | None = order
        self.execution_id: UUID = order.execution.execution_id

    def take(self) -> Order:
        """Return the order and be spent.

        Raises:
            AuthoritySpentError: it was taken before.
        """
        order, self._order = self._order, None
        if order is None:
            raise AuthoritySpentError(f"execution {self.execution_id} was already sent")
        return order
