"""An attestation as a table for a person, at most 100 columns wide. Nothing secret is in one."""

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Final

from kernel.attestation import Attestation, Conclusion, Outcome

WIDTH: Final = 100
HEAD: Final = ("right", "must be", "asked", "answered", "concluded")
WIDTHS: Final = (12, 8, 27, 33, 12)


def table(attestation: Attestation, *, strict: bool) -> str:
    """Return the table, what it adds up to, and what to do about each row that is not proved."""
    return "\n".join(_lines(attestation, strict=strict))


def _lines(attestation: Attestation, *, strict: bool) -> Iterator[str]:
    yield f"{attestation.role} key {attestation.fingerprint}, {attestation.at:%Y-%m-%d %H:%M:%S} UTC"
    yield ""
    yield _row(HEAD)
    for probe in attestation.probes:
        yield _row((probe.right, probe.wanted, probe.asked, probe.answered, probe.conclusion))
    yield ""
    yield f"{attestation.outcome}{_mode(attestation, strict=strict)}"
    for probe in attestation.probes:
        if probe.conclusion is not Conclusion.PROVED:
            yield from wrap(f"- {probe.right}: {probe.why}", WIDTH, subsequent_indent="  ")
    yield ""


def _row(cells: Sequence[str]) -> str:
    parts = [_cut(cell, width).ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)]
    return ("  " + " ".join(parts)).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _mode(attestation: Attestation, *, strict: bool) -> str:
    if attestation.outcome is Outcome.INCONCLUSIVE and not attestation.unanswered:
        return " (LENIENT: NOT PROVED. Only a service with ATTESTATION_STRICT=false accepts this)"
    inconclusive = any(probe.conclusion is Conclusion.INCONCLUSIVE for probe in attestation.probes)
    if strict and attestation.outcome is Outcome.REFUSED and inconclusive:
        return " (strict: what is inconclusive is refused)"
    return ""
