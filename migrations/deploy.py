"""Bring the two database servers of a deployment to the newest schema: `python -m migrations.deploy`.

For each tree, as the superuser of its server: roles with their passwords, the database `interlock_<tree>`; then, as the
tree's owner, the revisions. Everything it needs to know is a file in the folder of MIGRATE_SECRETS_DIR (/run/secrets):
`<tree>_superuser.url`, `<role>.password`. May be repeated: what is there already stays.
"""

import os
import sys
from pathlib import Path
from typing import Final

import psycopg
from sqlalchemy.engine import make_url

from kernel.secret import SecretFileError, read_secret_file
from migrations.apply import TREES, Tree, upgrade
from migrations.roles import ROLES, create_database, ensure_roles

DEFAULT_FOLDER: Final = "/run/secrets"


def main() -> None:
    """Migrate both trees; a line for each, on standard output."""
    folder = Path(os.environ.get("MIGRATE_SECRETS_DIR") or DEFAULT_FOLDER)
    try:
        for tree in TREES:
            deploy(tree, folder)
            sys.stdout.write(f"{tree}: at the newest revision\n")
    except SecretFileError as error:
        sys.exit(f"migrate: {error}")


def deploy(tree: Tree, folder: Path) -> None:
    """Bring one tree's server to the newest schema.

    Raises:
        SecretFileError: a password or the superuser's URL cannot be read.
        psycopg.Error, sqlalchemy.exc.SQLAlchemyError: the server refused.
    """
    superuser_url = read_secret_file(folder / f"{tree}_superuser.url").reveal()
    roles = [role.name for role in ROLES if role.tree == tree]
    passwords = {role: read_secret_file(folder / f"{role}.password").reveal() for role in roles}
    ensure_roles(superuser_url, passwords, tree)
    database = f"interlock_{tree}"
    if not _exists(superuser_url, database):
        create_database(superuser_url, database, tree)
    owner = f"{tree}_owner"
    url = make_url(superuser_url).set(username=owner, password=passwords[owner], database=database)
    upgrade(url.render_as_string(hide_password=False), tree)


def _exists(superuser_url: str, database: str) -> bool:
    with psycopg.connect(superuser_url) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
    return found is not None


if __name__ == "__main__":
    main()
