"""Which slot is run, which are dropped, when the next one is: by tables, and for every schedule there is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as everywhere
from hypothesis import strategies as st

from market_service.scan.job import MissedPolicy, Pace
from market_service.scan.schedule import Plan, adapted, first_from, following, plan
from tests.market_service.scan import given
from tests.market_service.scan.given import MINUTE, NOON

SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)
SKIP, LATEST, BACKFILL = MissedPolicy.SKIP, MissedPolicy.LATEST_ONCE, MissedPolicy.BACKFILL


def due(policy: MissedPolicy, late: timedelta, backfill_max: int = 0) -> Plan:
    """A job with a slot every minute, the next at noon, claimed so much later."""
    content = given.content(missed=policy, backfill_max=backfill_max)
    return plan(given.claim(content, now=NOON + late))


@pytest.mark.parametrize(
    ("policy", "late", "backfill_max", "slot", "missed"),
    [
        (SKIP, timedelta(0), 0, 0, 0),
        (SKIP, MINUTE / 2, 0, 0, 0),
        (SKIP, MINUTE / 2 + TICK, 0, None, 1),
        (SKIP, MINUTE - TICK, 0, None, 1),
        (SKIP, MINUTE, 0, 1, 1),
        (SKIP, 10 * MINUTE + MINUTE / 2, 0, 10, 10),
        (SKIP, 10 * MINUTE + MINUTE / 2 + TICK, 0, None, 11),
        (LATEST, timedelta(0), 0, 0, 0),
        (LATEST, MINUTE - TICK, 0, 0, 0),
        (LATEST, MINUTE, 0, 1, 1),
        (LATEST, 10 * MINUTE + 59 * SECOND, 0, 10, 10),
        (BACKFILL, timedelta(0), 3, 0, 0),
        (BACKFILL, MINUTE, 3, 0, 0),
        (BACKFILL, 2 * MINUTE, 3, 0, 0),
        (BACKFILL, 3 * MINUTE - TICK, 3, 0, 0),
        (BACKFILL, 3 * MINUTE, 3, 1, 1),
        (BACKFILL, 10 * MINUTE, 3, 8, 8),
        (BACKFILL, 10 * MINUTE, 1, 10, 10),
    ],
)
def test_the_policy_for_missed_slots_chooses(
    policy: MissedPolicy, late: timedelta, backfill_max: int, slot: int | None, missed: int
) -> None:
    chosen = due(policy, late, backfill_max)
    wanted = None if slot is None else NOON + slot * MINUTE
    after = NOON + (missed + (slot is not None)) * MINUTE
    assert chosen == Plan(wanted, requested=False, missed=missed, next_slot=after)


def test_before_its_moment_nothing_is_run_and_nothing_moves() -> None:
    assert due(LATEST, -TICK) == Plan(None, requested=False, missed=0, next_slot=NOON)


def test_a_slot_asked_for_goes_first_and_moves_nothing() -> None:
    claim = given.claim(requested_slot=NOON, now=NOON + 5 * MINUTE)
    assert plan(claim) == Plan(NOON, requested=True, missed=0, next_slot=NOON)


@everywhere(
    policy=st.sampled_from(MissedPolicy),
    pace=st.timedeltas(min_value=SECOND, max_value=timedelta(hours=24)),
    late=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=40)),
    backfill_max=st.integers(1, 100),
)
def test_every_due_slot_is_run_or_dropped_once_and_the_next_is_on_the_row(
    policy: MissedPolicy, pace: timedelta, late: timedelta, backfill_max: int
) -> None:
    limit = backfill_max if policy is BACKFILL else 0
    content = given.content(missed=policy, backfill_max=limit, pace=Pace(pace, pace, pace, None))
    claim, taken, dropped = given.claim(content, pace=pace, now=NOON + late), list[datetime](), 0
    due_slots = late // pace + 1
    while claim.next_slot <= claim.now:
        planned = plan(claim)
        dropped += planned.missed
        if planned.slot is not None:
            taken.append(planned.slot)
            assert (planned.slot - NOON) % pace == timedelta(0)
            assert planned.slot <= claim.now
        assert planned.next_slot > claim.next_slot, "it goes on"
        claim = replace(claim, next_slot=planned.next_slot)
    assert len(taken) + dropped == due_slots
    assert taken == sorted(set(taken))
    assert len(taken) <= {SKIP: 1, LATEST: 1, BACKFILL: backfill_max}[policy]
    assert policy is SKIP or taken[-1] == NOON + (due_slots - 1) * pace


ADAPTIVE = Pace(MINUTE, 20 * SECOND, 10 * MINUTE, Decimal("0.002"))


@pytest.mark.parametrize(
    ("pace", "volatility", "failures", "seconds"),
    [
        (ADAPTIVE, "0.002", 0, 60),
        (ADAPTIVE, "0.004", 0, 30),
        (ADAPTIVE, "0.006", 0, 20),
        (ADAPTIVE, "0.007", 0, 20),
        (ADAPTIVE, "0.001", 0, 120),
        (ADAPTIVE, "0.0001", 0, 600),
        (ADAPTIVE, "0", 0, 600),
        (ADAPTIVE, None, 0, 60),
        (ADAPTIVE, "0.004", 1, 60),
        (ADAPTIVE, None, 3, 480),
        (ADAPTIVE, None, 4, 600),
        (ADAPTIVE, None, 10_000, 600),
        (Pace(MINUTE, MINUTE, MINUTE, Decimal("0.002")), "9", 5, 60),
        (Pace(MINUTE, MINUTE, 2 * MINUTE, None), "9", 1, 120),
    ],
)
def test_the_pace_follows_volatility_and_failures_within_its_bounds(
    pace: Pace, volatility: str | None, failures: int, seconds: int
) -> None:
    given_volatility = None if volatility is None else Decimal(volatility)
    assert adapted(pace, given_volatility, failures) == timedelta(seconds=seconds)


@everywhere(
    volatility=st.none() | st.decimals(min_value=0, max_value=10**6, allow_nan=False, places=12),
    failures=st.integers(0, 10**9),
)
def test_no_volatility_and_no_failures_lead_out_of_the_bounds(volatility: Decimal | None, failures: int) -> None:
    assert ADAPTIVE.least <= adapted(ADAPTIVE, volatility, failures) <= ADAPTIVE.most


@pytest.mark.parametrize(
    ("changes", "now", "wanted"),
    [
        ({}, NOON, NOON + MINUTE),
        ({"counted_on": NOON.date(), "counted": 3}, NOON, datetime(2026, 9, 25, tzinfo=UTC)),
        ({"counted_on": NOON.date(), "counted": 2}, NOON, NOON + MINUTE),
        ({"counted_on": NOON.date() - timedelta(days=1), "counted": 3}, NOON, NOON + MINUTE),
        ({"counted_on": NOON.date(), "counted": 3}, NOON + timedelta(hours=12), NOON + MINUTE),
    ],
)
def test_after_the_last_slot_of_a_day_the_next_is_tomorrows(
    changes: dict[str, Any], now: datetime, wanted: datetime
) -> None:
    claim = given.claim(given.content(scans_per_day=4), **changes)
    assert following(claim, plan(claim), MINUTE, now) == wanted


@everywhere(
    pace=st.timedeltas(min_value=SECOND, max_value=timedelta(hours=24)),
    ahead=st.timedeltas(min_value=timedelta(days=-40), max_value=timedelta(days=40)),
)
def test_the_first_slot_from_a_moment_is_the_earliest_on_the_row(pace: timedelta, ahead: timedelta) -> None:
    moment = NOON + ahead
    found = first_from(NOON, pace, moment)
    assert found >= max(NOON, moment)
    assert found == NOON or found - pace < moment
    assert (found - NOON) % pace == timedelta(0)
