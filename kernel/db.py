"""A pool of connections to one database, as the stores of both services use it.

A transaction runs batches of statements (`kernel.transaction`). Every connection is judged before its first use.
"""

import select
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, Final, LiteralString

import psycopg
import psycopg_pool
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from sqlalchemy import Executable
from sqlalchemy.dialects import postgresql

from kernel.alarms import raise_alarm
from kernel.db_safety import UnsafeDatabaseError, judge, look
from kernel.dsn import DsnError, leads_to, password_of
from kernel.errors import Unavailable
from kernel.redaction import hide
from kernel.secret import Secret
from kernel.transaction import (
    CommitUnknownError,
    ConstraintError,
    Reasons,
    Row,
    Statement,
    Transaction,
    alone,
    commit_unknown,
    read_only,
    translated,
)

__all__ = [  # a store needs no other import
    "CommitUnknownError",
    "ConstraintError",
    "Database",
    "Reasons",
    "Row",
    "Statement",
    "Transaction",
    "built",
    "commit_unknown",
]

POOL_WAIT_SECONDS: Final = 2.0
CONNECT_TIMEOUT_SECONDS: Final = 2
CONNECTION_LIFETIME_SECONDS: Final = 1800.0
CONNECTION_IDLE_SECONDS: Final = 300.0
RECONNECT_SECONDS: Final = 5.0
PEER_TIMEOUT_MS: Final = 5_000
UNSAFE_RETRY_SECONDS: Final = 5.0
DATABASE_UNSAFE: Final = "DATABASE_UNSAFE"
URL_LEADS_ELSEWHERE: Final = "DATABASE_URL_LEADS_ELSEWHERE"
ELSEWHERE: Final = "the changed URL leads to another database and is not used: restart the service to move it"

ORIGIN: Final[LiteralString] = """
SELECT extract(epoch FROM pg_postmaster_start_time())::text || ' ' || oid AS origin
FROM pg_database WHERE datname = current_database()
"""

CONNECTION_SETTINGS: Final[Mapping[str, Any]] = {
    "autocommit": True,
    "row_factory": dict_row,
    "prepare_threshold": 0,
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    "tcp_user_timeout": PEER_TIMEOUT_MS,
}

_DIALECT: Final = postgresql.dialect(paramstyle="pyformat")  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it bare


class Database:
    """A pool of connections to one database as one role.

    With `revision_min` every new connection is judged before its first use (`kernel.db_safety`): nothing is read from
    or written to a server that does not keep what it acknowledges. Without, as in tests, none is.
    """

    def __init__(self, url: str, *, connections_max: int, reasons: Reasons, revision_min: str | None = None) -> None:
        """Describe it; nothing is opened yet."""
        self.name = _name_of(url)
        self.problems: tuple[str, ...] = ()
        """Why it is refused now; empty while it is not."""
        self.ever_safe = False
        self._url = url
        self._reasons = reasons
        self._revision_min = revision_min
        self._origin: str | None = None
        self._notices: list[Callable[[str], None]] = []
        self._pool: psycopg_pool.AsyncConnectionPool[psycopg.AsyncConnection[Row]] = psycopg_pool.AsyncConnectionPool(
            lambda: self._url,
            min_size=1,
            max_size=connections_max,
            open=False,
            configure=self._admit,
            timeout=POOL_WAIT_SECONDS,
            max_lifetime=CONNECTION_LIFETIME_SECONDS,
            max_idle=CONNECTION_IDLE_SECONDS,
            reconnect_timeout=RECONNECT_SECONDS,
            kwargs=dict(CONNECTION_SETTINGS),
        )

    async def open(self) -> None:
        """Start the pool. It fills in the background; a database that is down is no reason not to start."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    def on_connect(self, notice: Callable[[str], None]) -> None:
        """Call `notice` with the origin of every connection, before its first use; at once with the last one known.

        The origin (a server's start, a database's number) is another one after a restart, a failover or a restore.
        """
        self._notices.append(notice)
        if self._origin is not None:
            notice(self._origin)

    async def judge(self) -> None:
        """Look at the server over a connection of its own: refuse it from now on, or take it back.

        A server that cannot be reached is neither.
        """
        problems = await self._look(self._url)
        if problems is not None:
            await self._note(problems)

    async def use_url(self, url: Secret) -> bool:
        """Connect by `url` from now on, if that works and leads where the present one leads; say whether it does.

        Connections of before end as soon as their transaction does. The password in it is masked before its first use.
        """
        if password := password_of(url):
            hide(password)
        try:
            elsewhere = leads_to(url) != leads_to(Secret(self._url))
        except DsnError:
            elsewhere = True
        if elsewhere:
            raise_alarm(URL_LEADS_ELSEWHERE, ELSEWHERE, subject=self.name)
        if elsewhere or await self._look(url.reveal()) != ():
            return False
        self._url = url.reveal()
        await self._pool.drain()
        return True

    @asynccontextmanager
    async def transaction(self, settings: Mapping[str, str] = MappingProxyType({})) -> AsyncIterator[Transaction]:
        """Yield a transaction; `settings` (such as `app.user_id`) hold as long as it does.

        Left without `commit`, it is rolled back; a connection in doubt is closed, never returned to the pool.
        """
        async with self._connection() as connection:
            yield Transaction(connection, settings, self._reasons)

    async def read(self, *statements: Statement, settings: Mapping[str, str] = MappingProxyType({})) -> list[list[Row]]:
        """Run one batch that only reads, as a read-only transaction in a single round trip; return as `run` does.

        Raises:
            Unavailable: the database does not answer, or a time-out fired.
        """
        async with self._connection() as connection:
            return await read_only(connection, settings, statements, self._reasons)

    async def once(self, statement: Statement) -> list[Row]:
        """Run one statement as a READ COMMITTED transaction of its own, in one round trip, and return its rows.

        Returning is the acknowledgement, as for `Transaction.commit`.

        Raises:
            Unavailable: there is no connection; nothing was sent. ConstraintError: a constraint refused it.
            CommitUnknownError: anything else. It may have happened.
        """
        with translated(self._reasons):
            self._require_safe()
            connection = await self._pool.getconn()
        try:
            return await alone(connection, statement, self._reasons)
        except BaseException:
            await connection.close()
            raise
        finally:
            await self._pool.putconn(connection)

    async def answers(self) -> bool:
        """Say whether the database answers a trivial query now."""
        try:
            await self.read(Statement("SELECT 1"))
        except Unavailable:
            return False
        return True

    async def _look(self, url: str) -> tuple[str, ...] | None:
        """Return what is unsafe about a connection by `url`; None when there is none to be had."""
        try:
            async with await psycopg.AsyncConnection[Row].connect(url, **CONNECTION_SETTINGS) as connection:
                return await self._problems_of(connection)
        except psycopg.Error:
            return None

    async def _problems_of(self, connection: psycopg.AsyncConnection[Row]) -> tuple[str, ...]:
        return () if self._revision_min is None else judge(await look(connection), self._revision_min)

    async def _admit(self, connection: psycopg.AsyncConnection[Row]) -> None:
        """Look at a new connection of the pool; close one to an unsafe server.

        Raises:
            UnsafeDatabaseError: it is unsafe; the pool tries again later.
        """
        try:
            problems = await self._problems_of(connection)
            await self._note(problems)
            await self._tell_origin(connection)
        except BaseException:
            await connection.close()
            raise
        if problems:
            await connection.close()
            raise UnsafeDatabaseError(problems)

    async def _tell_origin(self, connection: psycopg.AsyncConnection[Row]) -> None:
        (row,) = await (await connection.execute(ORIGIN)).fetchall()
        self._origin = row["origin"]
        for notice in self._notices:
            notice(row["origin"])

    async def _note(self, problems: tuple[str, ...]) -> None:
        was_safe, self.problems = not self.problems, problems
        if not problems:
            self.ever_safe = True
            return
        raise_alarm(DATABASE_UNSAFE, "; ".join(problems), subject=self.name)
        if was_safe:
            await self._pool.drain()

    def _require_safe(self) -> None:
        if self.problems:
            message = "the database is refused as unsafe and an operator was told; nothing was changed"
            raise Unavailable(self._reasons.unavailable, message, retry_after_seconds=UNSAFE_RETRY_SECONDS)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[psycopg.AsyncConnection[Row]]:
        with translated(self._reasons):
            connection = await self._take()
        try:
            try:
                yield connection
            finally:
                if connection.info.transaction_status is not TransactionStatus.IDLE:
                    await _abandon(connection)
        finally:
            await self._pool.putconn(connection)

    async def _take(self) -> psycopg.AsyncConnection[Row]:
        self._require_safe()
        # After a restart of the server every pooled connection is dead, and each would fail one call, whenever that
        # comes. The pool's own check pauses a second between two of them.
        for _ in range(self._pool.max_size):
            connection = await self._pool.getconn()
            if not _is_dead(connection):
                return connection
            await connection.close()
            await self._pool.putconn(connection)
        return await self._pool.getconn()


def _name_of(url: str) -> str:
    parts = conninfo_to_dict(url)
    return f"{parts.get('user')}@{parts.get('dbname')}"


def built(query: Executable) -> Statement:
    """Turn a SQLAlchemy Core query, whose filters were composed, into a statement."""
    compiled = query.compile(dialect=_DIALECT)  # type: ignore[attr-defined]  # every Core query compiles
    return Statement(str(compiled), dict(compiled.params))  # built by Core, never concatenated


def _is_dead(connection: psycopg.AsyncConnection[Row]) -> bool:
    """Say whether an idle connection has something to say: its server said goodbye, or is gone. No round trip."""
    idle = select.poll()
    idle.register(connection.fileno(), select.POLLIN)
    return bool(idle.poll(0))


async def _abandon(connection: psycopg.AsyncConnection[Row]) -> None:
    """Roll back; whatever does not go smoothly closes the connection. The failure that led here stays the one told."""
    try:
        await connection.execute("ROLLBACK")
    except psycopg.Error:
        await connection.close()
    except BaseException:
        await connection.close()
        raise
