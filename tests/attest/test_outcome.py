"""What all probes say together, and what a round without an answer may take back: nothing."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from attest.outcome import outcome, replaces
from kernel.attestation import Attestation, Conclusion, Outcome, Probe, Role, Unread

PROVED, REFUSED, INCONCLUSIVE, UNANSWERED = Conclusion


def probe(conclusion: Conclusion) -> Probe:
    return Probe("trade", "absent", "DELETE /order", "403 / 310", conclusion, "")


def attestation(*conclusions: Conclusion, strict: bool = True, fingerprint: str = "aaaaaaaa") -> Attestation:
    probes = tuple(probe(each) for each in conclusions)
    now = datetime(2026, 1, 2, tzinfo=UTC)
    return Attestation(Role.MARKET, fingerprint, outcome(probes, strict=strict), now, probes)


@pytest.mark.parametrize(
    ("conclusions", "strict", "lenient"),
    [
        ((PROVED,), Outcome.PROVED, Outcome.PROVED),
        ((PROVED, PROVED), Outcome.PROVED, Outcome.PROVED),
        ((PROVED, REFUSED), Outcome.REFUSED, Outcome.REFUSED),
        ((PROVED, INCONCLUSIVE), Outcome.REFUSED, Outcome.INCONCLUSIVE),
        ((PROVED, UNANSWERED), Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE),
        ((INCONCLUSIVE, UNANSWERED), Outcome.REFUSED, Outcome.INCONCLUSIVE),
        ((REFUSED, UNANSWERED), Outcome.REFUSED, Outcome.REFUSED),
        ((REFUSED, INCONCLUSIVE), Outcome.REFUSED, Outcome.REFUSED),
        ((), Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE),
    ],
)
def test_one_refusal_refuses_and_only_proofs_prove(
    conclusions: tuple[Conclusion, ...], strict: Outcome, lenient: Outcome
) -> None:
    probes = [probe(each) for each in conclusions]
    assert (outcome(probes, strict=True), outcome(probes, strict=False)) == (strict, lenient)


def test_a_round_without_an_answer_takes_back_nothing_about_the_same_key() -> None:
    silent, proved = attestation(PROVED, UNANSWERED), attestation(PROVED)
    assert not replaces(silent, proved)
    assert not replaces(silent, attestation(REFUSED))


def test_a_round_without_an_answer_stands_where_nothing_stood_or_another_key() -> None:
    silent = attestation(PROVED, UNANSWERED)
    for standing in (*Unread, attestation(PROVED, fingerprint="bbbbbbbb"), replace(silent, role=Role.TRADE)):
        assert replaces(silent, standing)


@pytest.mark.parametrize("new", [PROVED, REFUSED, INCONCLUSIVE])
def test_every_answer_replaces_what_stood(new: Conclusion) -> None:
    for standing in (attestation(PROVED), attestation(REFUSED)):
        assert replaces(attestation(new), standing)
        assert replaces(attestation(new, UNANSWERED), standing) is (new is not PROVED)
