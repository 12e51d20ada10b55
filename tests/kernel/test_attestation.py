"""What a service makes of the attestations it finds: every reason against one, and the way through a file."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from kernel.attestation import (
    MAX_AGE,
    MAX_AHEAD,
    MAX_BYTES,
    Attestation,
    Conclusion,
    Finding,
    MalformedAttestationError,
    Outcome,
    Probe,
    Role,
    Unread,
    Written,
    as_json,
    judge,
    parse,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
OUR_KEY, THEIR_KEY = "aaaaaaaa", "bbbbbbbb"


def probe(conclusion: Conclusion = Conclusion.PROVED) -> Probe:
    return Probe("trade", "absent", "DELETE /order", "403 / 310", conclusion, f"why it is {conclusion}")


OWN = Attestation(Role.MARKET, OUR_KEY, Outcome.PROVED, NOW, (probe(),))
COUNTERPART = Attestation(Role.TRADE, THEIR_KEY, Outcome.PROVED, NOW, (probe(),))
INCONCLUSIVE = replace(OWN, outcome=Outcome.INCONCLUSIVE, probes=(probe(), probe(Conclusion.INCONCLUSIVE)))
UNANSWERED = replace(INCONCLUSIVE, probes=(probe(), probe(Conclusion.UNANSWERED)))
REFUSED = replace(OWN, outcome=Outcome.REFUSED, probes=(probe(Conclusion.REFUSED),))


def found(own: Written, counterpart: Written = COUNTERPART, *, strict: bool = True) -> Finding | None:
    doubt = judge(own, counterpart, role=Role.MARKET, fingerprint=OUR_KEY, now=NOW, strict=strict)
    return doubt.finding if doubt else None


@pytest.mark.parametrize("strict", [True, False])
def test_g3_a_proved_key_that_is_not_the_other_ones_may_be_used(*, strict: bool) -> None:
    assert found(OWN, strict=strict) is None


@pytest.mark.parametrize(
    ("own", "finding"),
    [
        (Unread.MISSING, Finding.MISSING),
        (Unread.UNREADABLE, Finding.UNREADABLE),
        (replace(OWN, role=Role.TRADE), Finding.OTHER_ROLE),
        (replace(OWN, fingerprint="cccccccc"), Finding.OTHER_KEY),
        (REFUSED, Finding.REFUSED),
        (UNANSWERED, Finding.INCONCLUSIVE),
        (replace(OWN, at=NOW - MAX_AGE - SECOND), Finding.TOO_OLD),
        (replace(OWN, at=NOW + MAX_AHEAD + SECOND), Finding.FROM_THE_FUTURE),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_g3_in_both_modes_this_stands_against_it(own: Written, finding: Finding, *, strict: bool) -> None:
    assert found(own, strict=strict) is finding


def test_g3_what_is_inconclusive_is_refused_when_strict() -> None:
    assert found(INCONCLUSIVE, strict=True) is Finding.INCONCLUSIVE
    assert found(INCONCLUSIVE, strict=False) is None


@pytest.mark.parametrize("own", [OWN, replace(OWN, at=NOW - MAX_AGE), replace(OWN, at=NOW + MAX_AHEAD)])
def test_it_counts_for_two_and_a_half_hours(own: Attestation) -> None:
    assert timedelta(hours=2.5) == MAX_AGE
    assert found(own) is None


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("age", [timedelta(0), timedelta(days=400)])
def test_g3_the_same_key_in_both_services_is_refused(outcome: Outcome, age: timedelta, *, strict: bool) -> None:
    twin = replace(COUNTERPART, fingerprint=OUR_KEY, outcome=outcome, at=NOW - age)
    assert found(OWN, twin, strict=strict) is Finding.SAME_KEY


@pytest.mark.parametrize("counterpart", Unread)
def test_g3_a_counterpart_that_is_not_there_is_waited_for_when_strict(counterpart: Unread) -> None:
    assert found(OWN, counterpart, strict=True) is Finding.COUNTERPART_MISSING
    assert found(OWN, counterpart, strict=False) is None


def test_a_counterparts_age_and_outcome_are_its_own_affair() -> None:
    for counterpart in (replace(COUNTERPART, outcome=Outcome.REFUSED), replace(COUNTERPART, at=NOW - 9 * MAX_AGE)):
        assert found(OWN, counterpart) is None


def test_every_finding_says_what_was_found_and_names_no_more_than_fingerprints() -> None:
    cases: list[tuple[Written, Written]] = [
        *((each, COUNTERPART) for each in (Unread.MISSING, REFUSED, INCONCLUSIVE, replace(OWN, fingerprint="c"))),
        (OWN, replace(COUNTERPART, fingerprint=OUR_KEY)),
        (OWN, Unread.MISSING),
    ]
    doubts = [judge(*pair, role=Role.MARKET, fingerprint=OUR_KEY, now=NOW, strict=True) for pair in cases]
    message = {doubt.finding: doubt.message for doubt in doubts if doubt}
    assert message == {
        Finding.MISSING: "the attestation of market is missing; run: python -m attest market",
        Finding.REFUSED: "the key aaaaaaaa of market is REFUSED: why it is REFUSED",
        Finding.INCONCLUSIVE: "the key aaaaaaaa of market is INCONCLUSIVE: why it is INCONCLUSIVE",
        Finding.OTHER_KEY: (
            "market attested key c, in use is aaaaaaaa; give attest the key in use and let it attest again"
        ),
        Finding.SAME_KEY: "market and trade have the same key aaaaaaaa; make a key for each at the exchange",
        Finding.COUNTERPART_MISSING: (
            "the attestation of trade is missing, so its key cannot be compared with ours; run: python -m attest trade"
        ),
    }


@pytest.mark.parametrize("attestation", [OWN, COUNTERPART, INCONCLUSIVE, UNANSWERED, REFUSED])
def test_what_is_written_is_read_back_the_same(attestation: Attestation) -> None:
    assert parse(as_json(attestation)) == attestation


def changed(**fields: object) -> bytes:
    content: dict[str, Any] = orjson.loads(as_json(OWN)) | fields
    return orjson.dumps({name: value for name, value in content.items() if value is not None})


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "one JSON object"),
        (b"[]", "one JSON object"),
        (as_json(OWN)[:-3], "one JSON object"),
        (b'"' + b"x" * MAX_BYTES + b'"', "one JSON object"),
        (changed(version=2), "version"),
        (changed(role="other"), "role: expected one of market, trade"),
        (changed(role=None), "role"),
        (changed(fingerprint=12345678), "fingerprint: expected a text"),
        (changed(outcome="proved"), "outcome"),
        (changed(outcome=True), "outcome"),
        (changed(attested_at="yesterday"), "attested_at"),
        (changed(attested_at="2026-11-24T12:00:00"), "attested_at: expected a moment with its zone"),
        (changed(attested_at=1_700_000_000), "attested_at"),
        (changed(probes=[]), "probes"),
        (changed(probes={}), "probes"),
        (changed(probes=[1]), "probes"),
        (changed(probes=[{}]), "right"),
        (changed(probes=[{**orjson.loads(as_json(OWN))["probes"][0], "conclusion": "YES"}]), "conclusion"),
    ],
)
def test_anything_else_is_malformed(raw: bytes, says: str) -> None:
    with pytest.raises(MalformedAttestationError, match=says):
        parse(raw)
