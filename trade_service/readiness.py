"""Whether this replica may claim: named conditions, each met or not, and why not, as a caller is told.

Reads, cancels and admin never wait for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from kernel import logs
from kernel.errors import Unavailable
from trade_service import reasons

RETRY_SECONDS: Final = 1.0
ATTESTATION_RETRY_SECONDS: Final = 30.0
"""The attestation is looked at no more often than this."""


class Condition(StrEnum):
    """What must hold before a claim; a caller is told the first that does not. Each has its line in `NOT_YET`."""

    DEPLOYMENT = "deployment"
    """The database said whose orders these are."""
    RECONCILED = "reconciled"
    """Every unresolved row of before this start was looked up once."""
    MATCHED = "matched"
    """The account's orders at the exchange are all explained by our rows."""
    ATTESTED = "attested"
    """What the trade key may do was proved lately; met for good where nobody asks for that."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a condition does not hold. `reason` is a value of `ErrorReason`; the caller also gets `metadata`."""

    message: str
    reason: str = reasons.NOT_READY
    retry_after_seconds: float = RETRY_SECONDS
    metadata: Mapping[str, str] = field(default_factory=dict)


NOT_YET: Final = MappingProxyType(
    {
        Condition.DEPLOYMENT: Obstacle("the database has not yet said which deployment this is; nothing was judged"),
        Condition.RECONCILED: Obstacle(
            "orders of before this start are still being looked up at the exchange; nothing was judged"
        ),
        Condition.MATCHED: Obstacle(
            "the account's orders at the exchange are not yet matched with the database; nothing was judged"
        ),
        Condition.ATTESTED: Obstacle(
            "what the trade key may do is not attested now; nothing was judged",
            reasons.KEY_NOT_ATTESTED,
            ATTESTATION_RETRY_SECONDS,
        ),
    }
)
"""What stands in the way of every condition until someone says otherwise."""


class Readiness:
    """Every condition with its obstacle. Whoever watches one says `meet` or `miss`; the claim asks `require`."""

    def __init__(self) -> None:
        """Begin with no condition met."""
        self._obstacles: dict[Condition, Obstacle] = dict(NOT_YET)
        self._deployment_id: UUID | None = None

    def know_deployment(self, deployment_id: UUID) -> None:
        """Take the deployment's id from the database: that condition is met for good."""
        self._deployment_id = deployment_id
        self.meet(Condition.DEPLOYMENT)

    def meet(self, condition: Condition) -> None:
        """Say that a condition holds now."""
        if self._obstacles.pop(condition, None) is not None:
            logs.log("condition_met", condition=condition.value, ready=self.ready)

    def miss(self, condition: Condition, obstacle: Obstacle) -> None:
        """Say that a condition does not hold, and why."""
        if self._obstacles.get(condition) != obstacle:
            self._obstacles[condition] = obstacle
            logs.log("condition_missed", condition=condition.value, reason=obstacle.reason, why=obstacle.message)

    def holds(self, condition: Condition) -> bool:
        """Whether one condition holds."""
        return condition not in self._obstacles

    @property
    def ready(self) -> bool:
        """Whether claims may be made."""
        return not self._obstacles

    def require(self) -> UUID:
        """Pass when every condition holds; return the deployment's id.

        Raises:
            Unavailable: one does not; nothing was judged.
        """
        obstacle = next((self._obstacles[each] for each in Condition if each in self._obstacles), None)
        if obstacle is not None or self._deployment_id is None:
            found = obstacle or NOT_YET[Condition.DEPLOYMENT]
            wait = found.retry_after_seconds
            raise Unavailable(found.reason, found.message, retry_after_seconds=wait, metadata=dict(found.metadata))
        return self._deployment_id

    def require_deployment(self) -> UUID:
        """Return the deployment's id, all that a read may need.

        Raises:
            Unavailable: the database has not said it yet.
        """
        if self._deployment_id is None:
            missing = NOT_YET[Condition.DEPLOYMENT]
            raise Unavailable(missing.reason, missing.message, retry_after_seconds=missing.retry_after_seconds)
        return self._deployment_id
