"""What the trade database holds, seen by the role that may only read."""

from typing import LiteralString, Self

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

TABLES = (
    "users",
    "trade_proposals",
    "decisions",
    "trade_executions",
    "gpt_usage_log",
    "trading_state",
    "policy_sets",
)


class Stored:
    """An auditor's connection. Each look is a transaction of its own."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True, row_factory=tuple_row)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def value(self, query: LiteralString, **parameters: object) -> object:
        """Return the one value of the one row."""
        row = self._connection.execute(query, parameters).fetchone()
        assert row is not None
        return row[0]

    def counts(self) -> dict[str, int]:
        """Return how many rows each table has that a call could write into."""
        count = sql.SQL("SELECT count(*) FROM {}")
        found: dict[str, int] = {}
        for table in TABLES:
            [[rows]] = self._connection.execute(count.format(sql.Identifier(table))).fetchall()
            found[table] = rows
        return found
