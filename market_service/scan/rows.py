"""Turns rows of the market database into what the scans speak of, and back; only `holds` and `job_rows` call it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from kernel.db import Row
from kernel.decimals import plain
from market_service.scan.job import (
    AnalystKind,
    Claim,
    Content,
    End,
    Gate,
    Hold,
    Job,
    JobStatus,
    MissedPolicy,
    Opinion,
    Pace,
    Run,
    RunStatus,
    Side,
    Snapshot,
    TakenSnapshot,
)

MICROSECOND: Final = timedelta(microseconds=1)


def job_of(row: Row) -> Job:
    """Read a row of `scan_jobs`."""
    return Job(
        content=content_of(row),
        status=JobStatus(row["status"]),
        pace=row["pace"],
        next_slot=row["next_slot"],
        requested_slot=row["requested_slot"],
        fence=row["fence"],
        hold=_hold_of(row),
        failures=row["failures"],
        counted_on=row["counted_on"],
        counted=row["counted"],
        missed=row["missed"],
        created_by=row["created_by"],
        created_at=row["created_at"],
    )


def claim_of(row: Row, content: Content) -> Claim:
    """Read a claimed row of a turn."""
    return Claim(
        content=content,
        pace=row["pace"],
        next_slot=row["next_slot"],
        requested_slot=row["requested_slot"],
        fence=row["fence"],
        failures=row["failures"],
        counted_on=row["counted_on"],
        counted=row["counted"],
        now=row["claimed_at"],
        attempt=row["attempts"],
    )


def run_of(row: Row) -> Run:
    """Read a row of `scan_runs`."""
    return Run(
        job_id=row["job_id"],
        slot=row["slot"],
        status=RunStatus(row["status"]),
        requested=row["requested"],
        missed_before=row["missed_before"],
        fence=row["fence"],
        owner=row["owner"],
        owner_name=row["owner_name"],
        claimed_at=row["claimed_at"],
        recorded_at=row["recorded_at"],
        opinion=_opinion_of(row["opinion"]),
        proposal_id=row["proposal_id"],
        failure=row["failure"],
    )


def snapshot_of(row: Row) -> TakenSnapshot:
    """Read a row of `market_snapshots`."""
    names = ("market", "as_of", "price", "volatility", "move_1h", "move_4h", "volume_z")
    snapshot = Snapshot(**{name: row[name] for name in names})
    return TakenSnapshot(row["job_id"], row["slot"], row["fence"], row["taken_at"], snapshot)


def content_parameters(content: Content) -> dict[str, object]:
    """Write a content as parameters of an INSERT."""
    return {
        "job_id": content.job_id,
        "user_id": content.user_id,
        "market": content.market,
        "analyst": content.analyst,
        "every": content.pace.every,
        "least_every": content.pace.least,
        "most_every": content.pace.most,
        "reference_volatility": content.pace.reference_volatility,
        "missed_policy": content.missed,
        "backfill_max": content.backfill_max,
        "scans_per_day": content.scans_per_day,
        "min_volatility": content.gate.min_volatility,
        "min_move_1h": content.gate.min_move_1h,
        "min_volume_z": content.gate.min_volume_z,
        "buy_quote_amount": content.buy_quote_amount,
        "sell_amount": content.sell_amount,
        "valid_for": content.valid_for,
        "content_hash": content.content_hash(),
    }


def opinion_values(opinion: Opinion) -> dict[str, object]:
    """Write an opinion as JSON values; amounts as text."""
    return {
        "side": opinion.side,
        "confidence": opinion.confidence,
        "amount": None if opinion.amount is None else plain(opinion.amount),
        "rationale": opinion.rationale,
    }


def end_values(end: End) -> dict[str, object]:
    """Write an end as JSON values; one text for many ends costs a third of an array for each field."""
    return {
        "job_id": end.job_id,
        "fence": end.fence,
        "slot": end.slot,
        "requested": end.requested,
        "status": end.status,
        "failure": end.failure,
        "proposal_id": end.proposal_id,
        "opinion": None if end.opinion is None else opinion_values(end.opinion),
        "missed": end.missed,
        "next_slot": end.next_slot,
        "pace": f"{end.pace // MICROSECOND} microseconds",
        "failures": end.failures,
    }


def content_of(row: Row) -> Content:
    """Read what a caller asked for of a row of `scan_jobs`."""
    return Content(
        job_id=row["job_id"],
        user_id=row["user_id"],
        market=row["market"],
        analyst=AnalystKind(row["analyst"]),
        pace=Pace(row["every"], row["least_every"], row["most_every"], row["reference_volatility"]),
        missed=MissedPolicy(row["missed_policy"]),
        backfill_max=row["backfill_max"],
        scans_per_day=row["scans_per_day"],
        gate=Gate(row["min_volatility"], row["min_move_1h"], row["min_volume_z"]),
        buy_quote_amount=row["buy_quote_amount"],
        sell_amount=row["sell_amount"],
        valid_for=row["valid_for"],
    )


def _hold_of(row: Row) -> Hold | None:
    owner: UUID | None = row["owner"]
    return None if owner is None else Hold(owner, row["owner_name"], row["claimed_at"], row["lease_until"])


def _opinion_of(found: Any) -> Opinion | None:  # noqa: ANN401 - JSON
    if found is None:
        return None
    amount = None if found["amount"] is None else Decimal(found["amount"])
    return Opinion(Side(found["side"]), found["confidence"], amount, found["rationale"])
