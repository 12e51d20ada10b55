"""The candle intervals by name, and where the interval around a moment begins (UTC)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
# The epoch was a Thursday; weeks start on Monday.
FIRST_MONDAY_MS = 4 * DAY_MS
_LENGTHS_MS = {
    "1m": MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS,
    "6h": 6 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1d": DAY_MS,
}


def _start(length_ms: int, phase_ms: int, at_ms: int) -> int:
    return (at_ms - phase_ms) // length_ms * length_ms + phase_ms


def _month_start(at_ms: int) -> int:
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return int(moment.replace(day=1, hour=0, minute=0, second=0).timestamp()) * 1000


INTERVALS: Mapping[str, Callable[[int], int]] = {
    **{name: partial(_start, length_ms, 0) for name, length_ms in _LENGTHS_MS.items()},
    "1W": partial(_start, WEEK_MS, FIRST_MONDAY_MS),
    "1M": _month_start,
}
