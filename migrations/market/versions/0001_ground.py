"""Close the market database to everyone but its own roles; the scheduler's tables come with the scheduler."""

from pathlib import Path
from typing import Final

from alembic import op

from migrations.apply import run_sql

revision: Final = "0001_ground"
down_revision: Final = None
branch_labels: Final = None
depends_on: Final = None

HERE: Final = Path(__file__).parent


def upgrade() -> None:
    """Run 0001_ground.sql."""
    run_sql(op.get_bind(), HERE / "0001_ground.sql")


def downgrade() -> None:
    """Run 0001_ground.down.sql."""
    run_sql(op.get_bind(), HERE / "0001_ground.down.sql")
