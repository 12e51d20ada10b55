"""The user's row: the lock of everything that is his, and his event number.

The first statement of every transaction that changes a user's rows is `lock`, alone: a count taken in the statement
that waits for a lock sees the world as it was before the wait.
"""

from collections.abc import Mapping
from typing import Final, LiteralString
from uuid import UUID

import orjson

from kernel.db import Statement
from policy.model import ExecutionStatus

LOCK: Final[LiteralString] = "SELECT user_id FROM users WHERE user_id = %(user_id)s FOR UPDATE"

# The moment of the claim: after the lock was had. now() would be the moment before the wait.
CLOCK: Final[LiteralString] = "SELECT clock_timestamp() AS now"

ENSURE: Final[LiteralString] = """
INSERT INTO users (user_id, created_by) VALUES (%(user_id)s, %(actor)s) ON CONFLICT (user_id) DO NOTHING
"""

# One number per event, without gaps: the number is taken under the same lock and in the same transaction.
NUMBER_EVENT: Final[LiteralString] = """
UPDATE users SET event_number = event_number + 1 WHERE user_id = %(user_id)s RETURNING event_number
"""

INSERT_EVENT: Final[LiteralString] = """
INSERT INTO execution_events (user_id, number, execution_id, type, from_status, to_status, evidence)
SELECT %(user_id)s, event_number, %(execution_id)s, %(type)s, %(from_status)s, %(to_status)s, %(evidence)s::jsonb
FROM numbered
"""

APPEND_EVENT: Final[LiteralString] = f"WITH numbered AS ({NUMBER_EVENT}) {INSERT_EVENT}"


def lock(user_id: str) -> Statement:
    """Lock the user's row; no row comes back for a user that does not exist."""
    return Statement(LOCK, {"user_id": user_id})


def clock() -> Statement:
    """Read the database clock; run after `lock`."""
    return Statement(CLOCK)


def ensure(user_id: str, actor: str) -> Statement:
    """Make the user's row, unless it is there."""
    return Statement(ENSURE, {"user_id": user_id, "actor": actor})


def owned_by(user_id: str) -> dict[str, str]:
    """Return the session settings under which only this user's rows exist."""
    return {"app.user_id": user_id}


def append_event(
    user_id: str,
    execution_id: UUID,
    kind: str,
    from_status: ExecutionStatus | None,
    to_status: ExecutionStatus,
    evidence: Mapping[str, object],
) -> Statement:
    """Append one event to the user's history; run under his lock."""
    return Statement(APPEND_EVENT, event(user_id, execution_id, kind, from_status, to_status, evidence))


def event(
    user_id: str,
    execution_id: UUID,
    kind: str,
    from_status: ExecutionStatus | None,
    to_status: ExecutionStatus,
    evidence: Mapping[str, object],
) -> Mapping[str, object]:
    """Return the parameters of `NUMBER_EVENT` and `INSERT_EVENT`."""
    return {
        "user_id": user_id,
        "execution_id": execution_id,
        "type": kind,
        "from_status": from_status,
        "to_status": to_status,
        "evidence": orjson.dumps(evidence).decode(),
    }
