"""Executions after their claim: settled, refreshed, wished cancelled, read. Not inserted here, deleted nowhere."""

from typing import Final, LiteralString
from uuid import UUID

import orjson

from kernel.db import Database, Row, Statement
from trade_service.execution import OPEN, Execution, Fill, Settlement, proposal_status_after
from trade_service.store import user
from trade_service.store.rows import event_of, execution_of, fill_of

# A settlement is one statement: the execution moves, and with it its proposal, fills and event, or nothing does.
#
# The guard: only from a status the settlement expects, and only when it says something new. Whoever comes second
# finds no row and changes nothing; a look at the exchange that is older than what is stored takes no fill back.
#
# A fill keeps its moment by the exchange's clock. Pauses run by this database's: from when it learned of more that was
# filled.
MOVE: Final[LiteralString] = """
UPDATE trade_executions SET
    status = %(status)s,
    order_id = coalesce(order_id, %(order_id)s),
    exchange_status = coalesce(%(exchange_status)s, exchange_status),
    filled_amount = coalesce(%(filled_amount)s, filled_amount),
    filled_quote = coalesce(%(filled_quote)s, filled_quote),
    fee_paid = coalesce(%(fee_paid)s, fee_paid),
    fee_currency = coalesce(%(fee_currency)s, fee_currency),
    last_fill_at = CASE WHEN %(filled_amount)s > filled_amount THEN clock_timestamp() ELSE last_fill_at END,
    reject_code = coalesce(%(reject_code)s, reject_code),
    settled_at = CASE WHEN %(final)s THEN clock_timestamp() END
WHERE user_id = %(user_id)s AND execution_id = %(execution_id)s AND status = ANY(%(from_statuses)s)
    AND (status <> %(status)s
        OR order_id IS NULL AND %(order_id)s::text IS NOT NULL
        OR coalesce(%(filled_amount)s > filled_amount, false)
        OR coalesce(%(filled_amount)s = filled_amount AND %(fee_paid)s <> fee_paid, false))
RETURNING user_id, execution_id, proposal_id, market, side, old.status AS status_before,
    CASE WHEN filled_amount > 0 THEN %(proposal_if_filled)s ELSE %(proposal_if_unfilled)s END AS proposal_status
"""

MOVE_PROPOSAL: Final[LiteralString] = """
UPDATE trade_proposals SET status = (SELECT proposal_status FROM moved)
WHERE user_id = %(user_id)s AND proposal_id = (SELECT proposal_id FROM moved)
    AND status <> (SELECT proposal_status FROM moved)
"""

# A fill is known by market and id; a fee that was not settled yet arrives later.
RECORD_FILLS: Final[LiteralString] = """
INSERT INTO trade_history (user_id, market, fill_id, execution_id, order_id, side, amount, price, fee, fee_currency,
    taker, filled_at)
SELECT moved.user_id, moved.market, f.fill_id, moved.execution_id, %(order_id)s, moved.side, f.amount, f.price, f.fee,
    f.fee_currency, f.taker, f.filled_at
FROM moved, json_to_recordset(%(fills)s::json) AS f (fill_id text, amount numeric, price numeric, fee numeric,
    fee_currency text, taker boolean, filled_at timestamptz)
ON CONFLICT (user_id, market, fill_id) DO UPDATE SET fee = excluded.fee, fee_currency = excluded.fee_currency
    WHERE trade_history.fee IS NULL
"""

NUMBER_EVENT: Final[LiteralString] = """
UPDATE users SET event_number = event_number + 1 WHERE user_id = %(user_id)s AND EXISTS (SELECT FROM moved)
RETURNING event_number
"""

INSERT_EVENT: Final[LiteralString] = """
INSERT INTO execution_events (user_id, number, execution_id, type, from_status, to_status, evidence)
SELECT user_id, event_number, execution_id, %(event)s, status_before, %(status)s, %(evidence)s::jsonb
FROM moved, numbered
"""

SETTLE: Final[LiteralString] = f"""
WITH moved AS ({MOVE}), proposal AS ({MOVE_PROPOSAL}), fill AS ({RECORD_FILLS}), numbered AS ({NUMBER_EVENT})
{INSERT_EVENT}
"""

READ_BY_ID: Final[LiteralString] = """
SELECT * FROM trade_executions WHERE user_id = %(user_id)s AND execution_id = %(execution_id)s
"""

READ_BY_PROPOSAL: Final[LiteralString] = """
SELECT * FROM trade_executions WHERE user_id = %(user_id)s AND proposal_id = %(proposal_id)s
"""

REQUEST_CANCEL: Final[LiteralString] = """
UPDATE trade_executions SET cancel_requested_at = clock_timestamp(), cancel_requested_by = %(actor)s
WHERE user_id = %(user_id)s AND execution_id = %(execution_id)s AND cancel_requested_at IS NULL
RETURNING *
"""

READ_FILLS: Final[LiteralString] = """
SELECT * FROM trade_history WHERE user_id = %(user_id)s AND execution_id = %(execution_id)s ORDER BY filled_at, fill_id
"""

READ_EVENTS: Final[LiteralString] = """
SELECT * FROM execution_events WHERE user_id = %(user_id)s AND execution_id = %(execution_id)s ORDER BY number
"""


class ExecutionRows:
    """Executions after their claim."""

    def __init__(self, database: Database) -> None:
        """Use the pool of the serving role."""
        self._database = database

    async def settle(self, user_id: str, execution_id: UUID, settlement: Settlement) -> Execution:
        """Move the execution, if it still stands where the settlement expects and anything is new; answer it then."""
        key = {"user_id": user_id, "execution_id": execution_id}
        async with self._database.transaction(user.owned_by(user_id)) as transaction:
            *_, stored, fills = await transaction.commit(
                user.lock(user_id),
                Statement(SETTLE, key | _settle_parameters(settlement)),
                Statement(READ_BY_ID, key),
                Statement(READ_FILLS, key),
            )
            return execution_of(stored[0], tuple(fill_of(fill) for fill in fills))

    async def request_cancel(self, user_id: str, proposal_id: UUID, actor: str, reason: str) -> Execution | None:
        """Record the wish to cancel an execution that is not final, once; answer it as it is."""
        async with self._database.transaction(user.owned_by(user_id)) as transaction:
            _, found = await transaction.run(user.lock(user_id), _by_proposal(user_id, proposal_id))
            if not found:
                return None
            execution = execution_of(found[0])
            if execution.status not in OPEN or execution.cancel_requested_at is not None:
                return execution
            key = {"user_id": user_id, "execution_id": execution.execution_id, "actor": actor}
            about = {"actor": actor, "reason": reason}
            wished, _ = await transaction.run(
                Statement(REQUEST_CANCEL, key),
                user.append_event(
                    user_id, execution.execution_id, "CANCEL_REQUESTED", execution.status, execution.status, about
                ),
            )
            await transaction.commit()
            return execution_of(wished[0])

    async def execution(self, user_id: str, proposal_id: UUID, *, events: bool) -> Execution | None:
        """Read an execution with its fills, and its events if asked."""
        settings = user.owned_by(user_id)
        (found,) = await self._database.read(_by_proposal(user_id, proposal_id), settings=settings)
        if not found:
            return None
        key = {"user_id": user_id, "execution_id": found[0]["execution_id"]}
        statements = [Statement(READ_FILLS, key), *([Statement(READ_EVENTS, key)] if events else [])]
        fills, *history = await self._database.read(*statements, settings=settings)
        entries = tuple(event_of(row) for row in history[0]) if history else ()
        return execution_of(found[0], tuple(fill_of(row) for row in fills), entries)


def _by_proposal(user_id: str, proposal_id: UUID) -> Statement:
    return Statement(READ_BY_PROPOSAL, {"user_id": user_id, "proposal_id": proposal_id})


def _settle_parameters(settlement: Settlement) -> Row:
    order = settlement.order
    return {
        "status": settlement.status,
        "from_statuses": [str(status) for status in sorted(settlement.from_statuses)],
        "final": settlement.final,
        "proposal_if_filled": proposal_status_after(settlement.status, filled=True),
        "proposal_if_unfilled": proposal_status_after(settlement.status, filled=False),
        "event": settlement.event,
        "evidence": orjson.dumps(settlement.evidence).decode(),
        "reject_code": settlement.reject_code,
        "order_id": order and order.order_id,
        "exchange_status": order and order.exchange_status,
        "filled_amount": order and order.filled_amount,
        "filled_quote": order and order.filled_quote,
        "fee_paid": order and order.fee_paid,
        "fee_currency": order and order.fee_currency,
        "fills": orjson.dumps([_fill_json(fill) for fill in order.fills] if order else []).decode(),
    }


def _fill_json(fill: Fill) -> dict[str, object]:
    """Return a fill as `RECORD_FILLS` reads it; numbers are text."""
    return {
        "fill_id": fill.fill_id,
        "amount": str(fill.amount),
        "price": str(fill.price),
        "fee": None if fill.fee is None else str(fill.fee),
        "fee_currency": fill.fee_currency,
        "taker": fill.taker,
        "filled_at": fill.filled_at,
    }
