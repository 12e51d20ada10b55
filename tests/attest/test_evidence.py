"""What an answer proves: exactly the one that is documented, and nothing else."""

import pytest

from attest.evidence import ORDERS, TRADE, UNACCEPTED, VIEW, WANTED, Meaning, Question, meaning, weigh
from bitvavo.probe_client import ProbeAnswer
from kernel.attestation import Conclusion, Role

SHOWN = ProbeAnswer(200, shown=True)


def refused(status: int, code: int | None) -> ProbeAnswer:
    return ProbeAnswer(status, code)


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        (TRADE, refused(403, 310), Meaning.ABSENT),
        (TRADE, refused(404, 240), Meaning.PRESENT),
        (TRADE, SHOWN, Meaning.UNCLEAR),
        (TRADE, refused(400, 310), Meaning.UNCLEAR),
        (TRADE, refused(200, 310), Meaning.UNCLEAR),
        (TRADE, refused(400, 240), Meaning.UNCLEAR),
        (TRADE, refused(403, 240), Meaning.UNCLEAR),
        (TRADE, refused(403, 311), Meaning.UNCLEAR),
        (TRADE, refused(403, 312), Meaning.UNCLEAR),
        (TRADE, refused(400, 205), Meaning.UNCLEAR),
        (TRADE, refused(400, 203), Meaning.UNCLEAR),
        (TRADE, refused(403, 318), Meaning.UNCLEAR),
        (TRADE, refused(404, None), Meaning.SILENT),
        (TRADE, refused(403, None), Meaning.SILENT),
        (VIEW, SHOWN, Meaning.PRESENT),
        (VIEW, refused(403, 311), Meaning.ABSENT),
        (VIEW, refused(403, 310), Meaning.UNCLEAR),
        (VIEW, refused(404, 240), Meaning.UNCLEAR),
        (VIEW, ProbeAnswer(200), Meaning.SILENT),
        (VIEW, ProbeAnswer(302), Meaning.SILENT),
        (ORDERS, SHOWN, Meaning.PRESENT),
        (ORDERS, refused(403, 310), Meaning.ABSENT),
        (ORDERS, refused(403, 311), Meaning.ABSENT),
        (ORDERS, refused(400, 205), Meaning.UNCLEAR),
    ],
)
def test_only_the_documented_answer_proves(question: Question, answer: ProbeAnswer, expected: Meaning) -> None:
    assert meaning(question, answer) is expected


@pytest.mark.parametrize("question", [VIEW, TRADE, ORDERS])
@pytest.mark.parametrize(
    "answer",
    [
        ProbeAnswer(None, fault="timeout"),
        *(refused(status, code) for status in (500, 502, 503, 520) for code in (None, 101, 109, 240, 310)),
        *(refused(429, code) for code in (None, 105, 310)),
        *(refused(400, code) for code in (103, 104, 105, 112)),
        refused(403, 304),
    ],
)
def test_what_is_no_answer_about_the_key_is_silence(question: Question, answer: ProbeAnswer) -> None:
    assert meaning(question, answer) is Meaning.SILENT


@pytest.mark.parametrize("question", [VIEW, TRADE, ORDERS])
@pytest.mark.parametrize("code", sorted(UNACCEPTED))
def test_a_key_that_is_not_accepted_is_refused_and_told_what_to_do(question: Question, code: int) -> None:
    assert set(UNACCEPTED) == {*range(300, 310)} - {304}
    assert meaning(question, refused(403, code)) is Meaning.UNACCEPTED
    for role in Role:
        if question in WANTED[role]:
            probe = weigh(role, question, refused(403, code))
            assert (probe.conclusion, probe.why) == (Conclusion.REFUSED, UNACCEPTED[code])


@pytest.mark.parametrize(
    ("role", "question", "present", "absent"),
    [
        (Role.MARKET, VIEW, "PROVED", "REFUSED"),
        (Role.MARKET, TRADE, "REFUSED", "PROVED"),
        (Role.TRADE, VIEW, "PROVED", "REFUSED"),
        (Role.TRADE, TRADE, "PROVED", "REFUSED"),
        (Role.TRADE, ORDERS, "PROVED", "REFUSED"),
    ],
)
def test_what_is_wanted_decides_what_an_answer_is_worth(
    role: Role, question: Question, present: str, absent: str
) -> None:
    there = refused(404, 240) if question is TRADE else SHOWN
    lacking = refused(403, 310) if question is TRADE else refused(403, 311)
    assert weigh(role, question, there).conclusion == present
    assert weigh(role, question, lacking).conclusion == absent
    assert weigh(role, question, refused(400, 205)).conclusion is Conclusion.INCONCLUSIVE
    assert weigh(role, question, ProbeAnswer(None, fault="connect")).conclusion is Conclusion.UNANSWERED


def test_every_probe_is_in_the_table_of_what_is_wanted() -> None:
    assert {role: {each.right for each in questions} for role, questions in WANTED.items()} == {
        Role.MARKET: {"view", "trade"},
        Role.TRADE: {"view", "trade", "read orders"},
    }
