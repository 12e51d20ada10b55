"""A written attestation: what one API key was proved to be able to do, and whether a service may rely on it now.

`attest` writes one file per role; both services read both and ask `judge`. Pure: no clock and no file is touched.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson

MAX_AGE: Final = timedelta(hours=2, minutes=30)
"""Made every hour: two may fail before one is too old."""

MAX_AHEAD: Final = timedelta(minutes=5)
"""How far the clocks of two machines may be apart before a moment ahead of ours is not believed."""

MAX_BYTES: Final = 64 * 1024
VERSION: Final = 1

Words = TypeVar("Words", bound=StrEnum)


class Role(StrEnum):
    """Whose key it is."""

    MARKET = "market"
    TRADE = "trade"

    @property
    def counterpart(self) -> "Role":
        """The other one, whose key must be another."""
        return Role.TRADE if self is Role.MARKET else Role.MARKET


class Conclusion(StrEnum):
    """What one probe says about what was wanted."""

    PROVED = "PROVED"
    REFUSED = "REFUSED"  # the opposite is proved, or the exchange does not accept the key at all
    INCONCLUSIVE = "INCONCLUSIVE"  # answered, but the answer proves nothing
    UNANSWERED = "UNANSWERED"  # nothing readable came: the key has not been asked about


class Outcome(StrEnum):
    """What all probes say together."""

    PROVED = "PROVED"
    REFUSED = "REFUSED"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True)
class Probe:
    """One question about a key: the right, what is wanted of it, what was asked, answered, concluded, and why."""

    right: str
    wanted: str
    asked: str
    answered: str
    conclusion: Conclusion
    why: str


@dataclass(frozen=True, slots=True)
class Attestation:
    """All that is known of one key; `fingerprint` is that of `kernel.secret`. Nothing in it is secret."""

    role: Role
    fingerprint: str
    outcome: Outcome
    at: datetime
    probes: tuple[Probe, ...]

    @property
    def unanswered(self) -> bool:
        """Whether a probe got no answer: then nothing may rely on it, in no mode."""
        return any(probe.conclusion is Conclusion.UNANSWERED for probe in self.probes)


class Unread(StrEnum):
    """Why there is no attestation to look at."""

    MISSING = "missing"
    UNREADABLE = "unreadable"


Written = Attestation | Unread


class Finding(StrEnum):
    """Why a service may not rely on its attestation."""

    MISSING = "MISSING"
    UNREADABLE = "UNREADABLE"
    OTHER_ROLE = "OTHER_ROLE"
    REFUSED = "REFUSED"
    INCONCLUSIVE = "INCONCLUSIVE"
    TOO_OLD = "TOO_OLD"
    FROM_THE_FUTURE = "FROM_THE_FUTURE"
    OTHER_KEY = "OTHER_KEY"
    SAME_KEY = "SAME_KEY"
    COUNTERPART_MISSING = "COUNTERPART_MISSING"


@dataclass(frozen=True, slots=True)
class Doubt:
    """What stands against relying on it: the finding, and in words what was found and what to do."""

    finding: Finding
    message: str


class MalformedAttestationError(ValueError):
    """The text is no attestation; the message names the field, never its value."""


def path_of(directory: Path, role: Role) -> Path:
    """Return where a role's attestation is written."""
    return directory / role.value / "attestation.json"


def judge(
    own: Written, counterpart: Written, *, role: Role, fingerprint: str, now: datetime, strict: bool
) -> Doubt | None:
    """Say what stands against using the key of `fingerprint`, or None.

    The counterpart's age and outcome do not matter: it is only asked which key it has. Equal keys are refused in
    every mode; a counterpart that is not there, and an inconclusive outcome, when `strict`.
    """
    doubt = judge_alone(own, role=role, now=now, strict=strict)
    if doubt is not None:
        return doubt
    if isinstance(own, Attestation) and own.fingerprint != fingerprint:
        found = f"{role} attested key {own.fingerprint}, in use is {fingerprint}"
        return Doubt(Finding.OTHER_KEY, f"{found}; give attest the key in use and let it attest again")
    if isinstance(counterpart, Attestation):
        return _same_key(counterpart, role, fingerprint)
    if not strict:
        return None
    found = f"the attestation of {role.counterpart} is {counterpart}, so its key cannot be compared with ours"
    return Doubt(Finding.COUNTERPART_MISSING, f"{found}; run: python -m attest {role.counterpart}")


def judge_alone(own: Written, *, role: Role, now: datetime, strict: bool) -> Doubt | None:
    """Say what stands against an attestation itself, whichever key is in use."""
    again = f"run: python -m attest {role}"
    if isinstance(own, Unread):
        finding = Finding.MISSING if own is Unread.MISSING else Finding.UNREADABLE
        return Doubt(finding, f"the attestation of {role} is {own}; {again}")
    if own.role is not role:
        return Doubt(Finding.OTHER_ROLE, f"found the attestation of {own.role}, expected that of {role}; {again}")
    if own.at > now + MAX_AHEAD:
        return Doubt(Finding.FROM_THE_FUTURE, f"attested at {_text(own.at)}, which is ahead of now; compare the clocks")
    if now - own.at > MAX_AGE:
        found = f"attested at {_text(own.at)}, more than {MAX_AGE} ago"
        return Doubt(Finding.TOO_OLD, f"{found}; look why attest does not write, or {again}")
    return _outcome(own, strict=strict)


def as_json(attestation: Attestation) -> bytes:
    """Write it as the file holds it: one JSON object."""
    probes = [
        {name: str(getattr(probe, name)) for name in ("right", "wanted", "asked", "answered", "conclusion", "why")}
        for probe in attestation.probes
    ]
    content = {
        "version": VERSION,
        "role": attestation.role.value,
        "fingerprint": attestation.fingerprint,
        "outcome": attestation.outcome.value,
        "attested_at": _text(attestation.at),
        "probes": probes,
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def parse(raw: bytes) -> Attestation:
    """Read what `as_json` wrote.

    Raises:
        MalformedAttestationError: it is something else.
    """
    content = _object(raw)
    if content.get("version") != VERSION:
        raise MalformedAttestationError(f"version: expected {VERSION}")
    probes = content.get("probes")
    if not isinstance(probes, list) or not probes:
        raise MalformedAttestationError("probes: expected a list that is not empty")
    return Attestation(
        role=_one_of(Role, content, "role"),
        fingerprint=_word(content, "fingerprint"),
        outcome=_one_of(Outcome, content, "outcome"),
        at=_moment(content, "attested_at"),
        probes=tuple(_probe(each) for each in probes),
    )


def _outcome(own: Attestation, *, strict: bool) -> Doubt | None:
    if own.outcome is Outcome.PROVED:
        return None
    if own.outcome is Outcome.INCONCLUSIVE and not strict and not own.unanswered:
        return None
    why = next((probe.why for probe in own.probes if probe.conclusion is not Conclusion.PROVED), "no reason is given")
    finding = Finding.REFUSED if own.outcome is Outcome.REFUSED else Finding.INCONCLUSIVE
    return Doubt(finding, f"the key {own.fingerprint} of {own.role} is {own.outcome}: {why}")


def _same_key(counterpart: Attestation, role: Role, fingerprint: str) -> Doubt | None:
    if counterpart.fingerprint != fingerprint:
        return None
    found = f"{role} and {role.counterpart} have the same key {fingerprint}"
    return Doubt(Finding.SAME_KEY, f"{found}; make a key for each at the exchange")


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        content = orjson.loads(raw) if len(raw) <= MAX_BYTES else None
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, dict):
        raise MalformedAttestationError(f"expected one JSON object of at most {MAX_BYTES} bytes")
    return content


def _probe(content: object) -> Probe:
    if not isinstance(content, dict):
        raise MalformedAttestationError("probes: expected objects")
    words = {name: _word(content, name) for name in ("right", "wanted", "asked", "answered", "why")}
    return Probe(**words, conclusion=_one_of(Conclusion, content, "conclusion"))


def _word(content: Mapping[str, Any], name: str) -> str:
    found = content.get(name)
    if not isinstance(found, str):
        raise MalformedAttestationError(f"{name}: expected a text")
    return found


def _one_of(words: type[Words], content: Mapping[str, Any], name: str) -> Words:
    try:
        return words(_word(content, name))
    except ValueError:
        raise MalformedAttestationError(f"{name}: expected one of {', '.join(words)}") from None


def _moment(content: Mapping[str, Any], name: str) -> datetime:
    try:
        found = datetime.fromisoformat(_word(content, name))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise MalformedAttestationError(f"{name}: expected a moment with its zone")
    return found


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
