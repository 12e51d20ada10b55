"""What the .proto's comment of an error's reason promises, and whether a refusal keeps it."""

import re
from pathlib import Path
from typing import Final

import grpc

from tests.contract.refusal import Refusal

PROTOS: Final = Path(__file__).resolve().parents[2] / "protos"


def keeps_its_promise(told: Refusal, reason: str, package: str) -> None:
    """Pass when status, metadata, details and trailers are those that the comment of the reason names."""
    comment = comments(package)[reason]
    assert told.reason == reason
    assert told.domain == f"{package}.interlock"
    assert told.code.name in comment
    assert set(told.metadata) == promised_metadata(comment)
    assert ("PreconditionFailure" in told.details) == (told.code is grpc.StatusCode.FAILED_PRECONDITION)
    assert ("BadRequest" in told.details) == (told.code is grpc.StatusCode.INVALID_ARGUMENT)
    again = told.code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert ("RetryInfo" in told.details) == ("grpc-retry-pushback-ms" in told.trailers) == again
    if again:
        delay = told.details["RetryInfo"].retry_delay.ToMilliseconds()
        assert told.trailers["grpc-retry-pushback-ms"] == str(delay)
        assert delay > 0


def comments(package: str) -> dict[str, str]:
    """Return the comment of every reason in a .proto."""
    text = (PROTOS / package / "v1" / f"{package}.proto").read_text()
    body = text[text.index("enum ErrorReason {") :].partition("\n}")[0]
    pairs = re.findall(r"((?:  //[^\n]*\n)+)  ERROR_REASON_(\w+) =", body)
    return {name: re.sub(r"\s*//\s*", " ", comment) for comment, name in pairs}


def promised_metadata(comment: str) -> set[str]:
    """Return the keys that a comment names after the word metadata."""
    return set(re.findall(r"`(\w+)`", comment.partition("etadata")[2]))
