"""Reserved model calls: counted facts, never a counter; reserved under the user's lock before the call is made."""

from collections.abc import Callable
from typing import Final, LiteralString
from uuid import UUID

from kernel.db import Database, Row, Statement
from policy.rules.budget import MAX_CALLS
from trade_service.ports import BudgetView
from trade_service.reservation import Outcome, Reservation, ReservationStatus
from trade_service.store import user
from trade_service.store.view import HISTORY_ROWS_MAX, RECENT_EXECUTIONS, history_of

CALL_BEFORE_SECONDS: Final = 30
"""A reserved call starts within this time or not at all."""
RESERVATIONS_MAX: Final = MAX_CALLS
"""The newest so many are counted: as many as any policy can allow, so that no budget is larger than the count."""

# What is counted: everything but NOT_SENT, of the last hour and of the present UTC day.
VIEW: Final[LiteralString] = (
    """
SELECT
    coalesce((SELECT max(generation) FROM policy_sets), 0) AS generation,
    (
        SELECT coalesce(array_agg(reserved_at), '{}') FROM (
            SELECT reserved_at FROM gpt_usage_log
            WHERE user_id = %(user_id)s AND status <> 'NOT_SENT' AND reserved_at >= least(
                clock_timestamp() - interval '61 minutes', date_trunc('day', clock_timestamp(), 'UTC')
            )
            ORDER BY reserved_at DESC LIMIT %(reservations_max)s
        ) counted
    ) AS reserved_at,
    """
    + RECENT_EXECUTIONS
    + """ AS history
FROM (SELECT %(user_id)s::text AS user_id) AS p
"""
)

READ: Final[LiteralString] = """
SELECT * FROM gpt_usage_log WHERE user_id = %(user_id)s AND reservation_id = %(reservation_id)s
"""

RESERVE: Final[LiteralString] = """
INSERT INTO gpt_usage_log (user_id, reservation_id, purpose, status, reserved_at, reserved_by, call_before)
VALUES (%(user_id)s, %(reservation_id)s, %(purpose)s, 'RESERVED', %(now)s, %(actor)s,
    %(now)s + make_interval(secs => %(call_before_seconds)s))
RETURNING *
"""

SETTLE: Final[LiteralString] = """
UPDATE gpt_usage_log SET status = %(status)s, model = %(model)s, input_tokens = %(input_tokens)s,
    output_tokens = %(output_tokens)s, cost = %(cost)s, cost_currency = %(cost_currency)s,
    settled_at = clock_timestamp()
WHERE user_id = %(user_id)s AND reservation_id = %(reservation_id)s AND status = ANY(%(from_statuses)s)
RETURNING *
"""


class BudgetRows:
    """Reservations."""

    def __init__(self, database: Database) -> None:
        """Use the pool of the serving role."""
        self._database = database

    async def reserve(
        self, user_id: str, reservation_id: UUID, purpose: str, actor: str, admit: Callable[[BudgetView], bool]
    ) -> tuple[Reservation | None, bool]:
        """Under the user's lock: answer the reservation that exists, or insert one if `admit` says so."""
        key = {"user_id": user_id, "reservation_id": reservation_id}
        async with self._database.transaction(user.owned_by(user_id)) as transaction:
            _, _, now, view, existing = await transaction.run(
                user.ensure(user_id, actor), user.lock(user_id), user.clock(), _view(user_id), Statement(READ, key)
            )
            if existing:
                return reservation_of(existing[0]), False
            moment = now[0]["now"]
            if not admit(_view_of({"now": moment, **view[0]})):
                return None, False
            parameters = key | {
                "purpose": purpose,
                "now": moment,
                "actor": actor,
                "call_before_seconds": CALL_BEFORE_SECONDS,
            }
            made = await transaction.run_one(Statement(RESERVE, parameters))
            await transaction.commit()
            return reservation_of(made[0]), True

    async def settle(self, user_id: str, reservation_id: UUID, outcome: Outcome) -> tuple[Reservation, bool] | None:
        """Settle a reservation; answer it, and whether this call changed it. None when there is none.

        A lapsed one may still be settled by a caller who was slow, but not as NOT_SENT: it may have been counted on.
        """
        key = {"user_id": user_id, "reservation_id": reservation_id}
        from_statuses = [ReservationStatus.RESERVED]
        if outcome.status in {ReservationStatus.SUCCEEDED, ReservationStatus.FAILED}:
            from_statuses.append(ReservationStatus.LAPSED)
        parameters = key | {
            "status": outcome.status,
            "model": outcome.model,
            "input_tokens": outcome.input_tokens,
            "output_tokens": outcome.output_tokens,
            "cost": outcome.cost,
            "cost_currency": outcome.cost_currency,
            "from_statuses": [str(status) for status in from_statuses],
        }
        async with self._database.transaction(user.owned_by(user_id)) as transaction:
            _, settled, found = await transaction.run(
                user.lock(user_id), Statement(SETTLE, parameters), Statement(READ, key)
            )
            if not found:
                return None
            if settled:
                await transaction.commit()
            return reservation_of(found[0]), bool(settled)

    async def budget(self, user_id: str) -> BudgetView:
        """Read what is counted now."""
        now, view = await self._database.read(user.clock(), _view(user_id), settings=user.owned_by(user_id))
        return _view_of({"now": now[0]["now"], **view[0]})


def reservation_of(row: Row) -> Reservation:
    """Read a row of `gpt_usage_log`."""
    outcome = Outcome(
        status=ReservationStatus(row["status"]),
        model=row["model"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cost=row["cost"],
        cost_currency=row["cost_currency"],
    )
    return Reservation(
        user_id=row["user_id"],
        reservation_id=row["reservation_id"],
        purpose=row["purpose"],
        reserved_at=row["reserved_at"],
        call_before=row["call_before"],
        outcome=outcome,
        settled_at=row["settled_at"],
    )


def _view(user_id: str) -> Statement:
    return Statement(VIEW, {"user_id": user_id, "reservations_max": RESERVATIONS_MAX, "rows_max": HISTORY_ROWS_MAX})


def _view_of(row: Row) -> BudgetView:
    return BudgetView(
        now=row["now"],
        generation=row["generation"],
        reserved_at=tuple(row["reserved_at"]),
        executions=history_of(row),
    )
