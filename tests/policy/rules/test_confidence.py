import pytest

from tests.policy import given


@pytest.mark.parametrize(
    ("confidence", "code"),
    [
        (49, "CONFIDENCE_NOT_ALLOWED"),
        (50, "OK"),
        (51, "CONFIDENCE_NOT_ALLOWED"),
        (100, "OK"),
        (0, "CONFIDENCE_NOT_ALLOWED"),
    ],
)
def test_only_listed_degrees_are_admitted(confidence: int, code: str) -> None:
    assert given.verdict_of("confidence", judged=given.proposal(confidence=confidence)).code == code
