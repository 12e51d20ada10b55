"""${message}."""

from pathlib import Path
from typing import Final

from alembic import op

from migrations.apply import run_sql

revision: Final = ${repr(up_revision)}
down_revision: Final = ${repr(down_revision)}
branch_labels: Final = None
depends_on: Final = None

HERE: Final = Path(__file__).parent


def upgrade() -> None:
    """Run ${up_revision}.sql."""
    run_sql(op.get_bind(), HERE / "${up_revision}.sql")


def downgrade() -> None:
    """Run ${up_revision}.down.sql."""
    run_sql(op.get_bind(), HERE / "${up_revision}.down.sql")
