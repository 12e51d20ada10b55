"""Lists, newest first: filters that may be absent, and pages that start after the last row seen."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Table, select, text, tuple_

from kernel.db import Database, Row, Statement, built
from policy.model import DecisionOutcome, ExecutionStatus
from trade_service.execution import Execution, StoredDecision
from trade_service.ports import Page
from trade_service.proposal import ProposalStatus, StoredProposal
from trade_service.store import user
from trade_service.store.rows import decision_of, execution_of, proposal_of
from trade_service.store.tables import DECISIONS, EXECUTIONS, PROPOSALS

Filters = Sequence[ColumnElement[bool]]


WITHOUT_FACTS: Final = (
    "user_id, decision_id, proposal_id, outcome, verdicts, policy_name, policy_sha256, policy_generation, decided_at"
)


class ReadingRows:
    """Lists and single reads; no lock, no write."""

    def __init__(self, database: Database) -> None:
        """Use the pool of the serving role."""
        self._database = database

    async def proposals(
        self, user_id: str, status: ProposalStatus | None, market: str, page: Page
    ) -> Sequence[StoredProposal]:
        """List proposals, newest first."""
        columns = PROPOSALS.c
        filters = _equal({columns.status: status, columns.market: market})
        rows = await self._page(PROPOSALS, filters, (columns.submitted_at, columns.proposal_id), user_id, page)
        return [proposal_of(row) for row in rows]

    async def executions(
        self, user_id: str, status: ExecutionStatus | None, market: str, page: Page
    ) -> Sequence[Execution]:
        """List executions, newest first, without fills and events."""
        columns = EXECUTIONS.c
        filters = _equal({columns.status: status, columns.market: market})
        rows = await self._page(EXECUTIONS, filters, (columns.claimed_at, columns.execution_id), user_id, page)
        return [execution_of(row) for row in rows]

    async def decisions(
        self, user_id: str, proposal_id: UUID | None, outcome: DecisionOutcome | None, page: Page
    ) -> Sequence[StoredDecision]:
        """List decisions, newest first, without facts."""
        columns = DECISIONS.c
        filters = _equal({columns.proposal_id: proposal_id, columns.outcome: outcome})
        order = (columns.decided_at, columns.decision_id)
        rows = await self._page(DECISIONS, filters, order, user_id, page, columns=WITHOUT_FACTS)
        return [decision_of(row) for row in rows]

    async def decision(self, user_id: str, decision_id: UUID) -> StoredDecision | None:
        """Read one decision, with facts."""
        one = Statement(
            "SELECT * FROM decisions WHERE user_id = %(user_id)s AND decision_id = %(decision_id)s",
            {"user_id": user_id, "decision_id": decision_id},
        )
        (found,) = await self._database.read(one, settings=user.owned_by(user_id))
        return decision_of(found[0], found[0]["facts"]) if found else None

    async def _page(
        self,
        table: Table,
        filters: Filters,
        order: tuple[Column[object], Column[object]],
        user_id: str,
        page: Page,
        *,
        columns: str = "*",
    ) -> list[Row]:
        query = select(text(columns)).select_from(table).where(table.c.user_id == user_id, *filters)
        if page.before is not None:
            query = query.where(tuple_(*order) < tuple_(*page.before))
        query = query.order_by(*(column.desc() for column in order)).limit(page.size)
        (rows,) = await self._database.read(built(query), settings=user.owned_by(user_id))
        return rows


def _equal(wanted: dict[Column[object], object]) -> Filters:
    return [column == value for column, value in wanted.items() if value]
