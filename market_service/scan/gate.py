"""Decides whether a snapshot is worth an analyst. Pure; called by `slot_run`."""

from decimal import Decimal

from market_service.scan.job import Gate, Snapshot


def shut_by(gate: Gate, snapshot: Snapshot) -> str:
    """Return the field of the gate that the snapshot does not satisfy, empty when it passes.

    A measure that is missing satisfies nothing; exactly the minimum passes.
    """
    checks = (
        ("min_volatility", gate.min_volatility, snapshot.volatility),
        ("min_move_1h", gate.min_move_1h, None if snapshot.move_1h is None else abs(snapshot.move_1h)),
        ("min_volume_z", gate.min_volume_z, snapshot.volume_z),
    )
    return next((name for name, least, found in checks if not _enough(least, found)), "")


def _enough(least: Decimal | None, found: Decimal | None) -> bool:
    return least is None or (found is not None and found >= least)
