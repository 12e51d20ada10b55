"""One JSON line per event on standard error, for our own events and for what third-party libraries log.

`{"ts": "2026-01-02T03:04:05.678901Z", "level": "info", "event": "call", …}`. Everything goes through
`kernel.redaction`. Called everywhere; configured once, by a service's `__main__`, and quiet below WARNING until
then. Our own events do not pass through `logging`: its records cost more than the line (10 of 19 µs), and every
call writes one. Libraries' records arrive through a handler on the root logger.
"""

import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from threading import Lock
from typing import Final, TextIO

import orjson

from kernel.redaction import exception_trace, redact, safe_value

DEBUG: Final = logging.DEBUG
INFO: Final = logging.INFO
WARNING: Final = logging.WARNING
ERROR: Final = logging.ERROR

CHATTY: Final = ("aiohttp", "asyncio", "httpcore", "httpx", "grpc", "psycopg", "sqlalchemy")
"""Libraries held at WARNING: at INFO and DEBUG they print URLs, headers, statements and parameters."""

_NAMES: Final = {DEBUG: "debug", INFO: "info", WARNING: "warning", ERROR: "error"}
_bound: Final[ContextVar[dict[str, object]]] = ContextVar("bound")
_NOTHING: Final[dict[str, object]] = {}


def log(event: str, /, *, level: int = INFO, error: BaseException | None = None, **fields: object) -> None:
    """Write one event. `event` is a constant word; what varies goes into fields; `error` adds its trace."""
    log_fields(event, fields, level=level, error=error)


def log_fields(
    event: str, fields: Mapping[str, object], *, level: int = INFO, error: BaseException | None = None
) -> None:
    """Write one event like `log`, its fields given as a mapping."""
    if level >= _output.level:
        _output.write({**_head(time.time(), level, event), **_safe(_bound.get(_NOTHING)), **_safe(fields)}, error)


@contextmanager
def bind(**fields: object) -> Iterator[None]:
    """Add fields to every line written inside, by this task and the tasks it starts."""
    token = _bound.set({**_bound.get(_NOTHING), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def bind_for_task(**fields: object) -> None:
    """Add fields to every line of this task from here on: `bind` without an end, for the owner of a task."""
    _bound.set({**_bound.get(_NOTHING), **fields})


def configure(level: int = INFO, stream: TextIO | None = None) -> None:
    """Send every event of the process to `stream` (standard error) as JSON lines. Safe to call twice."""
    _output.level, _output.stream = level, stream
    # A record that cannot be formatted must not be printed by logging's own fallback: it shows the arguments.
    logging.raiseExceptions = False
    logging.basicConfig(level=level, handlers=[LibraryHandler()], force=True)
    logging.captureWarnings(capture=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(level, WARNING))


class LibraryHandler(logging.Handler):
    """Writes what a library logs as the event `library`, with its logger's name and its text redacted."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a record whose own text cannot be made says so, without its arguments."""
        try:
            message = redact(record.getMessage())
        except Exception as error:  # noqa: BLE001 - a log line must never break what it tells about
            message = f"a log record that cannot be formatted ({type(error).__name__})"
        head = _head(record.created, record.levelno, "library")
        line = {**head, **_safe(_bound.get(_NOTHING)), "logger": record.name, "message": message}
        _output.write(line, record.exc_info[1] if record.exc_info else None)


class _Output:
    """Where lines go, and from which level on."""

    def __init__(self) -> None:
        self.level = WARNING
        self.stream: TextIO | None = None
        self._lock = Lock()

    def write(self, line: dict[str, object], error: BaseException | None) -> None:
        if error is not None:
            line["trace"] = exception_trace(error)
        text = _json(line) + "\n"
        stream = self.stream or sys.stderr
        with self._lock:
            stream.write(text)
            stream.flush()


_output: Final = _Output()


def _json(line: dict[str, object]) -> str:
    try:
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:
        # A whole number over 64 bits, half a surrogate pair: the standard library writes both.
        return json.dumps(line, default=str)


def _head(at: float, level: int, event: str) -> dict[str, object]:
    ts = datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")[:-6] + "Z"
    return {"ts": ts, "level": _NAMES.get(level) or logging.getLevelName(level).lower(), "event": event}


def _safe(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: safe_value(name, value) for name, value in fields.items()}
