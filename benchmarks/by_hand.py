"""The two transactions around an order as one would write them by hand, without Interlock: for the floor and for DBOS.

As many statements as the real claim and settle, on plain tables: keys and the one unique constraint, no trigger, no
row security, no foreign key, no further index. `batched` sends what does not wait for an answer in one round trip.
"""

from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from kernel.pipeline import sent_together

SCHEMA: Final = """
CREATE TABLE users (user_id text PRIMARY KEY, event_number bigint NOT NULL DEFAULT 0);
CREATE TABLE proposals (
    user_id text, proposal_id uuid, market text NOT NULL, quote_amount numeric NOT NULL, status text NOT NULL,
    PRIMARY KEY (user_id, proposal_id)
);
CREATE TABLE decisions (
    user_id text, decision_id uuid, proposal_id uuid NOT NULL, outcome text NOT NULL, facts jsonb NOT NULL,
    decided_at timestamptz NOT NULL, PRIMARY KEY (user_id, decision_id)
);
CREATE TABLE executions (
    user_id text, execution_id uuid, proposal_id uuid NOT NULL, decision_id uuid NOT NULL, market text NOT NULL,
    client_order_id uuid NOT NULL, signed_timestamp_ms bigint NOT NULL, body bytea NOT NULL,
    claimed_at timestamptz NOT NULL, status text NOT NULL, order_id text, filled_amount numeric, filled_quote numeric,
    fee_paid numeric, settled_at timestamptz,
    PRIMARY KEY (user_id, execution_id), UNIQUE (user_id, proposal_id)
);
CREATE TABLE events (
    user_id text, number bigint, execution_id uuid NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp(),
    type text NOT NULL, evidence jsonb NOT NULL, PRIMARY KEY (user_id, number)
);
CREATE TABLE fills (
    user_id text, market text, fill_id text, execution_id uuid NOT NULL, amount numeric NOT NULL,
    price numeric NOT NULL, fee numeric, filled_at timestamptz NOT NULL, PRIMARY KEY (user_id, market, fill_id)
);
"""

BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"
NAME_USER: Final = "SELECT set_config('app.user_id', %(user_id)s, true)"
LOCK: Final = "SELECT user_id FROM users WHERE user_id = %(user_id)s FOR UPDATE"
CLOCK: Final = "SELECT clock_timestamp()"
VIEW: Final = """
SELECT p.*, e.execution_id,
    (SELECT count(*) FROM executions h
        WHERE h.user_id = p.user_id AND h.claimed_at > clock_timestamp() - interval '1 day')
FROM proposals p LEFT JOIN executions e USING (user_id, proposal_id)
WHERE p.user_id = %(user_id)s AND p.proposal_id = %(proposal_id)s
"""
WRITE: Final = """
WITH decision AS (
    INSERT INTO decisions (user_id, decision_id, proposal_id, outcome, facts, decided_at)
    VALUES (%(user_id)s, %(decision_id)s, %(proposal_id)s, 'ALLOW', %(facts)s::jsonb, %(claimed_at)s)
), proposal AS (
    UPDATE proposals SET status = 'EXECUTING' WHERE user_id = %(user_id)s AND proposal_id = %(proposal_id)s
), numbered AS (
    UPDATE users SET event_number = event_number + 1 WHERE user_id = %(user_id)s RETURNING event_number
), event AS (
    INSERT INTO events (user_id, number, execution_id, type, evidence)
    SELECT %(user_id)s, event_number, %(execution_id)s, 'CLAIMED', '{}' FROM numbered
)
INSERT INTO executions (user_id, execution_id, proposal_id, decision_id, market, client_order_id, signed_timestamp_ms,
    body, claimed_at, status)
VALUES (%(user_id)s, %(execution_id)s, %(proposal_id)s, %(decision_id)s, %(market)s, %(client_order_id)s,
    %(signed_timestamp_ms)s, %(body)s, %(claimed_at)s, 'SUBMITTING')
ON CONFLICT (user_id, proposal_id) DO NOTHING RETURNING execution_id
"""
SETTLE: Final = """
WITH moved AS (
    UPDATE executions SET status = 'FILLED', order_id = %(order_id)s, filled_amount = %(filled_amount)s,
        filled_quote = %(filled_quote)s, fee_paid = %(fee_paid)s, settled_at = clock_timestamp()
    WHERE user_id = %(user_id)s AND execution_id = %(execution_id)s AND status = 'SUBMITTING'
    RETURNING execution_id
), proposal AS (
    UPDATE proposals SET status = 'EXECUTED'
    WHERE user_id = %(user_id)s AND proposal_id = %(proposal_id)s AND EXISTS (SELECT FROM moved)
), numbered AS (
    UPDATE users SET event_number = event_number + 1 WHERE user_id = %(user_id)s AND EXISTS (SELECT FROM moved)
    RETURNING event_number
), event AS (
    INSERT INTO events (user_id, number, execution_id, type, evidence)
    SELECT %(user_id)s, event_number, %(execution_id)s, 'SETTLED', '{}' FROM numbered
)
INSERT INTO fills (user_id, market, fill_id, execution_id, amount, price, fee, filled_at)
SELECT %(user_id)s, %(market)s, f.id, execution_id, f.amount, f.price, f.fee, clock_timestamp()
FROM moved, json_to_recordset(%(fills)s::json) AS f (id text, amount numeric, price numeric, fee numeric)
ON CONFLICT (user_id, market, fill_id) DO NOTHING
"""
READ: Final = "SELECT * FROM executions WHERE user_id = %(user_id)s AND execution_id = %(execution_id)s"
READ_FILLS: Final = "SELECT * FROM fills WHERE user_id = %(user_id)s AND execution_id = %(execution_id)s"
LIFT: Final = "SELECT set_config('statement_timeout', '0', true), set_config('transaction_timeout', '0', true)"

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
Values = dict[str, Any]


class LostClaimError(Exception):
    """The proposal was claimed before."""


@dataclass(frozen=True, slots=True)
class ByHand:
    """Runs both transactions on a connection in autocommit mode."""

    batched: bool

    async def claim(self, connection: Connection, values: Values) -> None:
        """Claim a proposal; `values` hold every parameter but the moment.

        Raises:
            LostClaimError: it was claimed before.
        """
        async with self._batch(connection):
            await connection.execute(BEGIN)
            await connection.execute(NAME_USER, values)
            await connection.execute(LOCK, values)
            clock = await connection.execute(CLOCK)
            view = await connection.execute(VIEW, values)
        now, seen = await clock.fetchone(), await view.fetchone()
        assert now is not None  # noqa: S101 - a clock always answers
        if seen is None or seen[5] is not None:
            await connection.execute("ROLLBACK")
            raise LostClaimError
        inserted = await connection.execute(WRITE, values | {"claimed_at": now[0]})
        if await inserted.fetchone() is None:
            await connection.execute("ROLLBACK")
            raise LostClaimError
        async with self._batch(connection):
            await connection.execute(LIFT)
            await connection.execute("COMMIT")

    async def settle(self, connection: Connection, values: Values) -> None:
        """Settle a claimed execution as filled."""
        async with self._batch(connection):
            await connection.execute(BEGIN)
            await connection.execute(NAME_USER, values)
            await connection.execute(LOCK, values)
            await connection.execute(SETTLE, values)
            execution = await connection.execute(READ, values)
            fills = await connection.execute(READ_FILLS, values)
            await connection.execute(LIFT)
            await connection.execute("COMMIT")
        await execution.fetchall()
        await fills.fetchall()

    def _batch(self, connection: Connection) -> AbstractAsyncContextManager[Any]:
        return sent_together(connection) if self.batched else nullcontext()


STATEMENTS: Final = {"claim": 8, "settle": 8}
"""How many statements each transaction runs; the benchmark counts the service's own and refuses to compare others."""
