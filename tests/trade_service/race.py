"""The cap race: many proposals of one user against a cap of two, released at once, through the real claim and judge.

`Weakened` is the real pool with statements rewritten on their way: it takes a mechanism out, so that a test can show
that the race sees its absence.
"""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, cast

from kernel.db import Database, Reasons, Row, Statement, Transaction
from policy.policy import Policy
from tests.policy import given as rules
from tests.trade_service import given
from trade_service.claiming import Claimed, ClaimResult, Denied
from trade_service.store import user, view

ROUNDS_VARIABLE = "INTERLOCK_ROUNDS"
ROUNDS = int(os.environ.get(ROUNDS_VARIABLE, "20"))
"""200 for the gate of a release."""
RACERS = 16
CAP = 2
MARKETS = tuple(f"M{number}-EUR" for number in range(RACERS))

Rewrite = Callable[[str], str]


def capped() -> Policy:
    """Two orders an hour; no other rule stands in the way of sixteen markets."""
    return rules.policy(
        {
            "allowlist": {"markets": list(MARKETS)},
            "trade_caps": {"per_hour": str(CAP), "per_day": "16", "attempts_per_hour": "100"},
            "budget": {"gpt_calls": {"per_hour": "3", "per_day": "10"}, "order_value": {"per_day": "100000"}},
        }
    )


async def run_round(database: Database, through: Database, user_id: str) -> int:
    """Race sixteen proposals of a new user; returns how many were claimed. Every other one was denied."""
    contents = [given.content(rules.limit(market=market), user_id=user_id) for market in MARKETS]
    proposals = [await given.submitted(database, each) for each in contents]
    judge = given.judged_by(capped())
    results = await given.together(*(given.claim(through, each, judge) for each in proposals))
    unexpected = [each for each in results if not isinstance(each, (Claimed, Denied))]
    assert unexpected == []
    denied_for = {code for each in results if isinstance(each, Denied) for code in codes(each)}
    assert denied_for <= {"TRADE_CAP"}
    return claimed(results)


def claimed(results: list[ClaimResult | Exception | None]) -> int:
    return sum(isinstance(each, Claimed) for each in results)


def codes(denied: Denied) -> list[str]:
    return [each.code for each in denied.decision.decision.verdicts if each.outcome != "PASS"]


def without_lock(sql: str) -> str:
    """The user's row is read, not locked."""
    return sql.replace(" FOR UPDATE", "") if sql == user.LOCK else sql


def lock_and_read_at_once(sql: str) -> str:
    """The lock is waited for by the statement that counts: its snapshot is older than what it waited for."""
    if sql == user.LOCK:
        return without_lock(sql)
    gate = "FROM protocol CROSS JOIN (SELECT FROM users WHERE user_id = %(user_id)s FOR UPDATE) AS gate\n"
    return sql.replace("FROM protocol\n", gate) if sql == view.VIEW else sql


class Weakened(Database):
    """The serving role's pool, its statements rewritten."""

    def __init__(self, url: str, rewrite: Rewrite) -> None:
        super().__init__(url, connections_max=RACERS, reasons=Reasons("DATABASE_UNAVAILABLE"))
        self._rewrite = rewrite

    @asynccontextmanager
    async def transaction(
        self,
        settings: Mapping[str, str] = MappingProxyType({}),
        **options: Any,  # noqa: ANN401 - whatever the real one takes
    ) -> AsyncIterator[Transaction]:
        async with super().transaction(settings, **options) as inner:
            yield cast("Transaction", Rewritten(inner, self._rewrite))


class Rewritten:
    """A transaction, its statements rewritten."""

    def __init__(self, inner: Transaction, rewrite: Rewrite) -> None:
        self._inner, self._rewrite = inner, rewrite

    async def run(self, *statements: Statement) -> list[list[Row]]:
        return await self._inner.run(*map(self._changed, statements))

    async def run_one(self, statement: Statement) -> list[Row]:
        return (await self.run(statement))[0]

    async def commit(self, *last: Statement) -> object:
        return await self._inner.commit(*map(self._changed, last))

    async def rollback(self) -> None:
        await self._inner.rollback()

    def _changed(self, statement: Statement) -> Statement:
        return Statement(cast("Any", self._rewrite(statement.sql)), statement.parameters)
