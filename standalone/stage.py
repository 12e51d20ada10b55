"""What every step of the demo works with: the running system, a client, and claims that must hold."""

from dataclasses import dataclass

import psycopg
from psycopg.rows import DictRow, dict_row

from standalone.client import Client
from standalone.screen import WIDTH, say, wrapped
from standalone.system import System

MARK = "  ✓ "


class ClaimFailedError(Exception):
    """Something the demo claims does not hold."""


@dataclass(slots=True)
class Stage:
    """The system under way. `client` is replaced when trade_service was started again."""

    system: System
    client: Client

    def reconnect(self) -> None:
        """Open new channels: the old one may still wait before it tries again."""
        self.client.close()
        self.client = Client(self.system.market.address, self.system.trade[0].address)

    def row(self, proposal_id: str) -> DictRow | None:
        """Read the execution of a proposal as the auditor sees it in the database, None while there is none."""
        query = "SELECT status, client_order_id::text, order_id FROM trade_executions WHERE proposal_id = %s"
        with psycopg.connect(self.system.database_url("auditor"), row_factory=dict_row) as connection:
            return connection.execute(query, (proposal_id,)).fetchone()


def require(holds: object, claim: str) -> None:
    """Show a claim that holds.

    Raises:
        ClaimFailedError: it does not.
    """
    if not holds:
        raise ClaimFailedError(claim)
    first, *more = wrapped(claim, WIDTH - len(MARK))
    say(MARK + first)
    for line in more:
        say(" " * len(MARK) + line)
