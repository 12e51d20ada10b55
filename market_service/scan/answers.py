"""Writes what the scans say as messages of the ScanService; only `rpc` calls it."""

from datetime import datetime, timedelta
from decimal import Decimal

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from kernel.decimals import plain
from market_service.scan.job import Content, Hold, Job, Opinion, Run, RunStatus, Side, TakenSnapshot
from market_service.scan.requests import ANALYSTS, POLICIES, STATUSES
from protos.market.v1 import market_pb2 as pb

_ANALYSTS = {word: value for value, word in ANALYSTS.items()}
_POLICIES = {word: value for value, word in POLICIES.items()}
_STATUSES = {word: value for value, word in STATUSES.items()}
_RUNS = {
    RunStatus.DECIDED: pb.SCAN_RUN_STATUS_DECIDED,
    RunStatus.GATED: pb.SCAN_RUN_STATUS_GATED,
    RunStatus.BUDGET_DENIED: pb.SCAN_RUN_STATUS_BUDGET_DENIED,
    RunStatus.HELD: pb.SCAN_RUN_STATUS_HELD,
    RunStatus.PROPOSED: pb.SCAN_RUN_STATUS_PROPOSED,
    RunStatus.FAILED: pb.SCAN_RUN_STATUS_FAILED,
}
_SIDES = {Side.BUY: pb.SIDE_BUY, Side.SELL: pb.SIDE_SELL, Side.HOLD: pb.SIDE_UNSPECIFIED}


def job(of: Job) -> pb.ScanJob:
    """Write a job."""
    return pb.ScanJob(
        job_id=str(of.content.job_id),
        terms=_terms(of.content),
        status=_STATUSES[of.status],
        next_slot=_moment(of.next_slot),
        requested_slot=None if of.requested_slot is None else _moment(of.requested_slot),
        interval=_length(of.pace),
        hold=None if of.hold is None else _hold(of.hold),
        fence=of.fence,
        failures=of.failures,
        scans_on_last_day=of.counted,
        missed=of.missed,
        created_by=of.created_by,
        created_at=_moment(of.created_at),
    )


def run(of: Run) -> pb.ScanRun:
    """Write what became of a slot."""
    return pb.ScanRun(
        job_id=str(of.job_id),
        slot=_moment(of.slot),
        status=_RUNS[of.status],
        requested=of.requested,
        missed_before=of.missed_before,
        fence=of.fence,
        owner_name=of.owner_name,
        claimed_at=_moment(of.claimed_at),
        recorded_at=_moment(of.recorded_at),
        opinion=None if of.opinion is None else _opinion(of.opinion),
        proposal_id="" if of.proposal_id is None else str(of.proposal_id),
        failure=of.failure,
    )


def snapshot(of: TakenSnapshot) -> pb.MarketSnapshot:
    """Write a snapshot."""
    return pb.MarketSnapshot(
        job_id=str(of.job_id),
        slot=_moment(of.slot),
        market=of.snapshot.market,
        fence=of.fence,
        as_of=_moment(of.snapshot.as_of),
        price=plain(of.snapshot.price),
        volatility=_optional(of.snapshot.volatility),
        move_1h=_optional(of.snapshot.move_1h),
        move_4h=_optional(of.snapshot.move_4h),
        volume_z=_optional(of.snapshot.volume_z),
    )


def _terms(of: Content) -> pb.ScanTerms:
    return pb.ScanTerms(
        user_id=of.user_id,
        market=of.market,
        analyst=_ANALYSTS[of.analyst],
        pace=pb.ScanPace(
            every=_length(of.pace.every),
            least=_length(of.pace.least),
            most=_length(of.pace.most),
            reference_volatility=_optional(of.pace.reference_volatility),
        ),
        missed=_POLICIES[of.missed],
        backfill_max=of.backfill_max,
        scans_per_day=of.scans_per_day,
        gate=pb.ScanGate(
            min_volatility=_optional(of.gate.min_volatility),
            min_move_1h=_optional(of.gate.min_move_1h),
            min_volume_z=_optional(of.gate.min_volume_z),
        ),
        buy_quote_amount=_optional(of.buy_quote_amount),
        sell_amount=_optional(of.sell_amount),
        valid_for=None if of.valid_for is None else _length(of.valid_for),
    )


def _hold(of: Hold) -> pb.ScanHold:
    return pb.ScanHold(
        owner=str(of.owner),
        owner_name=of.owner_name,
        claimed_at=_moment(of.claimed_at),
        lease_until=_moment(of.lease_until),
    )


def _opinion(of: Opinion) -> pb.ScanOpinion:
    return pb.ScanOpinion(
        side=_SIDES[of.side], confidence=of.confidence, amount=_optional(of.amount), rationale=of.rationale
    )


def _moment(at: datetime) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(at)
    return moment


def _length(of: timedelta) -> Duration:
    length = Duration()
    length.FromTimedelta(of)
    return length


def _optional(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)
