"""Whether this replica may claim: it knows its deployment, and its unresolved rows of before were looked up once.

Reads, cancels and admin never wait for it.
"""

from typing import Final
from uuid import UUID

from kernel.errors import Unavailable
from trade_service import reasons

RETRY_SECONDS: Final = 1.0


class Readiness:
    """Filled in by the start of the process, step by step; never taken back."""

    def __init__(self) -> None:
        """Begin not ready."""
        self.deployment_id: UUID | None = None
        self.reconciled = False

    @property
    def ready(self) -> bool:
        """Whether claims may be made."""
        return self.deployment_id is not None and self.reconciled

    def require(self) -> UUID:
        """Pass when claims may be made; return the deployment's id.

        Raises:
            Unavailable: not yet; nothing was judged.
        """
        if self.deployment_id is None or not self.reconciled:
            message = "orders of before this start are still being looked up at the exchange; nothing was judged"
            raise Unavailable(reasons.NOT_READY, message, retry_after_seconds=RETRY_SECONDS)
        return self.deployment_id
