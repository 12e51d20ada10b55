"""Our rows as the account's orders are compared with them, across all users, with the reconciler's rights."""

from collections.abc import Collection, Mapping
from typing import Final, LiteralString
from uuid import UUID

from kernel.db import Database, Row, Statement
from policy.model import Side
from trade_service.account import KnownOrder, Shape

# One look into the index of each user's claims: the table itself is as long as the deployment's life.
NEWEST: Final[LiteralString] = """
SELECT max(newest.signed_timestamp_ms) AS newest_ms
FROM users u CROSS JOIN LATERAL (
    SELECT e.signed_timestamp_ms FROM trade_executions e
    WHERE e.user_id = u.user_id ORDER BY e.claimed_at DESC, e.execution_id DESC LIMIT 1
) newest
"""

ALLOWED: Final[LiteralString] = """
SELECT DISTINCT jsonb_array_elements_text(canonical_json::jsonb #> '{rules,allowlist,markets}') AS market FROM policies
"""

KNOWN: Final[LiteralString] = """
SELECT client_order_id, operator_id, order_id, market, side, amount, quote_amount, price
FROM trade_executions WHERE client_order_id = ANY(%(client_order_ids)s)
"""


class MatchRows:
    """Reads across users."""

    def __init__(self, database: Database) -> None:
        """Use the pool of the reconciler's role."""
        self._database = database

    async def newest_ms(self) -> int | None:
        """Read the exchange's time at the newest claim; None when there never was one."""
        (found,) = await self._database.read(Statement(NEWEST))
        newest_ms: int | None = found[0]["newest_ms"]
        return newest_ms

    async def allowed_markets(self) -> frozenset[str]:
        """Read the markets of every policy that ever was in force."""
        (rows,) = await self._database.read(Statement(ALLOWED))
        return frozenset(row["market"] for row in rows)

    async def known(self, client_order_ids: Collection[UUID]) -> Mapping[UUID, KnownOrder]:
        """Read our rows of these orders, by client order id."""
        (rows,) = await self._database.read(Statement(KNOWN, {"client_order_ids": list(client_order_ids)}))
        return {row["client_order_id"]: _known_of(row) for row in rows}


def _known_of(row: Row) -> KnownOrder:
    shape = Shape(row["market"], Side(row["side"]), row["amount"], row["quote_amount"], row["price"])
    return KnownOrder(row["client_order_id"], row["operator_id"], row["order_id"], shape)
