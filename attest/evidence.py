"""What an answer of the exchange says about one right of a key. Pure; `attest.ask` does the asking.

How the exchange checks is not documented, so an answer counts only when it is exactly the one that proves the right
or its absence (https://docs.bitvavo.com/docs/errors/). Everything else proves nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from bitvavo.errors import HTTP_NOT_FOUND, HTTP_TOO_MANY_REQUESTS, NO_TRADE_RIGHT, NO_VIEW_RIGHT, ORDER_NOT_FOUND
from bitvavo.probe_client import ProbeAnswer
from kernel.attestation import Conclusion, Probe, Role

HTTP_FORBIDDEN: Final = 403
HTTP_SERVER_ERROR: Final = 500
RATE_CODES: Final = frozenset({103, 104, 105, 112})
TOO_LATE: Final = 304
"""Not received within its window: says something about clocks and the network, nothing about the key."""

UNACCEPTED: Final[Mapping[int, str]] = MappingProxyType(
    {
        300: "the exchange saw no key; this is a defect of ours, report it",
        301: "the key has not the 64 characters of one; write the whole key into its file",
        302: "the timestamp is not in milliseconds; this is a defect of ours, report it",
        303: "the window is outside what is allowed; this is a defect of ours, report it",
        305: "no active key of this name; it was deleted or never made: make one and replace the file",
        306: "the key is not confirmed yet; follow the link in the exchange's mail",
        307: "this machine's address is not on the key's list; add it at the exchange",
        308: "the signature is malformed; write the whole secret into its file",
        309: "the signature is wrong: the secret is not that of this key; replace both files together",
    }
)
"""The codes with which the exchange does not accept the key at all, and what to do."""


class Meaning(StrEnum):
    """What an answer says about the right that was asked about."""

    PRESENT = "the key has the right"
    ABSENT = "the key lacks the right"
    UNACCEPTED = "the exchange does not accept the key"
    UNCLEAR = "the answer proves nothing"
    SILENT = "nothing readable was answered"


@dataclass(frozen=True, slots=True)
class Question:
    """One way to ask about a right.

    `absent` are the codes that, with HTTP 403, prove its absence; `present` the one that, with HTTP 404, proves its
    presence, where showing what was asked for is not what proves it.
    """

    right: str
    asked: str
    absent: frozenset[int]
    present: int | None = None


VIEW: Final = Question("view", "GET /account", frozenset({NO_VIEW_RIGHT}))
TRADE: Final = Question("trade", "DELETE /order, a random id", frozenset({NO_TRADE_RIGHT}), ORDER_NOT_FOUND)
ORDERS: Final = Question("read orders", "GET /ordersOpen", frozenset({NO_TRADE_RIGHT, NO_VIEW_RIGHT}))

WANTED: Final[Mapping[Role, Mapping[Question, bool]]] = MappingProxyType(
    {Role.MARKET: {VIEW: True, TRADE: False}, Role.TRADE: {VIEW: True, TRADE: True, ORDERS: True}}
)
"""What each service's key must have (True), and must not have."""

_MEND: Final[Mapping[tuple[Role, Question], str]] = MappingProxyType(
    {
        (Role.MARKET, VIEW): "the key cannot view: it is of no use here; use one with the right View only",
        (Role.MARKET, TRADE): "the key can trade; use one with the right View only",
        (Role.TRADE, VIEW): "the key cannot view: orders could not be read back; use one with View and Trade",
        (Role.TRADE, TRADE): "the key cannot trade; use one with View and Trade",
        (Role.TRADE, ORDERS): "the key cannot read orders; use one with View and Trade",
    }
)


def meaning(question: Question, answer: ProbeAnswer) -> Meaning:
    """Say what an answer means.

    Cases: no answer, or none of the exchange's (a proxy's page, its own failure, a ban, a late request); the key not
    accepted; the right lacking; the right there; anything else.
    """
    status, code = answer.status, answer.code
    if status is None or status >= HTTP_SERVER_ERROR or status == HTTP_TOO_MANY_REQUESTS:
        return Meaning.SILENT
    if code in RATE_CODES or code == TOO_LATE or (code is None and not answer.shown):
        return Meaning.SILENT
    if status == HTTP_FORBIDDEN and code in UNACCEPTED:
        return Meaning.UNACCEPTED
    if status == HTTP_FORBIDDEN and code in question.absent:
        return Meaning.ABSENT
    shown_is_proof = question.present is None and answer.shown
    if shown_is_proof or (status == HTTP_NOT_FOUND and code is not None and code == question.present):
        return Meaning.PRESENT
    return Meaning.UNCLEAR


def weigh(role: Role, question: Question, answer: ProbeAnswer) -> Probe:
    """Turn an answer into the probe that is written down."""
    wanted = WANTED[role][question]
    found = meaning(question, answer)
    conclusion = _CONCLUSIONS[wanted][found]
    return Probe(
        right=question.right,
        wanted="present" if wanted else "absent",
        asked=question.asked,
        answered=_shown(answer),
        conclusion=conclusion,
        why="" if conclusion is Conclusion.PROVED else _why(role, question, answer, found),
    )


_ALWAYS: Final = MappingProxyType(
    {
        Meaning.UNACCEPTED: Conclusion.REFUSED,
        Meaning.UNCLEAR: Conclusion.INCONCLUSIVE,
        Meaning.SILENT: Conclusion.UNANSWERED,
    }
)
_CONCLUSIONS: Final[Mapping[bool, Mapping[Meaning, Conclusion]]] = MappingProxyType(
    {
        True: {**_ALWAYS, Meaning.PRESENT: Conclusion.PROVED, Meaning.ABSENT: Conclusion.REFUSED},
        False: {**_ALWAYS, Meaning.PRESENT: Conclusion.REFUSED, Meaning.ABSENT: Conclusion.PROVED},
    }
)


def _why(role: Role, question: Question, answer: ProbeAnswer, found: Meaning) -> str:
    if found is Meaning.UNACCEPTED and answer.code is not None:
        return UNACCEPTED[answer.code]
    if found is Meaning.SILENT:
        return f"{question.asked}: {_shown(answer)}; the key was not asked about: see that the exchange is reached"
    if found is Meaning.UNCLEAR:
        return f"{question.asked}: {_shown(answer)} proves nothing; look the code up at the exchange"
    return _MEND[role, question]


def _shown(answer: ProbeAnswer) -> str:
    if answer.status is None:
        return f"nothing ({answer.fault})"
    return str(answer.status) if answer.code is None else f"{answer.status} / {answer.code}"
