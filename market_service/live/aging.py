"""Decides how old live data is: as old as the last proof that all that the exchange had said has arrived."""

from datetime import UTC, datetime
from typing import Final

from bitvavo.proof import Proof
from market_service.model import Freshness, Quality

SILENT_SECONDS: Final = 4.0
"""With nothing proven for this long live data is stale, whether or not the socket has been given up."""


def freshness(proofs: tuple[Proof | None, ...], now: float, quality: Quality) -> Freshness:
    """Return the age by the newest of the proofs; GOOD and RESYNCING become STALE when it is too long ago."""
    newest = None
    for proof in proofs:  # by hand: every message of every stream comes through here
        if proof is not None and (newest is None or proof.at > newest.at):
            newest = proof
    if newest is None:
        return Freshness(datetime.now(UTC), 0.0, Quality.STALE)
    age = now - newest.at
    return Freshness(newest.as_of, age, quality if age <= SILENT_SECONDS else Quality.STALE)
