"""Move a database along its tree of revisions: `python -m migrations.apply`, `make migrate`, and the tests.

Migrations only add; what is removed goes one release later. They run as the owner of the tables, who never serves.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

Tree = Literal["trade", "market"]
TREES: Final[tuple[Tree, ...]] = ("trade", "market")
DSN_VARIABLES: Final = {"trade": "INTERLOCK_TRADE_DSN", "market": "INTERLOCK_MARKET_DSN"}
ROOT: Final = Path(__file__).parent


def upgrade(url: str, tree: Tree, revision: str = "head") -> None:
    """Bring the database at `url` (as its owner) up to `revision`.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database refused a statement; that revision was rolled back.
    """
    _run(url, tree, lambda config: command.upgrade(config, revision))


def downgrade(url: str, tree: Tree, revision: str = "base") -> None:
    """Take the database at `url` (as its owner) down to `revision`."""
    _run(url, tree, lambda config: command.downgrade(config, revision))


def configuration(tree: Tree) -> Config:
    """Return Alembic's configuration of `tree`, without a connection."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / tree))
    config.set_main_option("path_separator", "os")
    return config


def run_sql(connection: Connection, path: Path) -> None:
    """Run a file of plain SQL as one batch, `%` and `:` untouched."""
    connection.execution_options(no_parameters=True).exec_driver_sql(path.read_text(encoding="utf-8"))


def _run(url: str, tree: Tree, step: Callable[[Config], None]) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect() as connection:
        config = configuration(tree)
        config.attributes["connection"] = connection
        step(config)


def main() -> None:
    """Upgrade every tree whose DSN is in the environment."""
    named = [(tree, os.environ.get(DSN_VARIABLES[tree], "")) for tree in TREES]
    if not any(url for _, url in named):
        sys.exit(f"nothing to migrate: set {' or '.join(DSN_VARIABLES.values())} to the owner's DSN")
    for tree, url in named:
        if url:
            upgrade(url, tree)
            sys.stdout.write(f"{tree}: at the newest revision\n")


if __name__ == "__main__":
    main()
