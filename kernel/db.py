"""Transactions on PostgreSQL, as the stores of both services use them.

A transaction runs batches of statements. A batch is one round trip (libpq pipeline), yet each of its statements is a
statement of its own with a snapshot of its own, in the order written: lock, read the clock, read everything in one
batch see exactly what they would see one by one (docs/decisions/0005-sql-by-hand.md).
"""

import select
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import Any, Final, LiteralString

import psycopg
import psycopg_pool
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from sqlalchemy import Executable
from sqlalchemy.dialects import postgresql

from kernel.errors import Unavailable

Row = dict[str, Any]

POOL_WAIT_SECONDS: Final = 2.0
CONNECT_TIMEOUT_SECONDS: Final = 2
CONNECTION_LIFETIME_SECONDS: Final = 1800.0
CONNECTION_IDLE_SECONDS: Final = 300.0
RECONNECT_SECONDS: Final = 5.0
PEER_TIMEOUT_MS: Final = 5_000
RETRY_AFTER_SECONDS: Final = 1.0

BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"
BEGIN_READ_ONLY: Final = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"

LIFT_TIMEOUTS: Final = "SELECT set_config('statement_timeout', '0', true), set_config('transaction_timeout', '0', true)"
"""Run before COMMIT: a commit that is cancelled half-way may or may not have happened."""

_DIALECT: Final = postgresql.dialect(paramstyle="pyformat")  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it bare


@dataclass(frozen=True, slots=True)
class Statement:
    """One named SQL statement with its parameters; `%(name)s` placeholders."""

    sql: LiteralString
    parameters: Mapping[str, object] = field(default_factory=dict)


class ConstraintError(Exception):
    """A statement broke the constraint `name`; nothing of the transaction remains."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class CommitUnknownError(Unavailable):
    """COMMIT was sent and not acknowledged, or acknowledged with a doubt: the database knows, this process does not."""


@dataclass(frozen=True, slots=True)
class Reasons:
    """The `ErrorReason` values of the service that owns the database."""

    unavailable: str


class Transaction:
    """One READ COMMITTED transaction: opened by its first batch, over at `commit`, else rolled back."""

    def __init__(
        self,
        connection: psycopg.AsyncConnection[Row],
        settings: Mapping[str, str],
        reasons: Reasons,
        begin: LiteralString = BEGIN,
    ) -> None:
        self._connection = connection
        self._reasons = reasons
        self._opening: list[Statement] = [Statement(begin)]
        if settings:
            self._opening += [
                Statement("SELECT set_config(%(name)s, %(value)s, true)", {"name": name, "value": value})
                for name, value in settings.items()
            ]

    async def run(self, *statements: Statement) -> list[list[Row]]:
        """Run one batch; return the rows of each statement, an empty list for one that returns none.

        Raises:
            Unavailable: the database does not answer, or a time-out fired (a user's lock held elsewhere, say).
            ConstraintError: a constraint refused a statement.
        """
        opening, self._opening = self._opening, []
        with _translated(self._reasons):
            return (await _batch(self._connection, [*opening, *statements]))[len(opening) :]

    async def run_one(self, statement: Statement) -> list[Row]:
        """Run one statement and return its rows."""
        return (await self.run(statement))[0]

    async def commit(self, *last: Statement) -> list[list[Row]]:
        """Commit. Returning at all is the acknowledgement: tag COMMIT and no warning from the server.

        A `last` batch, of statements whose rows decide nothing, goes in the same round trip; its rows are returned.
        When one of them fails, the server skips the COMMIT behind it.

        Raises:
            ConstraintError: a constraint refused, also one checked at COMMIT; nothing of the transaction remains.
            CommitUnknownError: anything else. The transaction may have happened; no right follows from it.
        """
        warnings: list[str] = []

        def note(diagnostic: psycopg.errors.Diagnostic) -> None:
            warnings.append(diagnostic.severity_nonlocalized or "")

        self._connection.add_notice_handler(note)
        try:
            async with self._connection.pipeline():
                cursors = [await self._connection.execute(item.sql, item.parameters or None) for item in last]
                await self._connection.execute(LIFT_TIMEOUTS)
                cursor = await self._connection.execute("COMMIT")
            rows = [await _rows(each) for each in cursors]
            tag = cursor.statusmessage
        except psycopg.errors.IntegrityError as error:
            raise ConstraintError(error.diag.constraint_name or type(error).__name__) from error
        except psycopg.Error as error:
            raise commit_unknown(self._reasons, type(error).__name__) from error
        finally:
            self._connection.remove_notice_handler(note)
        if tag != "COMMIT" or "WARNING" in warnings:
            raise commit_unknown(self._reasons, f"tag {tag}, {len(warnings)} notices")
        return rows

    async def rollback(self) -> None:
        """Roll back, if anything is open."""
        if self._connection.info.transaction_status is not TransactionStatus.IDLE:
            with _translated(self._reasons):
                await self._connection.execute("ROLLBACK")


class Database:
    """A pool of connections to one database as one role."""

    def __init__(self, url: str, *, connections_max: int, reasons: Reasons) -> None:
        self._reasons = reasons
        self._pool: psycopg_pool.AsyncConnectionPool[psycopg.AsyncConnection[Row]] = psycopg_pool.AsyncConnectionPool(
            url,
            min_size=1,
            max_size=connections_max,
            open=False,
            timeout=POOL_WAIT_SECONDS,
            max_lifetime=CONNECTION_LIFETIME_SECONDS,
            max_idle=CONNECTION_IDLE_SECONDS,
            reconnect_timeout=RECONNECT_SECONDS,
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "prepare_threshold": 0,
                "connect_timeout": CONNECT_TIMEOUT_SECONDS,
                "tcp_user_timeout": PEER_TIMEOUT_MS,
            },
        )

    async def open(self) -> None:
        """Start the pool. It fills in the background; a database that is down is no reason not to start."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    @asynccontextmanager
    async def transaction(
        self, settings: Mapping[str, str] = MappingProxyType({}), *, begin: LiteralString = BEGIN
    ) -> AsyncIterator[Transaction]:
        """Yield a transaction; `settings` (such as `app.user_id`) hold as long as it does.

        Left without `commit`, it is rolled back; a connection in doubt is closed, never returned to the pool.
        """
        with _translated(self._reasons):
            connection = await self._take()
        try:
            transaction = Transaction(connection, settings, self._reasons, begin)
            try:
                yield transaction
            finally:
                if connection.info.transaction_status is not TransactionStatus.IDLE:
                    await _abandon(connection)
        finally:
            await self._pool.putconn(connection)

    async def read(self, *statements: Statement, settings: Mapping[str, str] = MappingProxyType({})) -> list[list[Row]]:
        """Run one batch that only reads, as a read-only transaction in a single round trip; return as `run` does.

        It ends with COMMIT: at a ROLLBACK psycopg forgets all prepared statements of the connection, and every
        statement after it is parsed and planned again.

        Raises:
            Unavailable: the database does not answer, or a time-out fired.
        """
        async with self.transaction(settings, begin=BEGIN_READ_ONLY) as transaction:
            return (await transaction.run(*statements, Statement("COMMIT")))[:-1]

    async def once(self, statement: Statement) -> list[Row]:
        """Run one statement as a READ COMMITTED transaction of its own, in one round trip, and return its rows.

        Returning is the acknowledgement, as for `Transaction.commit`.

        Raises:
            Unavailable: there is no connection; nothing was sent. ConstraintError: a constraint refused it.
            CommitUnknownError: anything else. It may have happened.
        """
        with _translated(self._reasons):
            connection = await self._pool.getconn()
        try:
            return await _alone(connection, statement, self._reasons)
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

    async def _take(self) -> psycopg.AsyncConnection[Row]:
        # After a restart of the server every pooled connection is dead, and each would fail one call, whenever that
        # comes. The pool's own check pauses a second between two of them.
        for _ in range(self._pool.max_size):
            connection = await self._pool.getconn()
            if not _is_dead(connection):
                return connection
            await connection.close()
            await self._pool.putconn(connection)
        return await self._pool.getconn()


async def _alone(connection: psycopg.AsyncConnection[Row], statement: Statement, reasons: Reasons) -> list[Row]:
    warnings: list[str] = []

    def note(diagnostic: psycopg.errors.Diagnostic) -> None:
        warnings.append(diagnostic.severity_nonlocalized or "")

    connection.add_notice_handler(note)
    try:
        cursor = await connection.execute(statement.sql, statement.parameters or None, binary=True)
        rows = await cursor.fetchall() if cursor.rownumber is not None else []
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise commit_unknown(reasons, type(error).__name__) from error
    except psycopg.errors.IntegrityError as error:
        raise ConstraintError(error.diag.constraint_name or type(error).__name__) from error
    finally:
        connection.remove_notice_handler(note)
    if "WARNING" in warnings:
        raise commit_unknown(reasons, f"{len(warnings)} notices")
    return rows


def commit_unknown(reasons: Reasons, found: str) -> CommitUnknownError:
    """Return the failure of a commit without an acknowledgement."""
    message = f"the database did not acknowledge the commit ({found}); repeat the call to learn the outcome"
    return CommitUnknownError(reasons.unavailable, message, retry_after_seconds=RETRY_AFTER_SECONDS)


def built(query: Executable) -> Statement:
    """Turn a SQLAlchemy Core query, whose filters were composed, into a statement."""
    compiled = query.compile(dialect=_DIALECT)  # type: ignore[attr-defined]  # every Core query compiles
    return Statement(str(compiled), dict(compiled.params))  # built by Core, never concatenated


def _is_dead(connection: psycopg.AsyncConnection[Row]) -> bool:
    """Say whether an idle connection has something to say: its server said goodbye, or is gone. No round trip."""
    idle = select.poll()
    idle.register(connection.fileno(), select.POLLIN)
    return bool(idle.poll(0))


async def _batch(connection: psycopg.AsyncConnection[Row], statements: Sequence[Statement]) -> list[list[Row]]:
    async with connection.pipeline():
        cursors = [await connection.execute(item.sql, item.parameters or None) for item in statements]
    return [await _rows(cursor) for cursor in cursors]


async def _rows(cursor: psycopg.AsyncCursor[Row]) -> list[Row]:
    # Not asked of `description`, which builds an object for every column.
    return await cursor.fetchall() if cursor.pgresult is not None and cursor.pgresult.nfields else []


async def _abandon(connection: psycopg.AsyncConnection[Row]) -> None:
    """Roll back; whatever does not go smoothly closes the connection. The failure that led here stays the one told."""
    try:
        await connection.execute("ROLLBACK")
    except psycopg.Error:
        await connection.close()
    except BaseException:
        await connection.close()
        raise


class _translated:  # noqa: N801 - reads as a word at its use
    """Turn the driver's exceptions into ours. Their text stays here: a DSN may hide in it."""

    def __init__(self, reasons: Reasons) -> None:
        self._reasons = reasons

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, psycopg.errors.IntegrityError):
            raise ConstraintError(error.diag.constraint_name or type(error).__name__) from error
        if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError, psycopg_pool.PoolTimeout)):
            message = f"the database does not answer ({type(error).__name__}); nothing was changed"
            raise Unavailable(self._reasons.unavailable, message, retry_after_seconds=RETRY_AFTER_SECONDS) from error
