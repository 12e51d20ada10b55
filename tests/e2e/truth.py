"""What the database says, read as auditor: a role that reads everything and writes nothing."""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import cached_property
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from trade_service.judge import client_order_id

Row = dict[str, Any]
POLL_SECONDS = 0.05


class Truth:
    """Plain reads, one connection each."""

    def __init__(self, url: str) -> None:
        self.url = url

    def rows(self, sql: LiteralString, *parameters: object) -> list[Row]:
        """Run one query."""
        with psycopg.connect(self.url, row_factory=dict_row, connect_timeout=5) as connection:
            return connection.execute(sql, parameters).fetchall()

    def now(self) -> datetime:
        """Return the database's clock."""
        moment: datetime = self.rows("SELECT clock_timestamp() AS now")[0]["now"]
        return moment

    def execution(self, user: str, proposal_id: str) -> Row | None:
        """Return an execution's row, None when there is none."""
        found = self.rows(
            "SELECT * FROM trade_executions WHERE user_id = %s AND proposal_id = %s", user, UUID(proposal_id)
        )
        return found[0] if found else None

    def proposal_status(self, user: str, proposal_id: str) -> str:
        """Return a proposal's status."""
        found = self.rows(
            "SELECT status FROM trade_proposals WHERE user_id = %s AND proposal_id = %s", user, UUID(proposal_id)
        )
        return str(found[0]["status"])

    def client_order_id(self, user: str, proposal_id: str) -> str:
        """Return the id the exchange will know the order of a proposal by, before there is one."""
        return str(client_order_id(self._deployment_id, user, UUID(proposal_id)))

    @cached_property
    def _deployment_id(self) -> UUID:
        found: UUID = self.rows("SELECT deployment_id FROM deployment")[0]["deployment_id"]
        return found

    def owners(self) -> dict[str, str]:
        """Return whose each client order id is."""
        found = self.rows("SELECT client_order_id::text AS id, user_id FROM trade_executions")
        return {row["id"]: row["user_id"] for row in found}

    async def becomes(self, user: str, proposal_id: str, status: str, seconds: float = 15.0) -> Row:
        """Wait until an execution has a status; fails with the row as it is."""
        return await self.until(
            lambda: row if (row := self.execution(user, proposal_id)) and row["status"] == status else None,
            lambda: f"wanted {status}, found {(self.execution(user, proposal_id) or {}).get('status')}",
            seconds,
        )

    async def until(self, look: Callable[[], Row | None], otherwise: Callable[[], str], seconds: float) -> Row:
        """Look until there is something; fails with what `otherwise` says."""
        ends = time.monotonic() + seconds
        while True:
            if found := look():
                return found
            assert time.monotonic() < ends, otherwise()
            await asyncio.sleep(POLL_SECONDS)


def creates(requests: Iterable[Row]) -> Iterator[str]:
    """Yield the client order id of every order that was asked for, once per request received."""
    for each in requests:
        if each["method"] == "POST" and each["path"].startswith("/v2/order"):
            yield str(json.loads(each["body"])["clientOrderId"])
