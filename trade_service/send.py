"""The one place from which an order leaves: spends the authority, sends the claimed bytes once, with no lock held."""

from collections.abc import Callable
from math import ceil
from typing import Final

from policy.model import ExecutionStatus
from trade_service.authority import SendAuthority
from trade_service.execution import NOT_SENT, Settlement
from trade_service.ports import Exchange

WINDOW_LEFT_MIN_MS: Final = 500
"""With less of its window left an order may arrive too late to be sure of anything: it is not sent."""


async def send(authority: SendAuthority, exchange: Exchange, monotonic: Callable[[], float]) -> Settlement:
    """Send the order of `authority`, and say what came of it. Never raises for what the network does.

    Raises:
        AuthoritySpentError: the order was sent before.
    """
    order = authority.take()
    elapsed_ms = ceil((monotonic() - order.execution.signed_monotonic) * 1000)
    left_ms = order.execution.window_ms - elapsed_ms
    if left_ms < WINDOW_LEFT_MIN_MS:
        evidence = {"not_sent": "window", "left_ms": left_ms}
        return Settlement(
            ExecutionStatus.NOT_PLACED, frozenset({ExecutionStatus.SUBMITTING}), NOT_SENT, evidence=evidence
        )
    return await exchange.create(order)
