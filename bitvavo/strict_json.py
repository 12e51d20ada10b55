"""Reading JSON from the exchange without believing it: the parser and the field readers of the wire models.

Only `bitvavo`'s own wire modules call it. Every refusal is a `MalformedError` that names the field and never quotes
the body.
"""

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, NoReturn, TypeVar

import orjson

T = TypeVar("T")

MAX_DECIMAL_CHARACTERS: Final = 48
MAX_INT64: Final = 2**63 - 1
MIN_INT64: Final = -(2**63)

_DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_IDENTIFIER: Final = re.compile(r"[0-9A-Za-z._:-]{1,64}")


class MalformedError(ValueError):
    """The body is not what the exchange documents; the message names the field, never the value."""


def parse_strict(body: bytes) -> Any:  # noqa: ANN401 - JSON is any of its types
    """Parse UTF-8 JSON; duplicate keys, NaN, Infinity, bad UTF-8 and extreme depth are malformed.

    Used where money hangs on the answer; numbers with a fraction arrive as Decimal.
    """
    try:
        return json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique_object,
            parse_constant=_refuse_constant,
            parse_float=Decimal,
        )
    except MalformedError:
        raise
    except (ValueError, RecursionError, ArithmeticError):
        message = "the body is not JSON"
        raise MalformedError(message) from None


def parse_fast(body: bytes) -> Any:  # noqa: ANN401 - JSON is any of its types
    """Parse public market data, up to megabytes; here a duplicate key keeps its last value."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        message = "the body is not JSON"
        raise MalformedError(message) from None


def _unique_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        message = "a key occurs twice"
        raise MalformedError(message)
    return result


def _refuse_constant(_name: str) -> NoReturn:
    message = "NaN or Infinity"
    raise MalformedError(message)


class Fields:
    """One JSON object and typed reading of its fields; `None` and absent mean the same."""

    __slots__ = ("_object",)

    def __init__(self, value: object) -> None:
        """Take a parsed value; anything but an object is malformed."""
        if not isinstance(value, Mapping):
            _malformed("an object", "something else")
        self._object: Mapping[str, Any] = value

    @property
    def value(self) -> Mapping[str, Any]:
        """Return the parsed object itself."""
        return self._object

    def __contains__(self, name: str) -> bool:
        """Say whether the field is there and not null."""
        return self._object.get(name) is not None

    def optional(self, name: str, read: Callable[[str, object], T]) -> T | None:
        """Return the field read by `read`, or None when it is absent or null."""
        value = self._object.get(name)
        return None if value is None else read(name, value)

    def required(self, name: str, read: Callable[[str, object], T]) -> T:
        """Return the field read by `read`; absent or null is malformed."""
        value = self._object.get(name)
        if value is None:
            _malformed(name, "missing")
        return read(name, value)


def decimal(name: str, value: object) -> Decimal:
    """Read a decimal from a string in plain notation; numbers, exponents, blanks and plus signs are malformed."""
    if not isinstance(value, str) or len(value) > MAX_DECIMAL_CHARACTERS or not _DECIMAL.fullmatch(value):
        _malformed(name, "not a plain decimal string")
    return Decimal(value)


def unsigned_decimal(name: str, value: object) -> Decimal:
    """Read a decimal that must not be below zero."""
    result = decimal(name, value)
    if result < 0:
        _malformed(name, "negative")
    return result


def int64(name: str, value: object) -> int:
    """Read an integer of 64 bits; a bool is not one."""
    if not isinstance(value, int) or isinstance(value, bool) or not MIN_INT64 <= value <= MAX_INT64:
        _malformed(name, "not a 64-bit integer")
    return value


def unsigned_int(name: str, value: object) -> int:
    """Read an integer that must not be below zero, such as a time in milliseconds."""
    result = int64(name, value)
    if result < 0:
        _malformed(name, "negative")
    return result


def boolean(name: str, value: object) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        _malformed(name, "not a bool")
    return value


def identifier(name: str, value: object) -> str:
    """Read an id, market, asset, status or enum word: 1 to 64 characters, none of which needs escaping anywhere."""
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        _malformed(name, "not an identifier")
    return value


def array(name: str, value: object) -> list[Any]:
    """Read a list; its elements are read by the caller."""
    if not isinstance(value, list):
        _malformed(name, "not a list")
    return value


def words(name: str, value: object) -> tuple[str, ...]:
    """Read a list of identifiers."""
    return tuple(identifier(name, each) for each in array(name, value))


def _malformed(name: str, problem: str) -> NoReturn:
    message = f"{name}: {problem}"
    raise MalformedError(message)
