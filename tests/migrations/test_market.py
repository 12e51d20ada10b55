"""The market database: what its service may do, the moves of a run, and how its hot statements find their rows."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest
from psycopg import sql

from market_service.scan import holds, job_rows
from tests.fixtures.database import Cluster, Database
from tests.migrations.test_roles import columns, tables

UPDATABLE = {
    "scan_jobs": {
        *("status", "pace", "next_slot", "requested_slot", "fence", "owner", "owner_name", "claimed_at"),
        *("lease_until", "attempts", "failures", "counted_on", "counted", "missed"),
    },
    "scan_runs": {
        *("status", "fence", "owner", "owner_name", "claimed_at", "recorded_at", "proposal_id", "failure"),
    },
    "market_snapshots": {
        *("fence", "taken_at", "as_of", "price", "volatility", "move_1h", "move_4h", "volume_z"),
    },
}
STATUSES = ("DECIDED", "GATED", "BUDGET_DENIED", "HELD", "PROPOSED", "FAILED")
ALLOWED = {("DECIDED", "PROPOSED"), ("DECIDED", "FAILED")}
FILL = """
SET session_replication_role = replica;
INSERT INTO scan_jobs (job_id, user_id, market, analyst, every, least_every, most_every, missed_policy, backfill_max,
    scans_per_day, buy_quote_amount, content_hash, created_by, pace, next_slot, fence, owner, claimed_at, lease_until)
SELECT gen_random_uuid(), 'user' || n % 50, 'BTC-EUR', 'RULES', '1 min', '1 min', '1 min', 'LATEST_ONCE', 0, 1440, 25,
    repeat('0', 64), 'test', '1 min', '2026-09-24'::timestamptz + n * interval '1 s', 1,
    CASE WHEN n % 10 = 0 THEN '00000000-0000-4000-8000-000000000001'::uuid END, now(),
    CASE WHEN n % 10 = 0 THEN now() END
FROM generate_series(1, 5000) n;
INSERT INTO scan_runs (job_id, slot, status, requested, fence, owner, owner_name, claimed_at)
SELECT job_id, next_slot - n * interval '1 min', 'GATED', false, 1, job_id, 'test', now()
FROM scan_jobs, generate_series(1, 8) n;
INSERT INTO market_snapshots (job_id, slot, market, fence, as_of, price)
SELECT job_id, slot, 'BTC-EUR', 1, slot, 1 FROM scan_runs;
SET session_replication_role = origin;
ANALYZE;
"""
SOME_ID = UUID("00000000-0000-4000-8000-000000000001")
NOW = datetime(2026, 9, 24, 12, tzinfo=UTC)
END = {"job_id": SOME_ID, "fence": 1, "slot": NOW, "status": "GATED", "next_slot": NOW, "pace": "60 s"}
OWNED = {"owner": SOME_ID, "owner_name": "test", "lease": timedelta(seconds=15), "delay": timedelta(0), "limit": 10}
HELD = OWNED | {"job_ids": [SOME_ID], "fences": [1], "ends": orjson.dumps([END]).decode()}
ONE = OWNED | {"job_id": SOME_ID, "fence": 1, "slot": NOW, "requested": False, "missed": 0, "opinion": "{}"}
MEASURED = {"market": "X-Y", "as_of": NOW, "price": 1, "volatility": 0, "move_1h": 0, "move_4h": 0, "volume_z": 0}
PAGE = {"job_id": SOME_ID, "before": "infinity", "since": "-infinity", "to": "infinity", "limit": 51}
HOT = [
    ("turn", holds.TURN, HELD),
    ("renew", holds.RENEW, HELD),
    ("release", holds.RELEASE, HELD),
    ("keep snapshot", holds.KEEP_SNAPSHOT, ONE | MEASURED),
    ("keep opinion", holds.KEEP_OPINION, ONE),
    ("run", holds.READ_RUN, ONE),
    ("contents", holds.CONTENTS, HELD),
    ("job", job_rows.READ, ONE),
    ("jobs", job_rows.JOBS, {"user_id": "", "status": None, "after": SOME_ID, "limit": 51}),
    ("runs", job_rows.RUNS, PAGE),
    ("snapshot", job_rows.SNAPSHOT, PAGE),
]


@pytest.fixture(scope="module")
def filled(cluster: Cluster, market_template: str) -> Iterator[Database]:
    with cluster.clone(market_template, "market") as database:
        with psycopg.connect(database.admin, autocommit=True) as connection:
            connection.execute(FILL)
        yield database


def test_the_market_service_updates_exactly_what_may_move_and_takes_nothing_away(market_database: Database) -> None:
    assert columns(market_database, "market_service", "UPDATE") == UPDATABLE
    for right in ("DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"):
        assert tables(market_database, "market_service", right) == set()
    with psycopg.connect(market_database.admin) as connection:
        create = "SELECT has_schema_privilege('market_service', 'public', 'CREATE')"
        assert connection.execute(create).fetchone() == (False,)


def test_a_job_begins_unclaimed(market_database: Database) -> None:
    assert not columns(market_database, "market_service", "INSERT")["scan_jobs"] & {
        "fence",
        "owner",
        "status",
        "missed",
    }


@pytest.mark.parametrize("before", STATUSES)
@pytest.mark.parametrize("after", STATUSES)
def test_a_run_moves_only_from_decided(filled: Database, before: str, after: str) -> None:
    with psycopg.connect(filled.owner) as connection:
        (job_id,) = connection.execute("SELECT job_id FROM scan_jobs LIMIT 1").fetchone() or ()
        proposal, failure, opinion = uuid4(), "X" if before == "FAILED" else "", "{}"
        connection.execute(
            "INSERT INTO scan_runs (job_id, slot, status, requested, fence, owner, owner_name, claimed_at, opinion,"
            " proposal_id, failure) VALUES (%s, %s, %s, false, 1, %s, '', now(), %s, %s, %s)",
            (job_id, NOW, before, job_id, opinion, proposal, failure),
        )
        move = "UPDATE scan_runs SET status = %s, failure = %s WHERE job_id = %s AND slot = %s"
        values = (after, "X" if after == "FAILED" else "", job_id, NOW)
        if (before, after) in ALLOWED:
            connection.execute(move, values)
        else:
            with pytest.raises(psycopg.errors.CheckViolation) as refused:
                connection.execute(move, values)
            assert refused.value.diag.constraint_name == "status_moves"
        connection.rollback()


@pytest.mark.parametrize(("name", "statement", "parameters"), HOT, ids=[each[0] for each in HOT])
def test_a_hot_statement_of_the_scans_reads_no_table_from_end_to_end(
    filled: Database, name: str, statement: str, parameters: dict[str, object]
) -> None:
    with psycopg.connect(filled.service) as connection, psycopg.ClientCursor(connection) as cursor:
        explained = sql.SQL("EXPLAIN {}").format(sql.SQL(statement))
        plan = "\n".join(row[0] for row in cursor.execute(explained, parameters).fetchall())
    assert not re.findall(r"Seq Scan on (scan_\w+|market_\w+)", plan), f"{name}\n{plan}"
    assert "Index" in plan


def test_due_jobs_are_claimed_in_the_order_of_their_index(filled: Database) -> None:
    with psycopg.connect(filled.service) as connection, psycopg.ClientCursor(connection) as cursor:
        rows = cursor.execute(f"EXPLAIN {holds.TURN}", HELD).fetchall()
    plan = "\n".join(row[0] for row in rows)
    assert "scan_jobs_due" in plan
    assert "Sort" not in plan
