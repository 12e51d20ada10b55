"""What all probes of a key say together, and which of two attestations is to stand. Pure."""

from collections.abc import Sequence

from kernel.attestation import Attestation, Conclusion, Outcome, Probe, Written


def outcome(probes: Sequence[Probe], *, strict: bool) -> Outcome:
    """Return REFUSED when one probe is, PROVED when all are.

    What was answered and proves nothing is refused when `strict`, else INCONCLUSIVE; what was not answered is
    INCONCLUSIVE in both modes, for nothing was said about the key.
    """
    found = {probe.conclusion for probe in probes}
    if Conclusion.REFUSED in found or (strict and Conclusion.INCONCLUSIVE in found):
        return Outcome.REFUSED
    return Outcome.PROVED if found == {Conclusion.PROVED} else Outcome.INCONCLUSIVE


def replaces(attestation: Attestation, standing: Written) -> bool:
    """Say whether a new attestation is written over the standing one.

    One without an answer takes nothing back that was said about the same key: that grows old by itself.
    """
    if not attestation.unanswered or attestation.outcome is Outcome.REFUSED or not isinstance(standing, Attestation):
        return True
    return (standing.role, standing.fingerprint) != (attestation.role, attestation.fingerprint)
