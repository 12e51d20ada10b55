"""Rolling windows: a limit of n admits exactly n, and what is exactly as old as the window has left it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(hours=24)


def within(moments: Iterable[datetime], now: datetime, window: timedelta) -> tuple[datetime, ...]:
    """Return the moments younger than `window`, oldest first. A moment after `now` counts as young."""
    return tuple(sorted(moment for moment in moments if now - moment < window))


def room_at(moments: tuple[datetime, ...], window: timedelta, limit: int, wanted: int = 1) -> datetime | None:
    """Return when enough of `moments` (oldest first) have left for `wanted` more; None if `limit` is below that."""
    if wanted > limit:
        return None
    leaving = len(moments) + wanted - limit
    return moments[leaving - 1] + window
