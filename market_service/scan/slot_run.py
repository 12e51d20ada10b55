"""Runs one slot of a claimed job: snapshot, gate, budget, analyst, proposal. The whole way in one place.

Each write to the market database is fenced, and ends the run when the job is another's by now. What crosses to
trade_service carries an id made of job and slot: two holders of one slot reserve one call and make one proposal.
"""

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from kernel import logs
from kernel.alarms import raise_alarm
from kernel.errors import Failure, Unavailable
from kernel.ids import deterministic_id
from market_service.scan import figures
from market_service.scan.gate import shut_by
from market_service.scan.job import AnalystKind, Claim, Content, End, Opinion, RunStatus, Side, Snapshot, slot_text
from market_service.scan.ports import Analyst, AnalystError, Ends, Holds, Market, Reserved, SettledAs, TradeDesk, Usage
from market_service.scan.schedule import Plan, adapted, following, plan

ATTEMPTS_MAX: Final = 5
"""A slot claimed so often without an end is given up."""
PUT_OFF: Final = timedelta(seconds=5)
CALL_MARGIN_SECONDS: Final = 1.0
"""A reserved call starts at least this long before its permission ends."""
FAILURES_ALARMED: Final = 5

ATTEMPTS_USED: Final = "ATTEMPTS_USED"
PROPOSAL_UNKNOWN: Final = "PROPOSAL_UNKNOWN"
"""trade_service never answered: the proposal of the run's id may exist."""
RESERVED_BEFORE: Final = "RESERVED_BEFORE"
PERMISSION_OVER: Final = "PERMISSION_OVER"
ANALYST_MISSING: Final = "ANALYST_MISSING"
SCAN_JOB_FAILING: Final = "SCAN_JOB_FAILING"


class LostError(Exception):
    """The job is another's now; whatever was found out is discarded."""


class _EndedError(Exception):
    """The slot is over: how, and why if it failed."""

    def __init__(self, status: RunStatus, failure: str = "", opinion: Opinion | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.failure = failure
        self.opinion = opinion


class SlotRun:
    """One attempt at one slot. `spending`: from the reservation on, when giving up would waste a paid call."""

    def __init__(
        self,
        claim: Claim,
        *,
        holds: Holds,
        ends: Ends,
        market: Market,
        desk: TradeDesk,
        analysts: Mapping[AnalystKind, Analyst],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the parts."""
        self.claim = claim
        self.spending = False
        self._holds = holds
        self._ends = ends
        self._market = market
        self._desk = desk
        self._analysts = analysts
        self._monotonic = monotonic
        self._claimed_at = monotonic()
        self._volatility: Decimal | None = None

    @property
    def _content(self) -> Content:
        return self.claim.content

    async def run(self) -> None:
        """Run the slot to its end.

        Raises:
            LostError: the job is another's now. Unavailable: the database does not answer, or trade_service did not
            take a proposal yet; the slot is still due.
        """
        planned = plan(self.claim)
        figures.MISSED.inc(planned.missed)
        if planned.slot is None:
            await self._end(planned, None)
            return
        figures.LATENESS.observe((self.claim.now - planned.slot).total_seconds())
        try:
            await self._take(planned, planned.slot)
        except _EndedError as ended:
            await self._end(planned, ended)

    async def _take(self, planned: Plan, slot: datetime) -> None:
        stored = await self._holds.run(self.claim.job_id, slot)
        if stored is not None and stored.status is not RunStatus.DECIDED:
            await self._end(planned, None)
            return
        if self.claim.attempt > ATTEMPTS_MAX:
            raise _EndedError(RunStatus.FAILED, ATTEMPTS_USED if stored is None else PROPOSAL_UNKNOWN)
        if stored is None or stored.opinion is None:
            opinion = await self._decide(slot)
            self._require(await self._holds.keep_opinion(self.claim, planned, opinion))
        else:
            opinion = stored.opinion
        await self._propose(slot, opinion)
        raise _EndedError(RunStatus.PROPOSED)

    async def _decide(self, slot: datetime) -> Opinion:
        """Come to an opinion that is worth a proposal; everything else ends the slot."""
        snapshot = await self._snapshot(slot)
        if shut := shut_by(self._content.gate, snapshot):
            logs.log("scan_gated", level=logs.DEBUG, job=str(self.claim.job_id), gate=shut)
            raise _EndedError(RunStatus.GATED)
        analyst = self._analysts.get(self._content.analyst)
        if analyst is None:
            raise _EndedError(RunStatus.FAILED, ANALYST_MISSING)
        opinion = await (self._judged if analyst.kind is AnalystKind.RULES else self._bought)(analyst, slot, snapshot)
        if opinion.side is Side.HOLD:
            raise _EndedError(RunStatus.HELD, opinion=opinion)
        return opinion

    async def _snapshot(self, slot: datetime) -> Snapshot:
        try:
            snapshot = await self._market.snapshot(self._content.market)
        except Failure as failure:
            raise _EndedError(RunStatus.FAILED, failure.reason) from None
        self._volatility = snapshot.volatility
        self._require(await self._holds.keep_snapshot(self.claim, slot, snapshot))
        return snapshot

    async def _judged(self, analyst: Analyst, _: datetime, snapshot: Snapshot) -> Opinion:
        try:
            opinion, _usage = await analyst.judge(self._content, snapshot)
        except AnalystError as error:
            raise _EndedError(RunStatus.FAILED, error.code) from None
        return opinion

    async def _bought(self, analyst: Analyst, slot: datetime, snapshot: Snapshot) -> Opinion:
        """Reserve a call, make it if this answer and no other allowed it, and say how it ended."""
        reservation_id = reservation_id_of(self.claim.job_id, slot)
        self.spending, asked_at = True, self._monotonic()
        try:
            purpose = f"scan {self.claim.job_id} {self._content.market}"
            permission = await self._desk.reserve(self._content.user_id, reservation_id, purpose)
        except Failure as failure:
            raise _EndedError(RunStatus.FAILED, failure.reason) from None
        if permission.reserved is Reserved.DENIED:
            raise _EndedError(RunStatus.BUDGET_DENIED)
        if permission.reserved is Reserved.REPEATED:
            raise _EndedError(RunStatus.FAILED, RESERVED_BEFORE)
        if self._monotonic() - asked_at > permission.seconds - CALL_MARGIN_SECONDS:
            await self._settle(reservation_id, SettledAs.NOT_SENT, Usage())
            raise _EndedError(RunStatus.FAILED, PERMISSION_OVER)
        try:
            opinion, usage = await analyst.judge(self._content, snapshot)
        except AnalystError as error:
            outcome = SettledAs.FAILED if error.sent else SettledAs.NOT_SENT
            await self._settle(reservation_id, outcome, error.usage)
            raise _EndedError(RunStatus.FAILED, error.code) from None
        await self._settle(reservation_id, SettledAs.SUCCEEDED, usage)
        return opinion

    async def _settle(self, reservation_id: UUID, outcome: SettledAs, usage: Usage) -> None:
        # Unsettled it lapses and stays counted, which is safe; so no slot waits for it.
        try:
            await self._desk.settle(self._content.user_id, reservation_id, outcome, usage)
        except Failure as failure:
            logs.log("scan_unsettled", level=logs.WARNING, reservation=str(reservation_id), reason=failure.reason)

    async def _propose(self, slot: datetime, opinion: Opinion) -> None:
        rationale = f"scan {self.claim.job_id} slot {slot_text(slot)} by {self._content.analyst}: {opinion.rationale}"
        try:
            await self._desk.submit(self._content, proposal_id_of(self.claim.job_id, slot), opinion, rationale)
        except Unavailable:
            raise  # the opinion is kept: the next attempt submits the same, and it is the same proposal
        except Failure as failure:
            raise _EndedError(RunStatus.FAILED, failure.reason) from None

    async def _end(self, planned: Plan, ended: _EndedError | None) -> None:
        claim, now = self.claim, self.claim.now + timedelta(seconds=self._monotonic() - self._claimed_at)
        failed = ended is not None and ended.status is RunStatus.FAILED
        failures = claim.failures if ended is None else claim.failures + 1 if failed else 0
        pace = claim.pace if ended is None else adapted(claim.content.pace, self._volatility, failures)
        named = ended is not None and (ended.status is RunStatus.PROPOSED or ended.failure == PROPOSAL_UNKNOWN)
        end = End(
            job_id=claim.job_id,
            fence=claim.fence,
            slot=planned.slot,
            requested=planned.requested,
            status=None if ended is None else ended.status,
            failure="" if ended is None else ended.failure,
            proposal_id=proposal_id_of(claim.job_id, planned.slot) if named and planned.slot else None,
            opinion=None if ended is None else ended.opinion,
            missed=planned.missed,
            next_slot=planned.next_slot if ended is None else following(claim, planned, pace, now),
            pace=pace,
            failures=failures,
        )
        self._require(await self._ends.end(end))
        figures.ENDED.labels("NONE" if ended is None else ended.status).inc()
        if failures >= FAILURES_ALARMED and failed:
            message = f"{failures} slots in a row failed, the last with {end.failure}"
            raise_alarm(SCAN_JOB_FAILING, message, subject=str(claim.job_id))

    def _require(self, held: bool) -> None:  # noqa: FBT001 - the answer of a fenced write
        if not held:
            raise LostError


def reservation_id_of(job_id: UUID, slot: datetime) -> UUID:
    """Return the id of the one model call that a slot may reserve."""
    return deterministic_id(job_id, "reservation", slot_text(slot))


def proposal_id_of(job_id: UUID, slot: datetime) -> UUID:
    """Return the id of the one proposal that a slot may make."""
    return deterministic_id(job_id, "proposal", slot_text(slot))
