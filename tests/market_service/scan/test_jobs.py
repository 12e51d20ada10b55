"""What people may do with jobs, and how each refusal is told."""

import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from kernel.errors import Conflict, Exhausted, Invalid, NotFound, NotNow
from market_service.scan.job import AnalystKind, JobStatus, MissedPolicy, Pace, RunStatus
from market_service.scan.job_rows import JobRows
from market_service.scan.jobs import ScanJobs
from market_service.scan.rpc import RIGHTS, SERVICE, ScanRpc
from protos.market.v1 import market_pb2 as pb
from tests.market_service.scan import given
from tests.market_service.scan.given import LEASE, MINUTE, NOON, OneAtATime
from tests.market_service.scan.test_fence import ended

DOCS = Path(__file__).parents[3] / "docs" / "scans.md"


@pytest.fixture
def scans(jobs: JobRows) -> ScanJobs:
    return ScanJobs(jobs, [AnalystKind.RULES])


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"pace": Pace(MINUTE, 2 * MINUTE, 2 * MINUTE, None)}, "terms.pace.least"),
        ({"pace": Pace(MINUTE, MINUTE, MINUTE / 2, None)}, "terms.pace.most"),
        ({"pace": Pace(MINUTE + timedelta(milliseconds=1), MINUTE, 2 * MINUTE, None)}, "terms.pace"),
        ({"pace": Pace(MINUTE, MINUTE, MINUTE, Decimal(0))}, "terms.pace.reference_volatility"),
        ({"missed": MissedPolicy.BACKFILL}, "terms.backfill_max"),
        ({"backfill_max": 1}, "terms.backfill_max"),
        ({"buy_quote_amount": Decimal(0)}, "terms.buy_quote_amount"),
        ({"sell_amount": Decimal(0)}, "terms.sell_amount"),
        ({"buy_quote_amount": None, "sell_amount": None}, "terms.buy_quote_amount"),
    ],
)
async def test_fields_that_do_not_fit_each_other_are_named(scans: ScanJobs, changes: dict[str, Any], path: str) -> None:
    with pytest.raises(Invalid) as refused:
        await scans.create(given.content(**changes), "ann", None)
    assert [each.path for each in refused.value.violations] == [path]


async def test_an_id_with_other_content_is_refused_and_its_fields_named(scans: ScanJobs) -> None:
    content = given.content()
    await scans.create(content, "ann", None)
    same = replace(content, buy_quote_amount=Decimal("25.00"))
    assert not (await scans.create(same, "bob", NOON))[1]
    other = replace(content, market="ETH-EUR", gate=replace(content.gate, min_move_1h=Decimal(1)))
    with pytest.raises(Conflict) as refused:
        await scans.create(other, "ann", None)
    assert refused.value.metadata == {"fields": "market,gate.min_move_1h"}


async def test_a_job_for_a_model_that_is_not_there_is_refused(scans: ScanJobs) -> None:
    with pytest.raises(NotNow, match="ANALYST_MISSING"):
        await scans.create(given.content(analyst=AnalystKind.MODEL), "ann", None)


async def test_what_names_no_job_is_not_found(scans: ScanJobs) -> None:
    for call in (scans.job, scans.pause, scans.resume, scans.run_now):
        with pytest.raises(NotFound, match="SCAN_JOB_NOT_FOUND"):
            await call(uuid4())
    with pytest.raises(NotFound, match="SCAN_JOB_NOT_FOUND"):
        await scans.runs(uuid4(), None, 10)
    with pytest.raises(NotFound, match="SNAPSHOT_NOT_FOUND"):
        await scans.snapshot(uuid4(), None)


async def test_a_resumed_job_goes_on_with_the_next_slot_of_its_row_and_missed_none(scans: ScanJobs) -> None:
    content = given.content()
    await scans.create(content, "ann", NOON)
    assert (await scans.pause(content.job_id)).status is JobStatus.PAUSED
    resumed = await scans.resume(content.job_id)
    assert resumed.next_slot > resumed.created_at
    assert (resumed.next_slot - NOON) % MINUTE == timedelta(0)
    assert (resumed.missed, await scans.resume(content.job_id)) == (0, resumed)


async def test_a_slot_asked_for_twice_is_one(scans: ScanJobs) -> None:
    content = given.content()
    await scans.create(content, "ann", NOON)
    asked = await scans.run_now(content.job_id)
    assert (await scans.run_now(content.job_id)).requested_slot == asked.requested_slot is not None


async def test_a_paused_job_and_one_that_had_its_day_run_nothing(scans: ScanJobs, first: OneAtATime) -> None:
    content = given.content(scans_per_day=1)
    await scans.create(content, "ann", None)
    (claim,) = await first.claim(LEASE, 1)
    await first.end([ended(claim, RunStatus.GATED)])
    with pytest.raises(Exhausted) as refused:
        await scans.run_now(content.job_id)
    assert 0 < refused.value.retry_after_seconds <= 86_400
    await scans.pause(content.job_id)
    with pytest.raises(NotNow, match="SCAN_JOB_PAUSED"):
        await scans.run_now(content.job_id)


async def test_lists_are_in_order_and_filtered(scans: ScanJobs) -> None:
    made = [given.content(user_id=user) for user in ("ann", "bob", "ann")]
    for each in made:
        await scans.create(each, "ann", NOON)
    await scans.pause(made[0].job_id)
    listed = [job.content.job_id for job in await scans.jobs("", None, None, 10)]
    assert listed == sorted(each.job_id for each in made)
    assert [job.content.job_id for job in await scans.jobs("", None, listed[0], 1)] == listed[1:2]
    assert {job.content.job_id for job in await scans.jobs("ann", None, None, 10)} == {made[0].job_id, made[2].job_id}
    assert [job.content for job in await scans.jobs("ann", JobStatus.PAUSED, None, 10)] == [made[0]]


async def test_without_a_database_every_method_says_so() -> None:
    rpc: Any = ScanRpc(None)
    job_id = str(uuid4())
    terms = pb.ScanTerms(analyst=pb.SCAN_ANALYST_RULES, missed=pb.MISSED_SLOT_POLICY_SKIP)
    for method in pb.DESCRIPTOR.services_by_name["ScanService"].methods:
        request = getattr(pb, method.input_type.name)()
        if "job_id" in method.input_type.fields_by_name:
            request.job_id = job_id
        if "terms" in method.input_type.fields_by_name:
            request.terms.CopyFrom(terms)
        with pytest.raises(NotNow, match="SCANS_OFF"):
            await getattr(rpc, method.name)(request, None)


def test_looking_needs_read_and_everything_else_admin() -> None:
    methods = pb.DESCRIPTOR.services_by_name["ScanService"].methods_by_name
    looking = {"GetScanJob", "ListScanJobs", "ListScanRuns", "GetMarketSnapshot"}
    assert {f"/{SERVICE}/{name}": "read" if name in looking else "admin" for name in methods} == RIGHTS


def test_the_guide_names_every_way_a_slot_can_fail_and_every_figure() -> None:
    guide = DOCS.read_text()
    source = "".join(path.read_text() for path in (Path(__file__).parents[3] / "market_service" / "scan").glob("*.py"))
    codes = set(re.findall(r'OpinionError\("(\w+)"\)', source)) | set(re.findall(r'AnalystError\("(\w+)"', source))
    codes |= {"ATTEMPTS_USED", "PROPOSAL_UNKNOWN", "RESERVED_BEFORE", "PERMISSION_OVER", "ANALYST_MISSING"}
    codes |= set(re.findall(r'"(scan_\w+(?:_total|_running|_seconds))"', source))
    assert codes
    assert [code for code in sorted(codes) if code not in guide] == []
