"""Reads messages of the ScanService into what the scans speak of; only `rpc` calls it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from kernel.decimals import parse_decimal
from kernel.ids import parse_uuid
from market_service.scan.job import AnalystKind, Content, Gate, JobStatus, MissedPolicy, Pace
from protos.market.v1 import market_pb2 as pb

ANALYSTS: Final = {pb.SCAN_ANALYST_RULES: AnalystKind.RULES, pb.SCAN_ANALYST_MODEL: AnalystKind.MODEL}
POLICIES: Final = {
    pb.MISSED_SLOT_POLICY_SKIP: MissedPolicy.SKIP,
    pb.MISSED_SLOT_POLICY_LATEST_ONCE: MissedPolicy.LATEST_ONCE,
    pb.MISSED_SLOT_POLICY_BACKFILL: MissedPolicy.BACKFILL,
}
STATUSES: Final = {pb.SCAN_JOB_STATUS_ACTIVE: JobStatus.ACTIVE, pb.SCAN_JOB_STATUS_PAUSED: JobStatus.PAUSED}


def content_of(request: pb.CreateScanJobRequest) -> Content:
    """Read a job wanted; its message is valid, its fields may still not fit each other."""
    terms = request.terms
    return Content(
        job_id=job_id_of(request.job_id),
        user_id=terms.user_id,
        market=terms.market,
        analyst=ANALYSTS[terms.analyst],
        pace=_pace_of(terms.pace),
        missed=POLICIES[terms.missed],
        backfill_max=terms.backfill_max,
        scans_per_day=terms.scans_per_day,
        gate=_gate_of(terms.gate),
        buy_quote_amount=_optional(terms, "buy_quote_amount"),
        sell_amount=_optional(terms, "sell_amount"),
        valid_for=_duration(terms, "valid_for"),
    )


def job_id_of(text: str) -> UUID:
    """Read a job's id."""
    return parse_uuid(text)


def moment_of(message: pb.CreateScanJobRequest | pb.GetMarketSnapshotRequest, name: str) -> datetime | None:
    """Read a moment that may be absent; what is finer than a microsecond is cut off."""
    if not message.HasField(name):  # type: ignore[arg-type]  # the stubs want a literal
        return None
    moment: Timestamp = getattr(message, name)
    return moment.ToDatetime(tzinfo=UTC)


def _pace_of(pace: pb.ScanPace) -> Pace:
    every = pace.every.ToTimedelta()
    return Pace(
        every=every,
        least=_duration(pace, "least") or every,
        most=_duration(pace, "most") or every,
        reference_volatility=_optional(pace, "reference_volatility"),
    )


def _gate_of(gate: pb.ScanGate) -> Gate:
    return Gate(
        min_volatility=_optional(gate, "min_volatility"),
        min_move_1h=_optional(gate, "min_move_1h"),
        min_volume_z=_optional(gate, "min_volume_z"),
    )


def _optional(message: pb.ScanTerms | pb.ScanPace | pb.ScanGate, name: str) -> Decimal | None:
    if not message.HasField(name):  # type: ignore[arg-type]  # the stubs want a literal
        return None
    text: str = getattr(message, name)
    number = parse_decimal(text.removeprefix("-"))
    return -number if text.startswith("-") else number


def _duration(message: pb.ScanTerms | pb.ScanPace, name: str) -> timedelta | None:
    if not message.HasField(name):  # type: ignore[arg-type]  # the stubs want a literal
        return None
    length: Duration = getattr(message, name)
    return length.ToTimedelta()
