"""Turns of claims and ends, and every other write under a claim: the fence is checked in the statement that writes.

A write locks the job's row and compares fence and owner, and keeps the lock to its commit; a claim changes both under
the same lock. So of two holders only the later one writes anything from the moment his claim commits, whatever the
earlier one's clock says (G2).
"""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, LiteralString
from uuid import UUID

import orjson

from kernel.db import Database, Row, Statement
from market_service.scan.job import Claim, Content, End, Opinion, Run, Snapshot, Turn
from market_service.scan.ports import Boot
from market_service.scan.rows import claim_of, content_of, end_values, opinion_values, run_of
from market_service.scan.schedule import Plan

# One statement writes how slots ended and claims what is due: one round trip, one commit.
# Ends. The ids are asked for as an array too, so that the rows are found by their key: the planner takes an owner for
# rare and would read the whole table for him. A slot that has a row already keeps it, unless it was only decided: it
# took effect once. The job moves on either way.
# Claims. The clock is read in a subquery of its own so that the index on due_at can be searched by it. Whoever another
# transaction holds is passed by; due_at is a lease's end while a job is held, so a dead holder needs no other path. A
# row is updated once by a statement, so no job is claimed that is also ended. The ends' rows are read first: a turn
# that waits for a row holds no claim.
TURN: Final[LiteralString] = """
WITH ended AS (
    SELECT * FROM json_to_recordset(%(ends)s::json) AS e(job_id uuid, fence bigint, slot timestamptz,
        requested boolean, status text, failure text, proposal_id uuid, opinion jsonb, missed integer,
        next_slot timestamptz, pace interval, failures integer)
), held AS (
    UPDATE scan_jobs AS job SET owner = NULL, owner_name = '', claimed_at = NULL, lease_until = NULL, attempts = 0,
        next_slot = ended.next_slot, pace = ended.pace, failures = ended.failures, missed = job.missed + ended.missed,
        requested_slot = CASE WHEN ended.requested THEN NULL ELSE job.requested_slot END,
        counted = CASE WHEN job.counted_on = today.date THEN job.counted ELSE 0 END
            + (ended.status IS NOT NULL)::integer,
        counted_on = today.date
    FROM ended, (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS date) AS today
    WHERE job.job_id = ANY(ARRAY(SELECT job_id FROM ended))
        AND job.job_id = ended.job_id AND job.fence = ended.fence AND job.owner = %(owner)s
    RETURNING ended.*, old.claimed_at
), written AS (
    INSERT INTO scan_runs AS run (job_id, slot, status, requested, missed_before, fence, owner, owner_name,
        claimed_at, opinion, proposal_id, failure)
    SELECT job_id, slot, status, requested, missed, fence, %(owner)s, %(owner_name)s, claimed_at, opinion,
        proposal_id, failure
    FROM held WHERE status IS NOT NULL
    ON CONFLICT (job_id, slot) DO UPDATE SET status = excluded.status, fence = excluded.fence,
        owner = excluded.owner, owner_name = excluded.owner_name, claimed_at = excluded.claimed_at,
        recorded_at = excluded.recorded_at, proposal_id = excluded.proposal_id, failure = excluded.failure
        WHERE run.status = 'DECIDED'
), due AS MATERIALIZED (
    SELECT job_id FROM scan_jobs
    WHERE status = 'ACTIVE' AND due_at <= (SELECT clock_timestamp())
        AND (counted < scans_per_day OR counted_on < (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date))
        AND job_id <> ALL(ARRAY(SELECT job_id FROM ended))
    ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE scan_jobs AS job SET fence = job.fence + 1, owner = %(owner)s, owner_name = %(owner_name)s,
        claimed_at = clock_timestamp(), lease_until = clock_timestamp() + %(lease)s, attempts = job.attempts + 1
    FROM due WHERE job.job_id = due.job_id
    RETURNING job.job_id, job.fence, job.pace, job.next_slot, job.requested_slot, job.failures, job.counted_on,
        job.counted, job.claimed_at, job.attempts
)
SELECT job_id, fence, NULL::interval AS pace, NULL::timestamptz AS next_slot, NULL::timestamptz AS requested_slot,
    NULL::integer AS failures, NULL::date AS counted_on, NULL::integer AS counted, NULL::timestamptz AS claimed_at,
    NULL::integer AS attempts
FROM held UNION ALL SELECT * FROM claimed
"""

CONTENTS: Final[LiteralString] = "SELECT * FROM scan_jobs WHERE job_id = ANY(%(job_ids)s::uuid[])"
CONTENTS_MAX: Final = 10_000

RENEW: Final[LiteralString] = """
UPDATE scan_jobs AS job SET lease_until = clock_timestamp() + %(lease)s
FROM unnest(%(job_ids)s::uuid[], %(fences)s::bigint[]) AS held(job_id, fence)
WHERE job.job_id = ANY(%(job_ids)s::uuid[])
    AND job.job_id = held.job_id AND job.fence = held.fence AND job.owner = %(owner)s
RETURNING job.job_id, job.fence
"""

# What was not begun counts as no attempt: only a job put off, whose run went wrong, keeps its count.
RELEASE: Final[LiteralString] = """
UPDATE scan_jobs AS job SET owner = NULL, owner_name = '', claimed_at = NULL,
    lease_until = CASE WHEN %(delay)s > interval '0' THEN clock_timestamp() + %(delay)s END,
    attempts = job.attempts - CASE WHEN %(delay)s > interval '0' THEN 0 ELSE 1 END
FROM unnest(%(job_ids)s::uuid[], %(fences)s::bigint[]) AS held(job_id, fence)
WHERE job.job_id = ANY(%(job_ids)s::uuid[])
    AND job.job_id = held.job_id AND job.fence = held.fence AND job.owner = %(owner)s
RETURNING job.job_id
"""

KEEP_SNAPSHOT: Final[LiteralString] = """
WITH held AS (
    SELECT job_id, fence FROM scan_jobs
    WHERE job_id = %(job_id)s AND fence = %(fence)s AND owner = %(owner)s FOR UPDATE
)
INSERT INTO market_snapshots AS kept
    (job_id, slot, market, fence, as_of, price, volatility, move_1h, move_4h, volume_z)
SELECT job_id, %(slot)s, %(market)s, fence, %(as_of)s, %(price)s, %(volatility)s, %(move_1h)s, %(move_4h)s,
    %(volume_z)s
FROM held
ON CONFLICT (job_id, slot) DO UPDATE SET fence = excluded.fence, taken_at = excluded.taken_at,
    as_of = excluded.as_of, price = excluded.price, volatility = excluded.volatility, move_1h = excluded.move_1h,
    move_4h = excluded.move_4h, volume_z = excluded.volume_z
    WHERE kept.fence <= excluded.fence
RETURNING job_id
"""

KEEP_OPINION: Final[LiteralString] = """
WITH held AS (
    SELECT * FROM scan_jobs WHERE job_id = %(job_id)s AND fence = %(fence)s AND owner = %(owner)s FOR UPDATE
)
INSERT INTO scan_runs (job_id, slot, status, requested, missed_before, fence, owner, owner_name, claimed_at, opinion)
SELECT job_id, %(slot)s, 'DECIDED', %(requested)s, %(missed)s, fence, owner, owner_name, claimed_at,
    %(opinion)s::jsonb
FROM held
ON CONFLICT (job_id, slot) DO NOTHING
RETURNING job_id
"""

READ_RUN: Final[LiteralString] = "SELECT * FROM scan_runs WHERE job_id = %(job_id)s AND slot = %(slot)s"


class HoldRows:
    """What one boot of one process holds."""

    def __init__(self, database: Database, boot: Boot) -> None:
        """Use the pool of the serving role."""
        self._database = database
        self._boot = boot
        self._contents: OrderedDict[UUID, Content] = OrderedDict()

    async def turn(self, ends: Sequence[End], lease: timedelta, limit: int) -> Turn:
        """Write how slots ended and move their jobs on; claim at most `limit` other due jobs."""
        parameters: dict[str, object] = {
            "ends": orjson.dumps([end_values(each) for each in ends]).decode(),
            "lease": lease,
            "limit": limit,
        }
        rows = await self._database.once(Statement(TURN, self._owner(parameters)))
        claimed = [row for row in rows if row["claimed_at"] is not None]
        contents = await self._contents_of([row["job_id"] for row in claimed])
        claims = [claim_of(row, content) for row, content in zip(claimed, contents, strict=True)]
        return Turn(frozenset((row["job_id"], row["fence"]) for row in rows if row["claimed_at"] is None), claims)

    async def renew(self, lease: timedelta, claims: Collection[Claim]) -> set[tuple[UUID, int]]:
        """Prolong leases; return the jobs still held, with their fences."""
        rows = await self._database.once(Statement(RENEW, self._owner({"lease": lease, **_fences(claims)})))
        return {(row["job_id"], row["fence"]) for row in rows}

    async def release(self, claims: Collection[Claim], delay: timedelta) -> set[UUID]:
        """Give jobs back, to be claimed by anyone after `delay`."""
        return _ids(await self._database.once(Statement(RELEASE, self._owner({"delay": delay, **_fences(claims)}))))

    async def keep_snapshot(self, claim: Claim, slot: datetime, snapshot: Snapshot) -> bool:
        """Store the snapshot of a slot."""
        parameters: dict[str, object] = {
            "slot": slot,
            "market": snapshot.market,
            "as_of": snapshot.as_of,
            "price": snapshot.price,
            "volatility": snapshot.volatility,
            "move_1h": snapshot.move_1h,
            "move_4h": snapshot.move_4h,
            "volume_z": snapshot.volume_z,
        }
        return bool(await self._database.once(Statement(KEEP_SNAPSHOT, self._held(claim, parameters))))

    async def keep_opinion(self, claim: Claim, plan: Plan, opinion: Opinion) -> bool:
        """Store what the analyst said of the plan's slot."""
        parameters: dict[str, object] = {
            "slot": plan.slot,
            "requested": plan.requested,
            "missed": plan.missed,
            "opinion": orjson.dumps(opinion_values(opinion)).decode(),
        }
        return bool(await self._database.once(Statement(KEEP_OPINION, self._held(claim, parameters))))

    async def run(self, job_id: UUID, slot: datetime) -> Run | None:
        """Read what became of a slot."""
        rows = await self._database.once(Statement(READ_RUN, {"job_id": job_id, "slot": slot}))
        return run_of(rows[0]) if rows else None

    async def _contents_of(self, job_ids: Sequence[UUID]) -> list[Content]:
        """Return the contents of jobs. They never change and are most of a job: each is read once."""
        known = self._contents
        unknown = [job_id for job_id in job_ids if job_id not in known]
        if unknown:
            for row in await self._database.once(Statement(CONTENTS, {"job_ids": unknown})):
                known[row["job_id"]] = content_of(row)
        for job_id in job_ids:
            known.move_to_end(job_id)
        contents = [known[job_id] for job_id in job_ids]
        while len(known) > CONTENTS_MAX:
            known.popitem(last=False)
        return contents

    def _owner(self, parameters: dict[str, object]) -> dict[str, object]:
        return {"owner": self._boot.id, "owner_name": self._boot.name, **parameters}

    def _held(self, claim: Claim, parameters: dict[str, object]) -> dict[str, object]:
        return self._owner({"job_id": claim.job_id, "fence": claim.fence, **parameters})


def _fences(claims: Collection[Claim]) -> dict[str, object]:
    return {"job_ids": [claim.job_id for claim in claims], "fences": [claim.fence for claim in claims]}


def _ids(rows: list[Row]) -> set[UUID]:
    return {row["job_id"] for row in rows}
