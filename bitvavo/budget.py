"""How many of the exchange's points this replica may still spend in this minute, and on what.

The account has 1,000 points a clock minute for all its keys (https://docs.bitvavo.com/docs/rate-limits/). Claims get
60 %, cancelling and reconciling 25 %, market_service and people the rest; each replica gets its part of each.
trade_service takes a permit before it judges a proposal, and market_service one before a signed read. Pure: the
clock is handed in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from bitvavo.rate import MINUTE_MS, RateReport

DEFAULT_POINTS_PER_MINUTE: Final = 1000
MAX_CLOCK_ERROR_MS: Final = 600_000
"""A reset time further than this from our own minute is not believed."""

MAX_BAN_MS: Final = 3_600_000
"""A ban is never taken to be longer; the longest documented one is 15 minutes."""


class Purpose(StrEnum):
    """What points are spent on."""

    CLAIM = "claim"  # of the address's points: what trade_service asks market_service for
    RECONCILE = "reconcile"  # cancels, look-ups, evidence
    OTHER = "other"  # what readers ask market_service for, its streams and scans, and people


ACCOUNT_SHARES_PERCENT: Final = MappingProxyType({Purpose.CLAIM: 60, Purpose.RECONCILE: 25, Purpose.OTHER: 15})
"""The split of the account's points, which signed requests spend."""

ADDRESS_SHARES_PERCENT: Final = MappingProxyType({Purpose.CLAIM: 100, Purpose.RECONCILE: 0, Purpose.OTHER: 60})
"""The most of this machine's own address's points, which unsigned requests spend: public data only. What readers cannot
take is there for the quotes of trades."""


@dataclass(slots=True)
class Permit:
    """The right to spend `weight` points within the window it was taken in."""

    purpose: Purpose
    weight: int
    _return: Callable[[], None] | None = field(repr=False)

    def give_back(self) -> None:
        """Return the points unspent; a second call, or one after the window has ended, changes nothing."""
        returned, self._return = self._return, None
        if returned is not None:
            returned()


class RateBudget:
    """The points of one replica, counted per clock minute of the exchange.

    The minute follows `now_ms` (the exchange's clock when known, else this machine's) and is moved by what answers
    say: their reset time is the end of the exchange's present minute. The account's points left follow the
    answers down, never up: what other programs spend is seen, and requests still under way are not forgotten.
    """

    __slots__ = (
        *("_banned_until_ms", "_left", "_limit", "_now_ms", "_replicas", "_reported", "_shares_percent", "_shift_ms"),
        *("_signed", "_spent", "_window"),
    )

    def __init__(
        self,
        now_ms: Callable[[], int],
        *,
        points_per_minute: int = DEFAULT_POINTS_PER_MINUTE,
        replicas: int = 1,
        signed: bool = True,
    ) -> None:
        """Start with a full window; `signed` tells the account's points from those of this machine's address."""
        if points_per_minute < 1 or replicas < 1:
            message = "points per minute and replicas start at 1"
            raise ValueError(message)
        self._now_ms = now_ms
        self._limit = points_per_minute
        self._replicas = replicas
        self._signed = signed
        self._shares_percent: Mapping[Purpose, int] = ACCOUNT_SHARES_PERCENT if signed else ADDRESS_SHARES_PERCENT
        self._shift_ms = 0
        self._banned_until_ms = 0
        self._window = -1
        self._left = self._reported = 0
        self._spent = dict.fromkeys(Purpose, 0)

    def take(self, purpose: Purpose, weight: int) -> Permit | None:
        """Take `weight` points, or None when the share, the account or a ban has none to give.

        During a ban nobody gets any: sending on would prolong it. Claims are denied, cancels wait for its end.
        """
        if weight < 1:
            message = "a request costs at least one point"
            raise ValueError(message)
        self._roll()
        if self._banned() or not self._fits(purpose, weight):
            return None
        self._spent[purpose] += weight
        self._left -= weight
        window = self._window
        return Permit(purpose, weight, lambda: self._take_back(purpose, weight, window))

    def retry_after_seconds(self, purpose: Purpose, weight: int = 1) -> float:
        """Return after how long `take` may succeed: 0 when it would now, else the end of ban or minute."""
        self._roll()
        now_ms = self._now()
        if self._banned():
            return (self._banned_until_ms - now_ms) / 1000
        return 0.0 if self._fits(purpose, weight) else (MINUTE_MS - now_ms % MINUTE_MS) / 1000

    def observe(self, report: RateReport) -> None:
        """Correct the count by one answer's headers; a report about the other kind of points changes nothing."""
        if report.signed is not self._signed:
            return
        if report.reset_at_ms is not None:
            self._follow(report.reset_at_ms)
        self._roll()
        if report.limit:
            self._relimit(report.limit)
        if report.remaining is not None and report.reset_at_ms == (self._window + 1) * MINUTE_MS:
            self._reported = min(self._reported, report.remaining)
            self._left = min(self._left, self._reported)
        if report.banned:
            self.ban(report.ban_until_ms or self._now() + 2 * MINUTE_MS)

    def ban(self, until_ms: int) -> None:
        """Stop until the exchange's Unix time `until_ms`; an earlier end never shortens a ban."""
        latest = self._now() + MAX_BAN_MS
        self._banned_until_ms = max(self._banned_until_ms, min(until_ms, latest))

    def share(self, purpose: Purpose) -> int:
        """Return the points of one purpose a minute for this replica."""
        return self._limit * self._shares_percent[purpose] // (100 * self._replicas)

    def _fits(self, purpose: Purpose, weight: int) -> bool:
        # What others spent must not eat the part kept for cancels and look-ups: only these may touch it.
        kept = 0 if purpose is Purpose.RECONCILE else self.share(Purpose.RECONCILE) - self._spent[Purpose.RECONCILE]
        return self._spent[purpose] + weight <= self.share(purpose) and self._left - weight >= max(kept, 0)

    def _banned(self) -> bool:
        return self._now() < self._banned_until_ms

    def _now(self) -> int:
        return self._now_ms() + self._shift_ms

    def _roll(self) -> None:
        window = self._now() // MINUTE_MS
        if window > self._window:
            self._window = window
            self._left = self._reported = self._limit
            self._spent = dict.fromkeys(Purpose, 0)

    def _follow(self, reset_at_ms: int) -> None:
        # The answer was written in the minute before reset_at_ms. The smallest shift that puts us there is enough.
        now_ms = self._now()
        earliest, latest = reset_at_ms - MINUTE_MS, reset_at_ms - 1
        shift = max(earliest - now_ms, 0) + min(latest - now_ms, 0)
        if reset_at_ms % MINUTE_MS == 0 and abs(shift) <= MAX_CLOCK_ERROR_MS:
            self._shift_ms += shift
            # Our minute had begun before the exchange's: what was counted in it belongs to the one before.
            self._window = min(self._window, self._now() // MINUTE_MS)

    def _relimit(self, limit: int) -> None:
        self._left += limit - self._limit
        self._reported += limit - self._limit
        self._limit = limit

    def _take_back(self, purpose: Purpose, weight: int, window: int) -> None:
        self._roll()
        if window == self._window:
            self._spent[purpose] -= weight
            self._left = min(self._left + weight, self._reported)
