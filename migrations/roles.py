"""The roles of a PostgreSQL cluster that Interlock uses, and what each may never do.

Made before the first migration, by someone who may create roles: `make up`, the tests' fixtures, or an operator.
Roles belong to the cluster, not to a database, hence no revision of a tree makes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, LiteralString

import psycopg
from psycopg import sql

LOCK_TIMEOUT: Final = "2s"
STATEMENT_TIMEOUT: Final = "3s"
IDLE_IN_TRANSACTION_TIMEOUT: Final = "5s"
TRANSACTION_TIMEOUT: Final = "10s"
CLIENT_CHECK_INTERVAL: Final = "1s"
PEER_TIMEOUT: Final = "5s"

SERVING_SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "default_transaction_isolation": "read committed",
        "lock_timeout": LOCK_TIMEOUT,
        "statement_timeout": STATEMENT_TIMEOUT,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT,
        "transaction_timeout": TRANSACTION_TIMEOUT,
        "client_connection_check_interval": CLIENT_CHECK_INTERVAL,
        "tcp_user_timeout": PEER_TIMEOUT,
        "search_path": "public",
        "timezone": "UTC",
    },
)
"""What keeps a dead or paused peer from holding a user's lock: any of these firing denies, and sends nothing."""


@dataclass(frozen=True, slots=True)
class Role:
    """One login role: which database it may enter, whether it serves, how many connections it may hold."""

    name: str
    tree: str
    serves: bool
    connections: int


OWNER_CONNECTIONS: Final = 5
SERVICE_CONNECTIONS: Final = 60
READER_CONNECTIONS: Final = 10

ROLES: Final = (
    Role("trade_owner", "trade", serves=False, connections=OWNER_CONNECTIONS),
    Role("trade_service", "trade", serves=True, connections=SERVICE_CONNECTIONS),
    Role("trade_reconciler", "trade", serves=True, connections=READER_CONNECTIONS),
    Role("auditor", "trade", serves=True, connections=READER_CONNECTIONS),
    Role("market_owner", "market", serves=False, connections=OWNER_CONNECTIONS),
    Role("market_service", "market", serves=True, connections=SERVICE_CONNECTIONS),
)
LARGE_OBJECT_FUNCTIONS: Final[tuple[LiteralString, ...]] = (
    "lo_creat(integer)",
    "lo_create(oid)",
    "lo_from_bytea(oid, bytea)",
)
"""What makes large objects: nothing of ours has any, and rows nobody counts could fill the disk."""
ROLE_NAMES: Final = tuple(role.name for role in ROLES)


def ensure_roles(admin_url: str, passwords: Mapping[str, str], tree: str | None = None) -> None:
    """Create or update the roles of `tree`, or of both; idempotent. `passwords` has one entry per role name.

    The server is sent what a password is checked with, never the password: a log of statements cannot show it.

    Raises:
        KeyError: a password is missing.
        psycopg.Error: `admin_url` cannot be reached, or may not create roles.
    """
    with psycopg.connect(admin_url, autocommit=True) as connection:
        for role in ROLES:
            if tree in {None, role.tree}:
                _ensure_role(connection, role, passwords[role.name])


def create_database(admin_url: str, name: str, tree: str) -> None:
    """Create database `name` for `tree`, owned by the tree's owner, closed to everyone but the tree's roles."""
    members = [role.name for role in ROLES if role.tree == tree]
    owner = f"{tree}_owner"
    with psycopg.connect(admin_url, autocommit=True) as connection:
        statement = "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'"
        connection.execute(sql.SQL(statement).format(sql.Identifier(name), sql.Identifier(owner)))
        close_database(connection, name, members)
    with psycopg.connect(admin_url, dbname=name, autocommit=True) as connection:
        for function in LARGE_OBJECT_FUNCTIONS:
            connection.execute(sql.SQL("REVOKE EXECUTE ON FUNCTION {} FROM PUBLIC").format(sql.SQL(function)))


def close_database(connection: psycopg.Connection, name: str, members: list[str]) -> None:
    """Let only `members` connect to database `name`."""
    revoke = sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC")
    connection.execute(revoke.format(sql.Identifier(name)))
    grant = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}")
    connection.execute(grant.format(sql.Identifier(name), sql.SQL(", ").join(map(sql.Identifier, members))))


def _ensure_role(connection: psycopg.Connection, role: Role, password: str) -> None:
    name = sql.Identifier(role.name)
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role.name,)).fetchone()
    verb = sql.SQL("ALTER ROLE" if known else "CREATE ROLE")
    attributes = sql.SQL(
        "{} {} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION"
        " CONNECTION LIMIT {} PASSWORD {}"
    )
    check = connection.pgconn.encrypt_password(password.encode(), role.name.encode(), b"scram-sha-256").decode()
    connection.execute(attributes.format(verb, name, sql.Literal(role.connections), sql.Literal(check)))
    if role.serves:
        for setting, value in SERVING_SETTINGS.items():
            statement = sql.SQL("ALTER ROLE {} SET {} = {}")
            connection.execute(statement.format(name, sql.Identifier(setting), sql.Literal(value)))
