"""Whether this replica may claim: its unresolved rows of before were looked up once. Reads and cancels never wait."""

from typing import Final

from kernel.errors import Unavailable
from trade_service import reasons

RETRY_SECONDS: Final = 1.0


class Readiness:
    """Set once, by the first reconciliation."""

    def __init__(self) -> None:
        """Begin not ready."""
        self.ready = False

    def require(self) -> None:
        """Pass when claims may be made.

        Raises:
            Unavailable: not yet; nothing was judged.
        """
        if not self.ready:
            message = "orders of before this start are still being looked up at the exchange; nothing was judged"
            raise Unavailable(reasons.NOT_READY, message, retry_after_seconds=RETRY_SECONDS)
