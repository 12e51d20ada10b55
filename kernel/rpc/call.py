"""What belongs to the one call a task serves: its request id, and trailers a use case wants on the answer."""

import os
import re
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import grpc.aio

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
"""The stubs make it generic, the library does not: a name for it that both can read."""

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]

REQUEST_ID_KEY: Final = "x-request-id"
FIELD_BYTES: Final = 32
"""What HTTP/2 counts for a field beside its name and its value: RFC 9113, 6.5.2."""
MAX_TRAILERS: Final = 16
ID_BYTES: Final = 16
_ACCEPTED: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_KEY: Final = re.compile(r"[a-z][a-z0-9-]{0,63}", re.ASCII)
_VALUE: Final = re.compile(r"[\x20-\x7e]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Arrival:
    """What is kept of the metadata that came with a call: its size, the request id it offers."""

    metadata_bytes: int
    request_id: str | None = None


_arrival: Final[ContextVar[_Arrival]] = ContextVar("arrival")
_request_id: Final[ContextVar[str]] = ContextVar("request_id", default="")
_trailers: Final[ContextVar[dict[str, str]]] = ContextVar("trailers")


def arrive(metadata: Metadata, bytes_max: int) -> None:
    """Look at what came with a call, once, and keep what is needed of it: it may be far larger than it may be.

    gRPC makes all of it anew whenever it is asked for, and bounds it only once the client has acknowledged that it is
    bounded: a byte on the wire can be a field of four thousand. What is over `bytes_max` by the number of its fields
    alone is not looked at.
    """
    found = FIELD_BYTES * len(metadata)
    if found > bytes_max:
        _arrival.set(_Arrival(found))
        return
    found += sum(len(key) + len(value) for key, value in metadata)
    _arrival.set(_Arrival(found, _offered(metadata)))


def open_call() -> dict[str, str]:
    """Begin a call: take the caller's request id if it is well formed, else a new one; return its trailers so far."""
    request_id = _arrival.get().request_id or os.urandom(ID_BYTES).hex()
    trailers = {REQUEST_ID_KEY: request_id}
    _request_id.set(request_id)
    _trailers.set(trailers)
    return trailers


def metadata_bytes() -> int:
    """Return how much metadata came with the current call, as HTTP/2 counts; at least, where that is too much."""
    return _arrival.get().metadata_bytes


def current_request_id() -> str:
    """Return the id of the call this task serves; empty outside a call."""
    return _request_id.get()


def add_trailer(key: str, value: str) -> None:
    """Put a trailer on the answer of the current call, also when it fails; outside a call nothing happens.

    Works from tasks that the call started as long as the call is not answered. The last value of a key wins.

    Raises:
        ValueError: a key or value that HTTP/2 cannot carry as text, or more than 16 trailers.
    """
    trailers = _trailers.get(None)
    if trailers is None:
        return
    if not _KEY.fullmatch(key) or key.endswith("-bin") or not _VALUE.fullmatch(value) or len(trailers) >= MAX_TRAILERS:
        message = f"not a trailer: key {key[:64]!r}, {len(value)} characters, {len(trailers)} trailers already there"
        raise ValueError(message)
    trailers[key] = value


def _offered(metadata: Metadata) -> str | None:
    for key, value in metadata:
        if key == REQUEST_ID_KEY and isinstance(value, str) and _ACCEPTED.fullmatch(value):
            return value
    return None
