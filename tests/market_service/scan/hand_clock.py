"""One hand for two clocks: the loop's and the database's. Time passes only when nobody works.

When every task waits for time and no answer of the database is outstanding, the loop's clock jumps to the next thing
to do, and the database's by as much. An hour passes as fast as the work in it is done, and a slow machine makes no
time-out fire that the hour itself does not.
"""

import asyncio
import selectors
from datetime import UTC, datetime

import psycopg
from psycopg import sql

ANSWER_SECONDS = 30.0
"""Longer than this nobody waits for an answer of the database before time goes on."""
BEGINS = datetime(2027, 3, 1, tzinfo=UTC)

# An unqualified clock_timestamp() is looked for along the path: ours comes before the built-in one. The statements of
# the service are not changed by a letter.
OURS = """
CREATE SCHEMA hand;
CREATE TABLE hand.clock (now timestamptz NOT NULL) WITH (fillfactor = 10);
INSERT INTO hand.clock VALUES ({begins});
CREATE FUNCTION hand.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT now FROM hand.clock';
GRANT USAGE ON SCHEMA hand TO market_service;
GRANT SELECT ON hand.clock TO market_service;
ALTER ROLE market_service IN DATABASE {name} SET search_path = hand, pg_catalog, public;
"""


class HandClock:
    """The database's clock, moved from outside it."""

    def __init__(self, admin_url: str) -> None:
        """Put it in the place of the database's own, for whoever connects from now on."""
        self._connection = psycopg.connect(admin_url, autocommit=True)
        name = sql.Identifier(self._connection.info.dbname)
        self._connection.execute(sql.SQL(OURS).format(begins=BEGINS.isoformat(), name=name))
        self._connection.execute("SET synchronous_commit = off")

    def move(self, seconds: float) -> None:
        """Let so much time pass."""
        self._connection.execute("UPDATE hand.clock SET now = now + %s * interval '1 second'", (seconds,))

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()


class HandLoop(asyncio.SelectorEventLoop):
    """A loop whose clock stands while an answer is awaited, and else jumps over every wait."""

    def __init__(self, clock: HandClock) -> None:
        """Move `clock` along."""
        super().__init__(selectors.SelectSelector())
        self._now = 1_000.0
        selector = self._selector  # type: ignore[attr-defined]
        look, idle = selector.select, len(selector.get_map())

        def select(timeout: float | None = None) -> object:
            outstanding = len(selector.get_map()) > idle
            found = look(ANSWER_SECONDS if outstanding and timeout else 0 if timeout is not None else None)
            if not found and timeout and not outstanding:
                self._now += timeout
                clock.move(timeout)
            return found

        selector.select = select

    def time(self) -> float:
        """Say what the hand shows."""
        return self._now
