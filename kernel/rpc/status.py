"""Turns a failure into what a client gets: a status code, a short text and details a program can read.

Called by `kernel.rpc.interceptor` only. Every answer other than OK carries a `google.rpc.ErrorInfo`; the module
imports `error_details_pb2` for its descriptors too, so that reflection lets grpcurl decode the details.
Details are described at https://google.aip.dev/193 and https://github.com/googleapis/googleapis/blob/master/google/rpc.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details_pb2  # type: ignore[import-untyped]  # no py.typed marker
from google.rpc import status_pb2
from grpc import StatusCode

from kernel.errors import Conflict, Exhausted, Failure, Forbidden, Invalid, NotFound, NotNow, Unavailable
from kernel.rpc import reasons

DETAILS_KEY: Final = "grpc-status-details-bin"
PUSHBACK_KEY: Final = "grpc-retry-pushback-ms"
"""gRPC's own retries obey this trailer and not RetryInfo, so both are sent."""

MAX_DETAILS_BYTES: Final = 5_000
"""A client refuses headers over 8 KiB by default, and details travel as base64 (4/3 of this) beside the message."""
MAX_MESSAGE_CHARS: Final = 300
MAX_PATH_CHARS: Final = 64
MAX_DESCRIPTION_CHARS: Final = 200
MAX_METADATA_ENTRIES: Final = 16

CODES: Final[dict[type[Failure], StatusCode]] = {
    Invalid: StatusCode.INVALID_ARGUMENT,
    NotFound: StatusCode.NOT_FOUND,
    Conflict: StatusCode.ALREADY_EXISTS,
    NotNow: StatusCode.FAILED_PRECONDITION,
    Forbidden: StatusCode.PERMISSION_DENIED,
    Exhausted: StatusCode.RESOURCE_EXHAUSTED,
    Unavailable: StatusCode.UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What `context.abort` takes, and the reason for logs."""

    code: StatusCode
    reason: str
    message: str
    trailers: tuple[tuple[str, str | bytes], ...]


def refusal(failure: Failure, domain: str) -> Refusal:
    """Return the answer to a failure. `domain` names the service, such as "trade.interlock"."""
    details = [_error_info(failure.reason, domain, dict(failure.metadata)), *_particulars(failure)]
    pushback = _pushback(failure.retry_after_seconds) if isinstance(failure, Exhausted | Unavailable) else ()
    return _build(_code(failure), failure.reason, failure.message, details, pushback)


def plain_refusal(code: StatusCode, reason: str, message: str, domain: str) -> Refusal:
    """Return an answer that no use case decided: INTERNAL, DEADLINE_EXCEEDED."""
    return _build(code, reason, message, [_error_info(reason, domain, {})], ())


def internal(domain: str) -> Refusal:
    """Return the answer to what nobody foresaw; its text says nothing about it."""
    message = "internal error; the request id is in the trailers"
    return plain_refusal(StatusCode.INTERNAL, reasons.INTERNAL, message, domain)


def _code(failure: Failure) -> StatusCode:
    return next((CODES[kind] for kind in type(failure).__mro__ if kind in CODES), StatusCode.INTERNAL)


def _particulars(failure: Failure) -> Iterator[Message]:
    match failure:
        case Invalid(violations=violations) if violations:
            fields = [
                details_pb2.BadRequest.FieldViolation(
                    field=_cut(each.path, MAX_PATH_CHARS), description=_cut(each.description, MAX_DESCRIPTION_CHARS)
                )
                for each in violations
            ]
            yield details_pb2.BadRequest(field_violations=fields)
        case NotNow(violations=states) if states:
            conditions = [
                details_pb2.PreconditionFailure.Violation(
                    type=each.type, subject=each.subject, description=_cut(each.description, MAX_DESCRIPTION_CHARS)
                )
                for each in states
            ]
            yield details_pb2.PreconditionFailure(violations=conditions)
        case Exhausted(retry_after_seconds=seconds) | Unavailable(retry_after_seconds=seconds):
            delay = Duration()
            delay.FromMilliseconds(_milliseconds(seconds))
            yield details_pb2.RetryInfo(retry_delay=delay)


def _error_info(reason: str, domain: str, metadata: dict[str, str]) -> details_pb2.ErrorInfo:
    entries = list(metadata.items())[:MAX_METADATA_ENTRIES]
    short = {key: _cut(value, MAX_DESCRIPTION_CHARS) for key, value in entries}
    return details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=short)


def _build(
    code: StatusCode, reason: str, message: str, details: list[Message], more: tuple[tuple[str, str | bytes], ...]
) -> Refusal:
    short = _cut(message, MAX_MESSAGE_CHARS)
    status = status_pb2.Status(code=code.value[0], message=short)
    for detail in details:
        status.details.add().Pack(_fitting(detail, MAX_DETAILS_BYTES - status.ByteSize()))
    return Refusal(code, reason, short, ((DETAILS_KEY, status.SerializeToString()), *more))


def _fitting(detail: Message, room_bytes: int) -> Message:
    """Drop violations from the end until the rest fits; the first ones are told in full."""
    if isinstance(detail, details_pb2.BadRequest):
        while detail.ByteSize() > room_bytes and len(detail.field_violations) > 1:
            del detail.field_violations[-1]
    if isinstance(detail, details_pb2.PreconditionFailure):
        while detail.ByteSize() > room_bytes and len(detail.violations) > 1:
            del detail.violations[-1]
    return detail


def _pushback(seconds: float) -> tuple[tuple[str, str | bytes], ...]:
    return ((PUSHBACK_KEY, str(_milliseconds(seconds))),)


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1_000))


def _cut(text: str, limit_chars: int) -> str:
    return text if len(text) <= limit_chars else text[: limit_chars - 1] + "…"
