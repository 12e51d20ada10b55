"""Claims due jobs, runs their slots, keeps their leases, and hands over at the end; in any number of processes.

There is no leader and no plan in memory: what is due is what the database says, whose clock decides.
"""

import asyncio
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from kernel import logs
from kernel.alarms import raise_alarm
from kernel.errors import Unavailable
from market_service.scan import figures
from market_service.scan.job import Claim
from market_service.scan.ports import Ends, Holds
from market_service.scan.slot_run import PUT_OFF, LostError, SlotRun
from market_service.scan.turns import Turns

RUNS_MAX: Final = 16
"""Slots that one process runs at once."""
CLAIM_BATCH_MAX: Final = 10
POLL_SECONDS: Final = 0.25
POLL_JITTER: Final = 0.2
RENEWALS_PER_LEASE: Final = 3
DOWN_SECONDS: Final = 1.0
HAND_OVER_SECONDS: Final = 5.0
"""How long a run that has reserved a call may go on after the signal to stop."""
NO_DELAY: Final = timedelta(0)
SCAN_DATABASE_DOWN: Final = "SCAN_DATABASE_DOWN"
SCAN_RUN_CRASHED: Final = "SCAN_RUN_CRASHED"

Begin = Callable[[Claim, Ends], SlotRun]


@dataclass(frozen=True, slots=True)
class _Running:
    slot_run: SlotRun
    task: asyncio.Task[None]


class Scheduler:
    """One process's share of the work."""

    def __init__(self, holds: Holds, begin: Begin, lease: timedelta) -> None:
        """Take the store, what makes a run of a claim, and how long a claim holds without renewal."""
        self._holds = holds
        self._begin = begin
        self._lease = lease
        self._turns = Turns(holds, lease)
        self._running: dict[tuple[UUID, int], _Running] = {}
        self._stopping = False

    async def take_turns(self) -> None:
        """Claim and begin whatever is due, as long as there is room, and write how it ended; ends with `hand_over`."""
        while self._running or not self._stopping:
            try:
                more = await self._turn()
            except Unavailable as failure:
                raise_alarm(SCAN_DATABASE_DOWN, "no job can be claimed: the database does not answer")
                logs.log("scan_turn_failed", level=logs.WARNING, reason=failure.reason)
                await asyncio.sleep(DOWN_SECONDS)
                continue
            if not more:
                jitter = random.uniform(-POLL_JITTER, POLL_JITTER)  # noqa: S311 - spread, not secrecy
                await self._turns.pause(POLL_SECONDS * (1 + jitter))

    async def renew_forever(self) -> None:
        """Prolong the leases of what is running, and end the runs whose job has become another's."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / RENEWALS_PER_LEASE)
            claims = [each.slot_run.claim for each in self._running.values()]
            if not claims:
                continue
            try:
                held = await self._holds.renew(self._lease, claims)
            except Unavailable as failure:
                logs.log("scan_renewal_failed", level=logs.WARNING, reason=failure.reason)
                continue
            for claim in claims:
                running = self._running.get(claim.key)
                if claim.key not in held and running is not None and not self._turns.ending(claim):
                    running.task.cancel("the lease is another's")

    async def hand_over(self) -> None:
        """Claim nothing more; give back what is neither ending nor spends a call, let the rest end in five seconds."""
        self._stopping = True
        idle, busy = list[_Running](), list[_Running]()
        for each in self._running.values():
            lasts = each.slot_run.spending or self._turns.ending(each.slot_run.claim)
            (busy if lasts else idle).append(each)
        await self._give_up(idle)
        if busy:
            await asyncio.wait([each.task for each in busy], timeout=HAND_OVER_SECONDS)
            await self._give_up([each for each in busy if not each.task.done()])
        logs.log("scans_handed_over", given_back=len(idle), ended=len(busy))

    async def _give_up(self, runs: list[_Running]) -> None:
        for each in runs:
            each.task.cancel("handed over")
        await asyncio.gather(*(each.task for each in runs), return_exceptions=True)
        await self._release([each.slot_run.claim for each in runs], NO_DELAY)

    async def _turn(self) -> bool:
        """Take a turn, if there is anything to take; say whether there may be more."""
        wanted = self._wanted()
        if not wanted and not self._turns.waiting:
            return False
        claims = await self._turns.take(wanted)
        figures.CLAIMS.inc(len(claims))
        if self._stopping:  # the signal came while the database answered
            await self._release(claims, NO_DELAY)
            return False
        for claim in claims:
            slot_run = self._begin(claim, self._turns)
            task = asyncio.create_task(self._run(slot_run), name=f"scan {claim.job_id}")
            self._running[claim.key] = _Running(slot_run, task)
        figures.RUNNING.set(len(self._running))
        return 0 < wanted == len(claims)

    def _wanted(self) -> int:
        """Return how many to claim. Runs whose ends wait make room in the same turn."""
        if self._stopping:
            return 0
        return min(CLAIM_BATCH_MAX, RUNS_MAX - len(self._running) + self._turns.waiting)

    async def _run(self, slot_run: SlotRun) -> None:
        # Cases: it ended. The job is another's: found out by a write, or by a renewal, which cancels. Something we
        # need is down: try again soon. A defect: the same, and a person is told.
        claim = slot_run.claim
        with logs.bind(job=str(claim.job_id), fence=claim.fence):
            try:
                await slot_run.run()
            except LostError:
                figures.LOST.inc()
                logs.log("scan_lost", level=logs.WARNING)
            except asyncio.CancelledError:
                if not self._stopping:
                    figures.LOST.inc()
                    logs.log("scan_lost", level=logs.WARNING)
                raise
            except Unavailable as failure:
                logs.log("scan_put_off", level=logs.WARNING, reason=failure.reason)
                await self._release([claim], PUT_OFF)
                figures.RETRIED.inc()
            except Exception as error:  # noqa: BLE001 - the scheduler outlives whatever goes wrong in one slot
                logs.log("scan_crashed", level=logs.ERROR, error=error)
                raise_alarm(SCAN_RUN_CRASHED, "a slot's run crashed; it is tried again", subject=str(claim.job_id))
                await self._release([claim], PUT_OFF)
            finally:
                self._forget(claim)

    def _forget(self, claim: Claim) -> None:
        self._running.pop(claim.key, None)
        figures.RUNNING.set(len(self._running))

    async def _release(self, claims: Collection[Claim], delay: timedelta) -> None:
        # A release that fails costs time, no slot: the lease lapses.
        if claims:
            try:
                await self._holds.release(claims, delay)
            except Unavailable as failure:
                logs.log("scan_release_failed", level=logs.WARNING, reason=failure.reason)
