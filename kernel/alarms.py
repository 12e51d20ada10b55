"""Raises an alarm: a line, a metric, and what the service wants done with it (a row). Called where a human is needed.

A repeated alarm is counted every time and told at most once a minute per code and subject, so that a loop that
fails every second neither floods the log nor the table.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from kernel import logs
from kernel.telemetry import counter

REPEAT_SECONDS: Final = 60.0
MAX_REMEMBERED: Final = 1_024

_ALARMS: Final = counter("interlock_alarms_total", "Alarms raised, also those not told because they repeat.", ["code"])
_told: Final[OrderedDict[tuple[str, str], "_Told"]] = OrderedDict()
_sinks: Final[list["Sink"]] = []


@dataclass(frozen=True, slots=True)
class Alarm:
    """What a sink gets: `suppressed` counts the repeats since the last time this code and subject were told."""

    code: str
    message: str
    subject: str
    fields: Mapping[str, object]
    suppressed: int


@dataclass(slots=True)
class _Told:
    at: float
    suppressed: int = 0


Sink = Callable[[Alarm], None]


def raise_alarm(code: str, message: str, *, subject: str = "", **fields: object) -> None:
    """Raise `code` (a constant word) about `subject` (a user, a market, an execution). Never raises."""
    _ALARMS.labels(code).inc()
    suppressed = _repeats(code, subject)
    if suppressed is None:
        return
    about = {"code": code, "message": message, "subject": subject, "suppressed": suppressed, **fields}
    logs.log_fields("alarm", about, level=logs.ERROR)
    for sink in _sinks:
        _tell(sink, Alarm(code, message, subject, fields, suppressed))


def add_sink(sink: Sink) -> Callable[[], None]:
    """Let `sink` be called with every alarm that is told, in the caller's thread; returns how to end that."""
    _sinks.append(sink)
    return lambda: _sinks.remove(sink)


def _repeats(code: str, subject: str) -> int | None:
    now = time.monotonic()
    last = _told.get((code, subject))
    if last is not None and now - last.at < REPEAT_SECONDS:
        last.suppressed += 1
        return None
    _told[code, subject] = _Told(now)
    _told.move_to_end((code, subject))
    if len(_told) > MAX_REMEMBERED:
        _told.popitem(last=False)
    return last.suppressed if last is not None else 0


def _tell(sink: Sink, alarm: Alarm) -> None:
    try:
        sink(alarm)
    except Exception as error:  # noqa: BLE001 - the alarm was logged; its sink must not hide what caused it
        logs.log("alarm_sink_failed", level=logs.ERROR, error=error, code=alarm.code)
