"""Add the scheduler's tables: jobs, what became of their slots, the snapshots they were judged by."""

from pathlib import Path
from typing import Final

from alembic import op

from migrations.apply import run_sql

revision: Final = "0002_scans"
down_revision: Final = "0001_ground"
branch_labels: Final = None
depends_on: Final = None

HERE: Final = Path(__file__).parent


def upgrade() -> None:
    """Run 0002_scans.sql."""
    run_sql(op.get_bind(), HERE / "0002_scans.sql")


def downgrade() -> None:
    """Run 0002_scans.down.sql."""
    run_sql(op.get_bind(), HERE / "0002_scans.down.sql")
