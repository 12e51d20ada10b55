"""Whether a PostgreSQL server may hold what we promise: what is asked of it, and what about the answer is unsafe.

`kernel.db` asks on every new connection, before anything else is done with it. The judgement is pure: what was seen in,
problems out, each with what was found, what is expected and what to do.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import psycopg

VERSION_MIN: Final = 180_004
"""18.4 of 14 May 2026: before it any role could make the server write outside its buffers (CVE-2026-6473); it contains
the fixes of row security too (CVE-2024-10976, CVE-2024-10978). https://www.postgresql.org/support/security/"""
REVISION_DIGITS: Final = re.compile(r"[0-9]{4}", re.ASCII)

OWN_SESSION: Final = "set by migrations.roles for every serving role; run ensure_roles again"
ACKNOWLEDGED: Final = "an acknowledged commit must outlive a crash; set it and reload the server"

EXPECTED: Final[Mapping[str, tuple[frozenset[str], str]]] = {
    "fsync": (frozenset({"on"}), ACKNOWLEDGED),
    "full_page_writes": (frozenset({"on"}), ACKNOWLEDGED),
    "synchronous_commit": (frozenset({"on", "remote_apply"}), ACKNOWLEDGED),
    "data_sync_retry": (frozenset({"off"}), ACKNOWLEDGED),
    "default_transaction_isolation": (frozenset({"read committed"}), OWN_SESSION),
    "default_transaction_read_only": (frozenset({"off"}), "name the primary, and no read-only role or database"),
    "session_replication_role": (frozenset({"origin"}), "anything else switches triggers and foreign keys off"),
    "row_security": (frozenset({"on"}), OWN_SESSION),
}
"""Setting: the values that are safe, and what to do about others. Of synchronous_commit, `local` and `remote_write`
acknowledge what a failover may lose; without standbys they are no faster than `on`."""

BOUNDED: Final = (
    "lock_timeout",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
    "transaction_timeout",
)
"""None of these may be 0, which means for ever: a dead peer would hold a user's lock."""

SIGHT: Final[LiteralString] = """
SELECT current_user::text AS role,
    current_setting('server_version_num')::int AS version,
    pg_is_in_recovery() AS in_recovery,
    pg_backend_pid() AS server_process,
    (SELECT jsonb_object_agg(name, current_setting(name)) FROM unnest(%(settings)s::text[]) AS name) AS settings,
    ARRAY(
        SELECT r.rolname::text FROM pg_roles r
        WHERE (r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolreplication OR r.rolname LIKE 'pg\\_%%')
            AND r.rolname <> 'pg_database_owner' AND pg_has_role(current_user, r.oid, 'MEMBER') ORDER BY r.rolname
    ) AS powers,
    ARRAY(
        SELECT c.relname::text FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
            AND pg_has_role(current_user, c.relowner, 'MEMBER') ORDER BY c.relname
    ) AS owned,
    ARRAY(
        SELECT c.relname::text FROM pg_class c
        WHERE EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
            AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND row_security_active(c.oid)) ORDER BY c.relname
    ) AS unsecured,
    to_regclass('public.alembic_version') IS NOT NULL AS migrated
"""
REVISION: Final[LiteralString] = "SELECT version_num FROM public.alembic_version"
SHOWN_MAX: Final = 3


class UnsafeDatabaseError(Exception):
    """A database was reached and refused; `problems` says why, one line each, nothing secret."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        """Keep the problems."""
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Seen:
    """What one session shows of its server and of itself.

    `server_process` is the process that answers, `session_process` the one that greeted: two mean a pooler between.
    `powers` names the mighty roles that the session's role is or may become, `owned` tables of its own, `unsecured`
    tables whose row policies do not bind it. `revision` is the schema's, None when there is none to be read.
    """

    role: str
    version: int
    in_recovery: bool
    server_process: int
    session_process: int
    settings: Mapping[str, str]
    powers: tuple[str, ...]
    owned: tuple[str, ...]
    unsecured: tuple[str, ...]
    revision: str | None


async def look(connection: psycopg.AsyncConnection[Any]) -> Seen:
    """Ask, in two round trips, outside a transaction.

    Raises:
        psycopg.Error: the session cannot be asked.
    """
    cursor = await connection.execute(SIGHT, {"settings": [*EXPECTED, *BOUNDED]})
    row: dict[str, Any] = (await cursor.fetchall())[0]
    return Seen(
        role=row["role"],
        version=row["version"],
        in_recovery=row["in_recovery"],
        server_process=row["server_process"],
        session_process=connection.info.backend_pid,
        settings=row["settings"],
        powers=tuple(row["powers"]),
        owned=tuple(row["owned"]),
        unsecured=tuple(row["unsecured"]),
        revision=await _revision(connection) if row["migrated"] else None,
    )


def judge(seen: Seen, revision_min: str) -> tuple[str, ...]:
    """Return what is unsafe about a session, nothing when all is well.

    `revision_min` is the name of the newest schema revision that the asking program knows, such as "0001_ground": a
    newer schema is fine, since migrations only add.
    """
    return (*_of_server(seen), *_of_settings(seen.settings), *_of_role(seen), *_of_schema(seen, revision_min))


async def _revision(connection: psycopg.AsyncConnection[Any]) -> str | None:
    try:
        rows = await (await connection.execute(REVISION)).fetchall()
    except psycopg.errors.InsufficientPrivilege:
        return None
    return str(rows[0]["version_num"]) if rows else None


def _of_server(seen: Seen) -> list[str]:
    problems = []
    if seen.version < VERSION_MIN:
        found, wanted = (f"{each // 10_000}.{each % 10_000}" for each in (seen.version, VERSION_MIN))
        problems.append(f"server_version: found {found}; expected {wanted} or later: update the server")
    if seen.in_recovery:
        problems.append("pg_is_in_recovery: found a standby; expected the primary: name the primary's address")
    if seen.server_process != seen.session_process:
        problems.append(
            "backend process: found a connection pooler in between; expected the server itself, which cannot be"
            " exchanged under an open session: connect directly"
        )
    return problems


def _of_settings(settings: Mapping[str, str]) -> list[str]:
    wrong = [
        f"{name}: found {settings[name]}; expected {' or '.join(sorted(safe))}: {do}"
        for name, (safe, do) in EXPECTED.items()
        if settings[name] not in safe
    ]
    endless = [
        f"{name}: found 0, for ever; expected a bound: {OWN_SESSION}" for name in BOUNDED if settings[name] == "0"
    ]
    return wrong + endless


def _of_role(seen: Seen) -> list[str]:
    serving = "connect as the serving role that migrations.roles makes"
    problems = []
    if seen.powers:
        problems.append(f"role {seen.role}: found the powers of {_named(seen.powers)}; expected none: {serving}")
    if seen.owned:
        problems.append(f"role {seen.role}: found the owner of {_named(seen.owned)}; expected another: {serving}")
    if seen.unsecured:
        problems.append(
            f"row security: found not in force for {seen.role} on {_named(seen.unsecured)}; expected enabled and"
            " forced: migrate again, and look who switched it off"
        )
    return problems


def _of_schema(seen: Seen, revision_min: str) -> list[str]:
    if seen.revision is not None and _number(seen.revision) >= _number(revision_min):
        return []
    found = seen.revision or "none that this role may read"
    return [
        f"schema revision: found {found}; expected {revision_min} or later: run make migrate, or name another database"
    ]


def _number(revision: str) -> int:
    digits = REVISION_DIGITS.match(revision)
    return int(digits.group()) if digits else -1


def _named(names: tuple[str, ...]) -> str:
    rest = len(names) - SHOWN_MAX
    return ", ".join(names[:SHOWN_MAX]) + (f" and {rest} more" if rest > 0 else "")
