"""One JSON line per event on standard error, for our own events and for what third-party libraries log.

`{"ts": "2026-01-02T03:04:05.678901Z", "level": "info", "event": "call", …}`. Everything goes through
`kernel.redaction`. Called everywhere; configured once, by `kernel.lifecycle` or a service's `__main__`.
"""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final, TextIO

import orjson

from kernel.redaction import exception_trace, redact, safe_value

DEBUG: Final = logging.DEBUG
INFO: Final = logging.INFO
WARNING: Final = logging.WARNING
ERROR: Final = logging.ERROR

OWN_LOGGER: Final = "interlock"
CHATTY: Final = ("aiohttp", "asyncio", "httpcore", "httpx", "grpc", "psycopg", "sqlalchemy")
"""Libraries held at WARNING: at INFO and DEBUG they print URLs, headers, statements and parameters."""

_logger: Final = logging.getLogger(OWN_LOGGER)
_bound: Final[ContextVar[dict[str, object]]] = ContextVar("bound")
_NOTHING: Final[dict[str, object]] = {}


def log(event: str, /, *, level: int = INFO, error: BaseException | None = None, **fields: object) -> None:
    """Write one event. `event` is a constant word; what varies goes into fields; `error` adds its trace."""
    log_fields(event, fields, level=level, error=error)


def log_fields(
    event: str, fields: Mapping[str, object], *, level: int = INFO, error: BaseException | None = None
) -> None:
    """Write one event like `log`, its fields given as a mapping."""
    if not _logger.isEnabledFor(level):
        return
    trace = (type(error), error, error.__traceback__) if error is not None else None
    record = _logger.makeRecord(OWN_LOGGER, level, "", 0, event, (), trace)
    record.__dict__["fields"] = fields
    _logger.handle(record)


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
    """Send every logger of the process to `stream` (standard error) as JSON lines. Safe to call twice."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    # A record that cannot be formatted must not be printed by logging's own fallback: it shows the arguments.
    logging.raiseExceptions = False
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(level, WARNING))


class JsonLines(logging.Formatter):
    """Turns a record into one line of JSON; the fields that were bound come before the event's own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end; a record that cannot be shown gives a line that says so."""
        try:
            line = self._line(record)
        except Exception as error:  # noqa: BLE001 - a log line must never break what it tells about
            line = {"level": "error", "event": "log_failed", "logger": record.name, "error": type(error).__name__}
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()

    def _line(self, record: logging.LogRecord) -> dict[str, object]:
        line: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "level": record.levelname.lower(),
            "event": record.msg if record.name == OWN_LOGGER else "library",
        }
        if record.name != OWN_LOGGER:
            line |= {"logger": record.name, "message": redact(record.getMessage())}
        fields = {**_bound.get(_NOTHING), **record.__dict__.get("fields", _NOTHING)}
        line |= {name: safe_value(name, value) for name, value in fields.items()}
        if record.exc_info and record.exc_info[1] is not None:
            line["trace"] = exception_trace(record.exc_info[1])
        return line
