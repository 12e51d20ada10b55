"""The columns that lists filter and order by, for SQLAlchemy Core. The migrations make the tables; a test compares."""

from typing import Final

from sqlalchemy import TIMESTAMP, UUID, Column, MetaData, Table, Text

METADATA: Final = MetaData()

PROPOSALS: Final = Table(
    "trade_proposals",
    METADATA,
    Column("user_id", Text),
    Column("proposal_id", UUID),
    Column("market", Text),
    Column("status", Text),
    Column("submitted_at", TIMESTAMP(timezone=True)),
)

EXECUTIONS: Final = Table(
    "trade_executions",
    METADATA,
    Column("user_id", Text),
    Column("execution_id", UUID),
    Column("market", Text),
    Column("status", Text),
    Column("claimed_at", TIMESTAMP(timezone=True)),
)

DECISIONS: Final = Table(
    "decisions",
    METADATA,
    Column("user_id", Text),
    Column("decision_id", UUID),
    Column("proposal_id", UUID),
    Column("outcome", Text),
    Column("decided_at", TIMESTAMP(timezone=True)),
)
