"""What people do with jobs: create, look, pause, resume, run now; called by `rpc`."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

from kernel.errors import Conflict, Exhausted, FieldViolation, Invalid, NotFound, NotNow, StateViolation
from kernel.rpc.reasons import INVALID_REQUEST
from market_service import reasons
from market_service.scan.job import AnalystKind, Content, Job, JobStatus, MissedPolicy, Run, TakenSnapshot, slot_text
from market_service.scan.ports import Change, Jobs
from market_service.scan.schedule import first_from


class ScanJobs:
    """Jobs and their history."""

    def __init__(self, jobs: Jobs, analysts: Sequence[AnalystKind]) -> None:
        """Take the rows, and the analysts that a job may name."""
        self._jobs = jobs
        self._analysts = frozenset(analysts)

    async def create(self, content: Content, actor: str, first_slot: datetime | None) -> tuple[Job, bool]:
        """Store a job, or answer the one of that id; say whether this call made it.

        Raises:
            Invalid: fields that do not fit each other; all are named. Conflict: the id has other content. NotNow: it
            names an analyst that this service has not.
        """
        if wrong := tuple(_violations(content)):
            fields = ", ".join(each.path for each in wrong)
            raise Invalid(INVALID_REQUEST, f"invalid request: {fields}", wrong)
        if content.analyst not in self._analysts:
            message = "this service has no language model to ask; use the analyst RULES"
            violation = StateViolation(reasons.ANALYST_MISSING, content.analyst, "set ANALYST_URL and ANALYST_KEY_FILE")
            raise NotNow(reasons.ANALYST_MISSING, message, (violation,))
        job, created = await self._jobs.create(content, actor, first_slot)
        if differing := job.content.differing(content):
            fields = ",".join(differing)
            message = f"job {content.job_id} exists with other content ({fields}); use a new id for another job"
            raise Conflict(reasons.SCAN_JOB_MISMATCH, message, metadata={"fields": fields})
        return job, created

    async def job(self, job_id: UUID) -> Job:
        """Read a job.

        Raises:
            NotFound: there is none of that id; so do all that name a job.
        """
        return _found(await self._jobs.job(job_id), job_id)

    async def jobs(self, user_id: str, status: JobStatus | None, after: UUID | None, limit: int) -> list[Job]:
        """List jobs in the order of their ids."""
        return await self._jobs.jobs(user_id, status, after, limit)

    async def pause(self, job_id: UUID) -> Job:
        """Let no further slot become due."""
        return await self._change(job_id, lambda _job, _now: Change(status=JobStatus.PAUSED))

    async def resume(self, job_id: UUID) -> Job:
        """Let slots become due again, from the next that lies ahead."""

        def change(job: Job, now: datetime) -> Change | None:
            if job.status is JobStatus.ACTIVE:
                return None
            return Change(status=JobStatus.ACTIVE, next_slot=first_from(job.next_slot, job.pace, now))

        return await self._change(job_id, change)

    async def run_now(self, job_id: UUID) -> Job:
        """Ask for one slot now; while one asked for waits, a repeat answers that one.

        Raises:
            NotNow: the job is paused. Exhausted: it has run as often today as it may.
        """

        def change(job: Job, now: datetime) -> Change | None:
            if job.status is JobStatus.PAUSED:
                message = "the job is paused; resume it first"
                violation = StateViolation(reasons.SCAN_JOB_PAUSED, str(job_id), message)
                raise NotNow(reasons.SCAN_JOB_PAUSED, message, (violation,))
            if job.counted_on == now.date() and job.counted >= job.content.scans_per_day:
                raise _capped(job, now)
            return None if job.requested_slot is not None else Change(requested_slot=now)

        return await self._change(job_id, change)

    async def runs(self, job_id: UUID, before: datetime | None, limit: int) -> list[Run]:
        """List what became of a job's slots, newest first."""
        await self.job(job_id)
        return await self._jobs.runs(job_id, before, limit)

    async def snapshot(self, job_id: UUID, slot: datetime | None) -> TakenSnapshot:
        """Read the snapshot of a slot, or the newest of the job.

        Raises:
            NotFound: there is none.
        """
        found = await self._jobs.snapshot(job_id, slot)
        if found is None:
            told = "" if slot is None else f" of slot {slot_text(slot)}"
            message = f"job {job_id} has no snapshot{told}"
            raise NotFound(reasons.SNAPSHOT_NOT_FOUND, message, metadata={"job_id": str(job_id)})
        return found

    async def _change(self, job_id: UUID, change: Callable[[Job, datetime], Change | None]) -> Job:
        return _found(await self._jobs.change(job_id, change), job_id)


def _violations(content: Content) -> list[FieldViolation]:
    pace, backfills = content.pace, content.missed is MissedPolicy.BACKFILL
    checks = (
        (pace.least <= pace.every, "terms.pace.least", "at most `every`"),
        (pace.most >= pace.every, "terms.pace.most", "at least `every`"),
        (not any(each.microseconds for each in (pace.every, pace.least, pace.most)), "terms.pace", "whole seconds"),
        (pace.reference_volatility != 0, "terms.pace.reference_volatility", "above 0"),
        (backfills == (content.backfill_max > 0), "terms.backfill_max", "1 to 100 with BACKFILL, else 0"),
        (content.buy_quote_amount != 0, "terms.buy_quote_amount", "above 0"),
        (content.sell_amount != 0, "terms.sell_amount", "above 0"),
        (
            content.buy_quote_amount is not None or content.sell_amount is not None,
            "terms.buy_quote_amount",
            "this or sell_amount, else nothing can be proposed",
        ),
    )
    return [FieldViolation(path, f"expected {expected}") for fits, path, expected in checks if not fits]


def _found(job: Job | None, job_id: UUID) -> Job:
    if job is None:
        raise NotFound(reasons.SCAN_JOB_NOT_FOUND, f"no scan job {job_id}", metadata={"job_id": str(job_id)})
    return job


def _capped(job: Job, now: datetime) -> Exhausted:
    tomorrow = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
    cap = str(job.content.scans_per_day)
    message = f"the job has run {cap} times today, as often as it may"
    metadata = {"scans_per_day": cap}
    return Exhausted(
        reasons.SCAN_CAP_REACHED, message, metadata=metadata, retry_after_seconds=(tomorrow - now).total_seconds()
    )
