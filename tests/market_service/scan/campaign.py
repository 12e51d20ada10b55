"""Kills and pauses scanners while they work and lets the oracle judge; short in the gate, long in `make scan-campaign`.

Every two seconds one instance is killed and started again; meanwhile another is paused past its lease. At the end a
healthy set goes on until every job has run once more: none may be lost.
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from protos.market.v1 import market_pb2 as pb
from tests.market_service.scan.oracle import UNWATCH, WATCH, Verdict, judge
from tests.market_service.scan.world import Scanner, World, stub_of, terms, wait_until

USER = "campaign"
LEASE_SECONDS = 2
PAUSE_SECONDS = LEASE_SECONDS + 1
MODEL_SHARE = 4
"""One job in four asks the model, which takes its time; the rest go by rules."""
MODEL_SECONDS = 0.4
POLICIES = (
    pb.MISSED_SLOT_POLICY_LATEST_ONCE,
    pb.MISSED_SLOT_POLICY_SKIP,
    pb.MISSED_SLOT_POLICY_BACKFILL,
)
BEHIND = """
SELECT count(*) FROM scan_jobs j
WHERE user_id = %s AND NOT EXISTS (SELECT FROM scan_runs r WHERE r.job_id = j.job_id AND r.recorded_at > %s)
"""
MARKETS = ("BTC-EUR", "ETH-EUR", "ADA-EUR", "SOL-EUR", "XRP-EUR", "DOT-EUR", "LTC-EUR", "LINK-EUR")


@dataclass(frozen=True, slots=True)
class Wish:
    """How long, how many, how often."""

    seconds: float
    jobs: int
    every_seconds: int
    instances: int = 3
    kill_every_seconds: float = 2.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened, and what the oracle says of it."""

    verdict: Verdict
    kills: int
    pauses: int
    lost: int
    put_off: int
    last_round_seconds: float


def run(world: World, wish: Wish, say: Callable[[str], None] = lambda _: None) -> Outcome:
    """Run a campaign in a world whose market database is empty."""
    world.execute(WATCH)
    calls_before, world.model.delay_seconds = world.model.calls, MODEL_SECONDS
    try:
        with world.scanners(wish.instances, lease=f"{LEASE_SECONDS}s") as scanners:
            _create(scanners[0], wish)
            done = _disturb(scanners, wish, say)
            last = _everyone_once_more(world, wish)
            say(f"every job ran again within {last:.1f} s")
            lost, put_off = (sum(each.logged(event) for each in scanners) for event in ("scan_lost", "scan_put_off"))
        verdict = judge(world, USER, world.model.calls - calls_before)
        return Outcome(verdict, done["kill"], done["pause"], lost, put_off, last)
    finally:
        world.model.delay_seconds = 0.0
        world.execute(UNWATCH)


def _create(scanner: Scanner, wish: Wish) -> None:
    stub = stub_of(scanner)
    for number in range(wish.jobs):
        model = number % MODEL_SHARE == 0
        job = terms(
            USER,
            pb.SCAN_ANALYST_MODEL if model else pb.SCAN_ANALYST_RULES,
            MARKETS[number % len(MARKETS)],
            wish.every_seconds,
            sell_amount="0.01",
        )
        job.missed = POLICIES[number % len(POLICIES)]
        job.backfill_max = 3 if job.missed == pb.MISSED_SLOT_POLICY_BACKFILL else 0
        stub.CreateScanJob(pb.CreateScanJobRequest(job_id=str(uuid4()), terms=job), timeout=10)


def _disturb(scanners: list[Scanner], wish: Wish, say: Callable[[str], None]) -> Counter[str]:
    chance, done, ends = random.Random(wish.seed), Counter[str](), time.monotonic() + wish.seconds
    paused: tuple[Scanner, float] | None = None
    while time.monotonic() < ends:
        time.sleep(wish.kill_every_seconds / 2)
        if paused is None:
            scanner = chance.choice(scanners)
            scanner.signal(signal.SIGSTOP)
            paused = (scanner, time.monotonic() + PAUSE_SECONDS)
            done["pause"] += 1
        elif time.monotonic() >= paused[1]:
            paused[0].signal(signal.SIGCONT)
            paused = None
        time.sleep(wish.kill_every_seconds / 2)
        victim = chance.choice([each for each in scanners if paused is None or each is not paused[0]])
        victim.kill()
        victim.start()
        done["kill"] += 1
        say(f"{done['kill']} kills, {done['pause']} pauses")
    for each in scanners:
        each.signal(signal.SIGCONT)
        each.process.wait_ready()
    return done


def _everyone_once_more(world: World, wish: Wish) -> float:
    ((now,),) = world.market_rows("SELECT clock_timestamp()")
    allowed = wish.every_seconds + LEASE_SECONDS + 2
    return wait_until(lambda: world.market_rows(BEHIND, USER, now) == [(0,)], allowed, poll_seconds=0.25)
