"""Both databases of the one-machine system, roles made and migrated: on an embedded server, or on one given by DSN."""

import hashlib
import hmac
import os
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from kernel.dsn import dsn_problem
from kernel.environment import PRIVATE_NETWORK
from kernel.secret import Secret
from migrations.apply import TREES, Tree, upgrade
from migrations.roles import ROLE_NAMES, ROLES, create_database, ensure_roles
from standalone.postgres import EmbeddedPostgres

DSN_VARIABLE = "INTERLOCK_ADMIN_DSN"
TREE_OF_ROLE: dict[str, Tree] = {role.name: tree for role in ROLES for tree in TREES if role.tree == tree}


class DatabaseSetupError(RuntimeError):
    """The server given by DSN cannot be used; the text says what to change."""


class Databases:
    """A server and the databases `<name>_trade` and `<name>_market` on it.

    Roles belong to the server and are shared by all databases there, so their passwords are derived from the
    administrator's: two systems on one server do not lock each other out.
    """

    def __init__(self, folder: Path, name: str, *, fresh: bool) -> None:
        """Describe them. `fresh`: databases of that name are dropped first, with all they hold."""
        self._folder = folder
        self._name = name
        self._fresh = fresh
        self._embedded: EmbeddedPostgres | None = None
        self._admin_url = ""

    def start(self) -> str:
        """Start the embedded server, unless a DSN takes its place; returns what runs, for a person.

        Raises:
            DatabaseSetupError: the DSN has no host or no password.
            PostgresStartError, PostgresInUseError: the embedded server does not start.
        """
        if given := os.environ.get(DSN_VARIABLE):
            self._admin_url = given
            self._require_password()
            return f"PostgreSQL of {DSN_VARIABLE}"
        self._embedded = EmbeddedPostgres.start(self._folder)
        self._admin_url = self._embedded.url()
        return f"PostgreSQL on port {self._embedded.port}"

    def prepare(self) -> None:
        """Make roles and databases, and bring both to the newest revision; what is there already stays.

        Raises:
            psycopg.Error, sqlalchemy.exc.SQLAlchemyError: the server refused.
        """
        ensure_roles(self._admin_url, {role: self._password(role) for role in ROLE_NAMES})
        for tree in TREES:
            self._make(tree)
            upgrade(self.url(f"{tree}_owner"), tree)

    def url(self, role: str) -> str:
        """Return the libpq URL of a role's own database, password included.

        Raises:
            KeyError: no such role.
        """
        found = conninfo_to_dict(self._admin_url)
        host, port = found.get("host") or "127.0.0.1", found.get("port") or 5432
        secret = quote(self._password(role), safe="")
        return f"postgresql://{role}:{secret}@{host}:{port}/{self._database(TREE_OF_ROLE[role])}"

    def vouched(self, prefix: str) -> dict[str, str]:
        """Return the setting by which a service takes a server of another machine as it was given, if it is one."""
        elsewhere = dsn_problem(Secret(self.url("trade_service")), plaintext=False)
        return {f"{prefix}_DATABASE_PLAINTEXT": PRIVATE_NETWORK} if elsewhere else {}

    def stop(self) -> None:
        """Stop the embedded server; one given by DSN is left as it is."""
        if self._embedded:
            self._embedded.stop()

    def _make(self, tree: Tree) -> None:
        database = self._database(tree)
        with psycopg.connect(self._admin_url, autocommit=True) as connection:
            if self._fresh:
                statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
                connection.execute(statement.format(sql.Identifier(database)))
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
        if not known:
            create_database(self._admin_url, database, tree)

    def _database(self, tree: Tree) -> str:
        return f"{self._name}_{tree}"

    def _require_password(self) -> None:
        found = conninfo_to_dict(self._admin_url)
        if not found.get("password") or not found.get("host"):
            raise DatabaseSetupError(f"{DSN_VARIABLE}: expected postgresql://user:password@host:port/database")

    def _password(self, role: str) -> str:
        secret = str(conninfo_to_dict(self._admin_url)["password"])
        return hmac.new(secret.encode(), f"interlock {role}".encode(), hashlib.sha256).hexdigest()
