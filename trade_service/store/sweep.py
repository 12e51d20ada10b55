"""What needs looking at, across all users, with the reconciler's rights: it reads these columns and writes nothing."""

from collections.abc import Sequence
from typing import Final, LiteralString
from uuid import UUID

from kernel.db import Database, Row, Statement
from policy.model import ExecutionStatus
from trade_service.execution import Target
from trade_service.ports import Due
from trade_service.store.rows import terms_of

OVERDUE_MARGIN_SECONDS: Final = 2
"""How long after its window a send that was never settled is taken for lost."""

# First what may or may not exist, then what is to be cancelled: however many orders rest, neither waits behind them.
DUE: Final[LiteralString] = """
SELECT e.user_id, e.execution_id, e.client_order_id, e.operator_id, e.signed_timestamp_ms, e.order_id, e.market, e.side,
    e.order_type, e.amount, e.price, e.quote_amount, e.time_in_force, e.post_only, e.status,
    e.status = 'SUBMITTING' AND clock_timestamp() >
        e.claimed_at + make_interval(secs => e.window_ms / 1000.0 + %(margin_seconds)s) AS overdue,
    e.status <> 'SUBMITTING' AND (
        e.cancel_requested_at IS NOT NULL
        OR coalesce(e.cancel_due_at <= clock_timestamp(), false)
        OR EXISTS (
            SELECT FROM trading_state s WHERE s.cancel_open_orders AND (
                s.scope = 'GLOBAL' OR (s.scope = 'MARKET' AND s.subject = e.market)
                OR (s.scope = 'USER' AND s.subject = e.user_id)
            )
        )
    ) AS cancel
FROM trade_executions e
WHERE e.status IN ('SUBMITTING', 'UNKNOWN', 'SUBMITTED')
ORDER BY e.status = 'SUBMITTED', cancel DESC, e.claimed_at
LIMIT %(limit)s
"""

LAPSED: Final[LiteralString] = """
SELECT user_id, reservation_id FROM gpt_usage_log
WHERE status = 'RESERVED' AND call_before < clock_timestamp() - make_interval(secs => %(margin_seconds)s)
ORDER BY call_before LIMIT %(limit)s
"""

EXPIRED: Final[LiteralString] = """
SELECT user_id, proposal_id FROM trade_proposals
WHERE status IN ('PROPOSED', 'APPROVED') AND expires_at <= clock_timestamp()
ORDER BY expires_at LIMIT %(limit)s
"""

LAPSE_AFTER_SECONDS: Final = 600
"""Long enough for a model's answer to come and be settled."""


class SweepRows:
    """Reads across users."""

    def __init__(self, database: Database) -> None:
        """Use the pool of the reconciler's role."""
        self._database = database

    async def due(self, limit: int) -> Sequence[Due]:
        """Read executions that are not final: unresolved, then to be cancelled, then the rest; each oldest first."""
        parameters = {"margin_seconds": OVERDUE_MARGIN_SECONDS, "limit": limit}
        (rows,) = await self._database.read(Statement(DUE, parameters))
        return [_due_of(row) for row in rows]

    async def lapsed(self, limit: int) -> Sequence[tuple[str, UUID]]:
        """Read reservations whose time to call is long over, oldest first."""
        parameters = {"margin_seconds": LAPSE_AFTER_SECONDS, "limit": limit}
        (rows,) = await self._database.read(Statement(LAPSED, parameters))
        return [(row["user_id"], row["reservation_id"]) for row in rows]

    async def expired(self, limit: int) -> Sequence[tuple[str, UUID]]:
        """Read proposals whose time is over and that nobody executed, oldest first."""
        (rows,) = await self._database.read(Statement(EXPIRED, {"limit": limit}))
        return [(row["user_id"], row["proposal_id"]) for row in rows]


def _due_of(row: Row) -> Due:
    names = ("user_id", "execution_id", "client_order_id", "operator_id", "signed_timestamp_ms")
    target = Target(**{name: row[name] for name in names}, terms=terms_of(row), order_id=row["order_id"] or "")
    return Due(target, ExecutionStatus(row["status"]), overdue=row["overdue"], cancel=row["cancel"])
