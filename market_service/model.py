"""What market_service says: an answer, how old it is, and the values the exchange does not have itself.

Values that are the exchange's own (a book, a market's rules, a balance) are those of `bitvavo.wire`.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Quality(StrEnum):
    """How far an answer can be trusted; only GOOD is a fact."""

    GOOD = "GOOD"
    RESYNCING = "RESYNCING"
    STALE = "STALE"


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old an answer is.

    `as_of`: when the request to the exchange left, by our clock, for people. `age_seconds`: the time since then by
    our monotonic clock, at the answer, so never less than the true age.
    """

    as_of: datetime
    age_seconds: float
    quality: Quality


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A value and how old it is."""

    value: T
    freshness: Freshness

    def having(self, value: U) -> "Answer[U]":
        """Return an answer of the same age with another value."""
        return Answer(value, self.freshness)


@dataclass(frozen=True, slots=True)
class Ticker:
    """One market in a line: last price, best bid and ask. What does not exist is None."""

    market: str
    last: Decimal | None
    bid: Decimal | None
    bid_size: Decimal | None
    ask: Decimal | None
    ask_size: Decimal | None


@dataclass(frozen=True, slots=True)
class Window:
    """Moments of the exchange's clock, Unix ms, both inclusive; None is no bound."""

    start_ms: int | None = None
    end_ms: int | None = None


class CandleState(StrEnum):
    """What a candle's values mean: final, still changing, or nothing was traded."""

    FINAL = "FINAL"
    UNFINISHED = "UNFINISHED"
    GAP = "GAP"


@dataclass(frozen=True, slots=True)
class Prices:
    """What was traded within one interval; `volume` in the base asset."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True)
class Candle:
    """One interval; `prices` is None exactly when it is a gap."""

    open_time_ms: int
    state: CandleState
    prices: Prices | None


class Interval(StrEnum):
    """How much time a candle covers, in the exchange's spelling."""

    M1 = "1m"
    M5 = "5m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H2 = "2h"
    H4 = "4h"
    H6 = "6h"
    H8 = "8h"
    H12 = "12h"
    D1 = "1d"

    @property
    def length_ms(self) -> int:
        """Its length; intervals start at multiples of it since 1970."""
        return int(self[:-1]) * _UNIT_MS[self[-1]]


_UNIT_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
