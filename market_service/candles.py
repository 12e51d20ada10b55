"""Decides what a row of candles says: which intervals had no trade, and which one is not over yet.

The exchange leaves intervals without trades out, and sends the running one among the others; whoever computes from
such a list looks into the future or compares moments that are not neighbours. Called by `rpc` for ListCandles.
"""

from dataclasses import dataclass
from typing import Final

from bitvavo.wire import Candle as WireCandle
from market_service.catalogue import Catalogue
from market_service.kept import Kept
from market_service.kinds import CANDLES
from market_service.model import Answer, Candle, CandleState, Interval, Prices, Window
from market_service.ports import Clock, Exchange

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1440


@dataclass(frozen=True, slots=True)
class Series:
    """One market, one interval, one window: what a request to the exchange names."""

    market: str
    interval: Interval
    window: Window


@dataclass(frozen=True, slots=True)
class _Rows:
    rows: tuple[WireCandle, ...]
    exchange_ms: int | None  # a moment the exchange had certainly reached when it was asked


class Candles:
    """Candles with nothing hidden."""

    def __init__(self, exchange: Exchange, catalogue: Catalogue, clock: Clock) -> None:
        """Read from `exchange`; `clock` says which intervals are over."""
        self._exchange = exchange
        self._catalogue = catalogue
        self._clock = clock
        self._kept: Kept[Series, _Rows] = Kept(CANDLES, self._ask)

    async def newest(
        self, series: Series, limit: int, max_age_seconds: float | None = None
    ) -> Answer[tuple[Candle, ...]]:
        """Return the newest `limit` intervals, oldest first, without a hole from the first with trades on.

        Raises:
            NotFound: the exchange has no such market.
        """
        await self._catalogue.require([series.market])
        answer = await self._kept.read(series, max_age_seconds)
        kept = answer.value
        return answer.having(without_holes(kept.rows, series, kept.exchange_ms, limit))

    async def close(self) -> None:
        """End the requests under way."""
        await self._kept.close()

    async def _ask(self, series: Series) -> _Rows:
        exchange_ms = self._clock.exchange_ms()
        return _Rows(
            await self._exchange.candles(series.market, series.interval, MAX_LIMIT, series.window), exchange_ms
        )


def without_holes(
    rows: tuple[WireCandle, ...], series: Series, exchange_ms: int | None, limit: int
) -> tuple[Candle, ...]:
    """Put rows (any order) into their intervals, at most the newest `limit`.

    `exchange_ms` is a moment that had certainly come when the rows were asked for; None when no such moment is known,
    and then the newest row counts as unfinished and nothing is said about intervals after it.
    """
    if not rows:
        return ()
    by_start = {row.open_time_ms: row for row in rows}
    step = series.interval.length_ms
    last = _last_start(max(by_start), step, series.window.end_ms, exchange_ms)
    first = max(min(by_start), last - (limit - 1) * step)
    first += (min(by_start) - first) % step
    over_before = (exchange_ms if exchange_ms is not None else max(by_start)) - step
    return tuple(
        _candle(start, by_start.get(start), over=start <= over_before) for start in range(first, last + 1, step)
    )


def _last_start(newest: int, step: int, end_ms: int | None, exchange_ms: int | None) -> int:
    """Return the start of the last interval to answer: the newest row's, or a later one that has certainly begun."""
    if exchange_ms is None:
        return newest
    bound = exchange_ms if end_ms is None else min(exchange_ms, end_ms)
    return newest + max(0, (bound - newest) // step) * step


def _candle(start: int, row: WireCandle | None, *, over: bool) -> Candle:
    # Cases: no trades and over: a gap. No trades so far, not over: unfinished, without prices. Trades: by the clock.
    state = CandleState.FINAL if over else CandleState.UNFINISHED
    if row is None:
        return Candle(start, CandleState.GAP if over else state, None)
    return Candle(start, state, Prices(row.open, row.high, row.low, row.close, row.volume))
