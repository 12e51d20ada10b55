"""What every request must be whatever its .proto says: moments and spans that exist, text that a database can keep.

protobuf accepts `Timestamp(seconds=2**62)` and `Duration(seconds=1, nanos=-5)` although its own documentation forbids
them (https://protobuf.dev/reference/protobuf/google.protobuf/#timestamp), and PostgreSQL's text has no NUL. Called by
`kernel.rpc.validation` for every message; without it such a value fails deep inside, as an INTERNAL.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from kernel.errors import FieldViolation

NUL: Final = "\0"
NANOS_MAX: Final = 999_999_999
TIMESTAMP_SECONDS_MIN: Final = -62_135_596_800
TIMESTAMP_SECONDS_MAX: Final = 253_402_300_799
"""0001-01-01 to 9999-12-31."""
DURATION_SECONDS_MAX: Final = 315_576_000_000
"""10,000 years."""
MAX_KEY_CHARS: Final = 32

_TEXT: Final = "must not contain NUL"
_TIMESTAMP: Final = "not a moment: expected the years 1 to 9999 and nanos from 0 to 999999999"
_DURATION: Final = "not a span of time: expected at most 10000 years, nanos within 999999999 and of the sign of seconds"


def malformed(message: Message, prefix: str = "") -> Iterator[FieldViolation]:
    """Yield every field of the message, and of those inside it, that holds no text, moment or span of time."""
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING:
            if field.is_repeated:
                for index, item in enumerate(value):
                    yield from _text(f"{prefix}{field.name}[{index}]", item)
            elif NUL in value:
                yield FieldViolation(f"{prefix}{field.name}", _TEXT)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for path, item in _messages(field, value, prefix):
                yield from _message(path, item)


def _messages(field: FieldDescriptor, value: Any, prefix: str) -> Iterable[tuple[str, Message]]:  # noqa: ANN401 - protobuf's containers are untyped
    path = f"{prefix}{field.name}"
    if not field.is_repeated:
        return ((path, value),)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return (
            (f"{path}[{str(key)[:MAX_KEY_CHARS]}]", each) for key, each in value.items() if isinstance(each, Message)
        )
    return ((f"{path}[{index}]", each) for index, each in enumerate(value))


def _message(path: str, value: Message) -> Iterator[FieldViolation]:
    if isinstance(value, Timestamp):
        if not (TIMESTAMP_SECONDS_MIN <= value.seconds <= TIMESTAMP_SECONDS_MAX and 0 <= value.nanos <= NANOS_MAX):
            yield FieldViolation(path, _TIMESTAMP)
    elif isinstance(value, Duration):
        if not _is_span(value):
            yield FieldViolation(path, _DURATION)
    else:
        yield from malformed(value, f"{path}.")


def _is_span(value: Duration) -> bool:
    within = abs(value.seconds) <= DURATION_SECONDS_MAX and abs(value.nanos) <= NANOS_MAX
    return within and value.seconds * value.nanos >= 0


def _text(path: str, value: str) -> Iterator[FieldViolation]:
    if NUL in value:
        yield FieldViolation(path, _TEXT)
