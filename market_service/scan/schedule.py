"""Decides which slot of a claimed job is run, which are dropped, and when the next one is. Pure; called by `slot_run`.

Slots of a job follow each other by its pace. A slot is late when it is claimed after its moment, and due slots pile up
while nobody claims. docs/scans.md says the same as a table.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Final

from market_service.scan.job import Claim, MissedPolicy, Pace

GRACE_OF_PACE: Final = 2
"""SKIP still runs a slot within the first half of its interval."""
DOUBLINGS_MAX: Final = 10
MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """`slot` to run (None: none), whether a person asked for it, and how many due slots before it are dropped.

    `next_slot`: the first slot after those two, at the present pace.
    """

    slot: datetime | None
    requested: bool
    missed: int
    next_slot: datetime


def plan(claim: Claim) -> Plan:
    """Choose among the slots that are due as of the claim."""
    # Cases: a requested slot goes first and moves nothing. Nothing is due (the clock went back): wait. One slot or
    # more are due: the policy for missed slots chooses.
    content, pace, now = claim.content, claim.pace, claim.now
    if claim.requested_slot is not None and claim.requested_slot <= now:
        return Plan(claim.requested_slot, requested=True, missed=0, next_slot=claim.next_slot)
    if now < claim.next_slot:
        return Plan(None, requested=False, missed=0, next_slot=claim.next_slot)
    behind = (now - claim.next_slot) // pace  # due slots that have a due successor
    dropped = max(0, behind - content.backfill_max + 1) if content.missed is MissedPolicy.BACKFILL else behind
    slot = claim.next_slot + dropped * pace
    if content.missed is MissedPolicy.SKIP and (now - slot) * GRACE_OF_PACE > pace:
        return Plan(None, requested=False, missed=dropped + 1, next_slot=slot + pace)
    return Plan(slot, requested=False, missed=dropped, next_slot=slot + pace)


def adapted(pace: Pace, volatility: Decimal | None, failures: int) -> timedelta:
    """Return the interval to the next slot: shorter in a lively market, twice as long for each failure in a row.

    `every` × reference_volatility ÷ volatility × 2^failures, held within `least` and `most`.
    """
    wanted = Decimal(pace.every // MICROSECOND) * 2 ** min(failures, DOUBLINGS_MAX)
    if pace.reference_volatility is not None and volatility is not None:
        if volatility == 0:
            return pace.most
        wanted = wanted * pace.reference_volatility / volatility
    least, most = pace.least // MICROSECOND, pace.most // MICROSECOND
    return MICROSECOND * int(min(max(wanted, Decimal(least)), Decimal(most)))


def following(claim: Claim, planned: Plan, pace: timedelta, now: datetime) -> datetime:
    """Return the slot after a run that ends now: a pace after its slot, or tomorrow when it was the day's last."""
    after = planned.next_slot if planned.requested or planned.slot is None else planned.slot + pace
    counted = claim.counted if claim.counted_on == now.date() else 0
    if planned.slot is None or counted + 1 < claim.content.scans_per_day:
        return after
    return first_from(after, pace, datetime.combine(now.date() + timedelta(days=1), time(), UTC))


def first_from(slot: datetime, pace: timedelta, moment: datetime) -> datetime:
    """Return the first of slot, slot + pace, … that is at `moment` or later."""
    return slot if slot >= moment else slot + -((slot - moment) // pace) * pace
