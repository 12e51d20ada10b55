"""The view: everything a claim depends on, read by one statement. A claim reads it under the lock, a check without."""

from datetime import UTC, datetime
from typing import Final, LiteralString
from uuid import UUID

import orjson

from kernel.db import Row, Statement
from policy.model import PastExecution
from trade_service.claiming import View
from trade_service.store.rows import past_execution_of, proposal_of, trading_state_of

HISTORY_ROWS_MAX: Final = 501
"""One more than any limit a policy can set, so that a full history is never cut below its limit."""

# The user's executions that any rule may count, as JSON. The margin of a minute is for the clock read before this
# statement; the rules apply the exact windows. Numbers inside JSON are text.
RECENT_EXECUTIONS: Final[LiteralString] = """
    (
        SELECT json_agg(json_build_object(
            'proposal_id', h.proposal_id, 'market', h.market, 'side', h.side, 'order_type', h.order_type,
            'amount', h.amount::text, 'price', h.price::text, 'quote_amount', h.quote_amount::text,
            'status', h.status, 'claimed_at', h.claimed_at, 'last_fill_at', h.last_fill_at,
            'worst_value', h.worst_value::text, 'filled_quote', h.filled_quote::text,
            'filled_amount', h.filled_amount::text
        ))
        FROM (
            SELECT * FROM trade_executions
            WHERE user_id = p.user_id AND (
                claimed_at > clock_timestamp() - interval '24 hours 1 minute'
                OR last_fill_at > clock_timestamp() - interval '24 hours 1 minute'
                OR status IN ('SUBMITTING', 'UNKNOWN', 'SUBMITTED')
            )
            ORDER BY claimed_at DESC
            LIMIT %(rows_max)s
        ) h
    )::text
"""

# Everything a claim depends on, by one statement: two statements see two moments, and what settled in between is
# counted by neither.
VIEW: Final[LiteralString] = (
    """
SELECT
    protocol.min AS protocol_min,
    protocol.max AS protocol_max,
    coalesce((SELECT max(generation) FROM policy_sets), 0) AS generation,
    e.execution_id,
    p.*,
    (
        SELECT json_agg(json_build_object('scope', scope, 'subject', subject, 'state', state, 'reason', reason))
        FROM trading_state
        WHERE scope = 'GLOBAL' OR (scope = 'MARKET' AND subject = p.market) OR (scope = 'USER' AND subject = p.user_id)
    )::text AS trading_states,
"""
    + RECENT_EXECUTIONS
    + """ AS history,
    (
        SELECT coalesce(sum(CASE side WHEN 'BUY' THEN amount ELSE -amount END), 0)
        FROM trade_history WHERE user_id = p.user_id AND market = p.market
    ) AS position,
    (
        SELECT decided_at FROM decisions WHERE user_id = p.user_id ORDER BY decided_at DESC LIMIT 1
    ) AS last_decided_at
FROM protocol
LEFT JOIN trade_proposals p ON p.user_id = %(user_id)s AND p.proposal_id = %(proposal_id)s
LEFT JOIN trade_executions e ON e.user_id = p.user_id AND e.proposal_id = p.proposal_id
"""
)


def history_of(row: Row) -> tuple[PastExecution, ...]:
    """Read what `RECENT_EXECUTIONS` gathered, newest first."""
    return tuple(past_execution_of(item) for item in orjson.loads(row["history"] or "[]"))


def view_statement(user_id: str, proposal_id: UUID) -> Statement:
    """Read everything about a proposal; `proposal_id` of its one row is None when there is no such proposal."""
    return Statement(VIEW, {"user_id": user_id, "proposal_id": proposal_id, "rows_max": HISTORY_ROWS_MAX})


def view_of(now: datetime, row: Row) -> View:
    """Read the row of a view; `now` is the database clock, read before it."""
    history = history_of(row)
    return View(
        now=now.astimezone(UTC),
        protocol_min=row["protocol_min"],
        protocol_max=row["protocol_max"],
        generation=row["generation"],
        proposal=proposal_of(row),
        trading_states=tuple(trading_state_of(item) for item in orjson.loads(row["trading_states"] or "[]")),
        executions=history,
        history_complete=len(history) < HISTORY_ROWS_MAX,
        position=row["position"],
        last_decided_at=row["last_decided_at"],
    )
