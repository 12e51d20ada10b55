"""The public trades of one market, and the candles and day statistics made from nothing else.

Minute candles are kept while trades arrive; every longer interval is a sum of minutes, so a candle always equals
its trades.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

MINUTE_MS = 60_000
DAY_MS = 86_400_000
# The oldest trades beyond this are forgotten (their minutes are not), a block at a time.
MAX_TRADES = 200_000
FORGET_BLOCK = 50_000


class Trade(NamedTuple):
    """One public trade; `is_buy` is the taker's side."""

    trade_id: str
    at_ms: int
    at_ns: int
    amount: int
    price: int
    is_buy: bool


@dataclass(slots=True)
class Candle:
    """Open, high, low, close as prices; volume in base, value in quote atoms."""

    open_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    value: int = 0

    def add(self, other: Candle) -> None:
        """Append a later candle."""
        self.high = max(self.high, other.high)
        self.low = min(self.low, other.low)
        self.close = other.close
        self.volume += other.volume
        self.value += other.value


@dataclass(frozen=True, slots=True)
class DayStatistics:
    """The last 24 hours: one candle over all its trades, and the times of the first and last."""

    candle: Candle
    first_ms: int
    last_ms: int


class Tape:
    """Trades in time order; a clock set back does not reorder them."""

    def __init__(self) -> None:
        """Start empty."""
        self.trades: list[Trade] = []
        self.minutes: list[Candle] = []

    @property
    def last(self) -> Trade | None:
        """The newest trade."""
        return self.trades[-1] if self.trades else None

    def add(self, trade: Trade) -> Trade:
        """Append a trade and give it as kept: one that is older than the last is dated like the last."""
        if self.trades and trade.at_ns < self.trades[-1].at_ns:
            trade = trade._replace(at_ms=self.trades[-1].at_ms, at_ns=self.trades[-1].at_ns)
        self.trades.append(trade)
        single = candle_of(trade, trade.at_ms // MINUTE_MS * MINUTE_MS)
        if self.minutes and self.minutes[-1].open_ms == single.open_ms:
            self.minutes[-1].add(single)
        else:
            self.minutes.append(single)
        if len(self.trades) > MAX_TRADES + FORGET_BLOCK:
            del self.trades[:FORGET_BLOCK]
        return trade

    def between(self, start_ms: int, end_ms: int) -> list[Trade]:
        """The trades from start to end, both included, oldest first."""
        low = bisect_left(self.trades, start_ms, key=lambda trade: trade.at_ms)
        high = bisect_left(self.trades, end_ms + 1, key=lambda trade: trade.at_ms)
        return self.trades[low:high]

    def candles(self, interval_start: Callable[[int], int], start_ms: int, end_ms: int, limit: int) -> list[Candle]:
        """The newest `limit` candles that open within start and end, newest first; empty intervals are missing."""
        found: list[Candle] = []
        for minute in reversed(self.minutes):
            opens = interval_start(minute.open_ms)
            if opens > end_ms:
                continue
            if opens < start_ms:
                break
            if found and found[-1].open_ms == opens:
                found[-1] = _joined([minute, found[-1]], opens)
            elif len(found) == limit:
                break
            else:
                found.append(_joined([minute], opens))
        return found

    def day(self, now_ms: int) -> DayStatistics | None:
        """The statistics of the 24 hours before `now_ms`; nothing when there was no trade."""
        start_ms = now_ms - DAY_MS
        edge_ms = -(-start_ms // MINUTE_MS) * MINUTE_MS
        first = bisect_left(self.minutes, edge_ms, key=lambda minute: minute.open_ms)
        partial = self.between(start_ms, edge_ms - 1)
        parts = [candle_of(trade, trade.at_ms) for trade in partial] + self.minutes[first:]
        if not parts:
            return None
        low = bisect_left(self.trades, start_ms, key=lambda trade: trade.at_ms)
        return DayStatistics(_joined(parts, start_ms), self.trades[low].at_ms, self.trades[-1].at_ms)


def candle_of(trade: Trade, open_ms: int) -> Candle:
    """The candle of a single trade."""
    price = trade.price
    return Candle(open_ms, price, price, price, price, trade.amount, trade.amount * price)


def _joined(parts: Iterable[Candle], open_ms: int) -> Candle:
    whole: Candle | None = None
    for part in parts:
        if whole is None:
            whole = Candle(open_ms, part.open, part.high, part.low, part.close, part.volume, part.value)
        else:
            whole.add(part)
    if whole is None:
        raise ValueError("no candle to join")
    return whole
