"""One transaction, batch by batch, and what its end proves; `kernel.db` opens them.

A batch is one round trip (libpq pipeline), yet each of its statements is a statement of its own with a snapshot of its
own, in the order written: lock, read the clock, read everything in one batch see exactly what they would see one by
one (docs/decisions/0005-sql-by-hand.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, LiteralString

import psycopg
import psycopg_pool
from psycopg.pq import TransactionStatus

from kernel.errors import Unavailable
from kernel.pipeline import sent_together

Row = dict[str, Any]

RETRY_AFTER_SECONDS: Final = 1.0

BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"
SET: Final = "SELECT set_config(%(name)s, %(value)s, true)"
READ_ONLY: Final = "SELECT set_config('transaction_read_only', 'on', true)"

LIFT_TIMEOUTS: Final = "SELECT set_config('statement_timeout', '0', true), set_config('transaction_timeout', '0', true)"
"""Run before COMMIT: a commit that is cancelled half-way may or may not have happened."""


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
    ) -> None:
        self._connection = connection
        self._reasons = reasons
        self._opening: list[Statement] = [Statement(BEGIN), *_settings(settings)]

    async def run(self, *statements: Statement) -> list[list[Row]]:
        """Run one batch; return the rows of each statement, an empty list for one that returns none.

        Raises:
            Unavailable: the database does not answer, or a time-out fired (a user's lock held elsewhere, say).
            ConstraintError: a constraint refused a statement.
        """
        opening, self._opening = self._opening, []
        with translated(self._reasons):
            return await _batch(self._connection, opening, statements)

    async def run_one(self, statement: Statement) -> list[Row]:
        """Run one statement and return its rows."""
        return (await self.run(statement))[0]

    async def commit(self, *last: Statement) -> list[list[Row]]:
        """Commit. Returning at all is the acknowledgement: tag COMMIT and no warning from the server.

        A `last` batch, of statements whose rows decide nothing, goes in the same round trip, also when it is the first;
        its rows are returned. When one of them fails, the server skips the COMMIT behind it.

        Raises:
            ConstraintError: a constraint refused, also one checked at COMMIT; nothing of the transaction remains.
            CommitUnknownError: anything else. The transaction may have happened; no right follows from it.
        """
        opening, self._opening = self._opening, []
        statements = [*opening, *last]
        warnings: list[str] = []

        def note(diagnostic: psycopg.errors.Diagnostic) -> None:
            warnings.append(diagnostic.severity_nonlocalized or "")

        self._connection.add_notice_handler(note)
        try:
            async with sent_together(self._connection):
                cursors = [await self._connection.execute(item.sql, item.parameters or None) for item in statements]
                await self._connection.execute(LIFT_TIMEOUTS)
                cursor = await self._connection.execute("COMMIT")
            rows = [await _rows(each) for each in cursors[len(opening) :]]
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
            with translated(self._reasons):
                await self._connection.execute("ROLLBACK")


async def read_only(
    connection: psycopg.AsyncConnection[Row],
    settings: Mapping[str, str],
    statements: Sequence[Statement],
    reasons: Reasons,
) -> list[list[Row]]:
    """Run a batch that only reads and return the rows of each statement; see `Database.read`.

    Without BEGIN and COMMIT: what a pipeline sends between two syncs is one transaction, at the server's default
    isolation, which `kernel.db_safety` demands to be READ COMMITTED.
    https://www.postgresql.org/docs/18/libpq-pipeline-mode.html
    """
    with translated(reasons):
        return await _batch(connection, [Statement(READ_ONLY), *_settings(settings)], statements)


async def alone(connection: psycopg.AsyncConnection[Row], statement: Statement, reasons: Reasons) -> list[Row]:
    """Run one statement as a transaction of its own and return its rows; see `Database.once`."""
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


def _settings(settings: Mapping[str, str]) -> list[Statement]:
    return [Statement(SET, {"name": name, "value": value}) for name, value in settings.items()]


async def _batch(
    connection: psycopg.AsyncConnection[Row], opening: Sequence[Statement], statements: Sequence[Statement]
) -> list[list[Row]]:
    async with sent_together(connection):
        cursors = [await connection.execute(item.sql, item.parameters or None) for item in (*opening, *statements)]
    return [await _rows(cursor) for cursor in cursors[len(opening) :]]


async def _rows(cursor: psycopg.AsyncCursor[Row]) -> list[Row]:
    # Not asked of `description`, which builds an object for every column.
    return await cursor.fetchall() if cursor.pgresult is not None and cursor.pgresult.nfields else []


class translated:  # noqa: N801 - reads as a word at its use
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
