"""The exchange's own clock, which a test can skew, and a steady one for lags that no skew may shorten."""

from __future__ import annotations

import time

NS_PER_MS = 1_000_000


class SimClock:
    """Wall time plus an offset in milliseconds (positive: the exchange is ahead of this machine)."""

    def __init__(self, offset_ms: int = 0) -> None:
        """Start with a given skew."""
        self.offset_ms = offset_ms

    def now_ns(self) -> int:
        """Exchange time in Unix nanoseconds."""
        return time.time_ns() + self.offset_ms * NS_PER_MS

    def steady_ms(self) -> int:
        """Milliseconds that only move forward and ignore the skew."""
        return time.monotonic_ns() // NS_PER_MS
