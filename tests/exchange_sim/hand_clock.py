"""A clock that stands until a test moves it."""

from exchange_sim.sim_clock import NS_PER_MS, SimClock

# 2026-11-24 12:00:00 UTC, a whole minute.
NOON_MS = 1_795_521_600_000


class HandClock(SimClock):
    """Exchange time and steady time move together, by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_ms = 0

    def now_ns(self) -> int:
        return (NOON_MS + self.passed_ms + self.offset_ms) * NS_PER_MS

    def steady_ms(self) -> int:
        return self.passed_ms

    def advance(self, ms: int) -> None:
        self.passed_ms += ms
