"""Facts, proposals and verdicts as JSON values and back, exactly: what lets a decision be replayed years later.

Decimals are strings as written, moments ISO 8601 in UTC with microseconds, absent values null; no floats.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from types import UnionType
from typing import Any, NoReturn, TypeAlias, get_args, get_origin, get_type_hints
from uuid import UUID

from policy.model import Facts, Proposal, Verdict

Json: TypeAlias = "dict[str, Any]"


def facts_to_json(facts: Facts) -> Json:
    """Return the facts as a JSON object."""
    return _codec(Facts).encode(facts)  # type: ignore[no-any-return]


def facts_from_json(value: Json) -> Facts:
    """Return the facts recorded. Raises ValueError, KeyError or TypeError for anything else."""
    return _codec(Facts).decode(value)  # type: ignore[no-any-return]


def proposal_to_json(proposal: Proposal) -> Json:
    """Return the proposal as a JSON object."""
    return _codec(Proposal).encode(proposal)  # type: ignore[no-any-return]


def proposal_from_json(value: Json) -> Proposal:
    """Return the proposal recorded. Raises ValueError, KeyError or TypeError for anything else."""
    return _codec(Proposal).decode(value)  # type: ignore[no-any-return]


def verdicts_to_json(verdicts: tuple[Verdict, ...]) -> list[Json]:
    """Return the verdicts as a JSON list, in order."""
    return [_codec(Verdict).encode(verdict) for verdict in verdicts]


def verdicts_from_json(values: list[Json]) -> tuple[Verdict, ...]:
    """Return the verdicts recorded. Raises ValueError, KeyError or TypeError for anything else."""
    return tuple(_codec(Verdict).decode(value) for value in values)


@dataclass(frozen=True, slots=True)
class _Codec:
    """How one type is written and read."""

    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


@lru_cache(maxsize=128)
def _codec(hint: Any) -> _Codec:  # noqa: ANN401
    """Return the codec of a type. Cases: class with fields, optional, tuple, and the scalars below."""
    if is_dataclass(hint) and isinstance(hint, type):
        return _class_codec(hint)
    if get_origin(hint) is UnionType:
        return _optional_codec(_codec(next(part for part in get_args(hint) if part is not type(None))))
    if get_origin(hint) is tuple:
        return _tuple_codec(_codec(get_args(hint)[0]))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _Codec(lambda value: value.value, hint)
    return _SCALARS[hint]


def _class_codec(cls: type) -> _Codec:
    hints = get_type_hints(cls)
    parts = [(one.name, _codec(hints[one.name])) for one in fields(cls)]

    def decode(value: Json) -> object:
        if value.keys() != hints.keys():
            _refuse(f"the fields of {cls.__name__}", sorted(value))
        return cls(**{name: part.decode(value[name]) for name, part in parts})

    return _Codec(lambda value: {name: part.encode(getattr(value, name)) for name, part in parts}, decode)


def _optional_codec(inner: _Codec) -> _Codec:
    return _Codec(
        lambda value: None if value is None else inner.encode(value),
        lambda value: None if value is None else inner.decode(value),
    )


def _tuple_codec(inner: _Codec) -> _Codec:
    return _Codec(lambda value: [inner.encode(one) for one in value], lambda value: tuple(map(inner.decode, value)))


def _encode_moment(moment: datetime) -> str:
    if moment.tzinfo is None:
        _refuse("an aware moment", moment)
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _decode_moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() is None:
        _refuse("a moment in UTC", text)
    return moment.astimezone(UTC)


def _decode_decimal(text: Any) -> Decimal:  # noqa: ANN401
    return Decimal(_exactly(str)(text))


def _exactly(cls: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:  # noqa: ANN401
        if type(value) is not cls:
            _refuse(cls.__name__, value)
        return value

    return check


def _refuse(wanted: str, value: object) -> NoReturn:
    message = f"expected {wanted}, found {value!r}"
    raise ValueError(message)


_SCALARS = {
    str: _Codec(_exactly(str), _exactly(str)),
    int: _Codec(_exactly(int), _exactly(int)),
    bool: _Codec(_exactly(bool), _exactly(bool)),
    Decimal: _Codec(str, _decode_decimal),
    UUID: _Codec(str, UUID),
    datetime: _Codec(_encode_moment, _decode_moment),
}
