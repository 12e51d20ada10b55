"""Measures a market from its candles of five minutes: volatility, moves, volume. Called by `slot_run`.

An interval without trades has volume 0 and the price before it. The unfinished candle gives the price and nothing
else: whoever measures by it compares half an interval with whole ones.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import Final

from kernel.errors import NotNow, StateViolation
from market_service.candles import Candles, Series
from market_service.model import Candle, CandleState, Interval, Window
from market_service.reasons import MARKET_DATA_UNAVAILABLE
from market_service.scan.job import Snapshot

INTERVAL: Final = Interval.M5
HOUR: Final = 12
"""Candles in an hour."""
VOLATILITY_OVER: Final = 4 * HOUR
VOLUME_OVER: Final = 24 * HOUR
CANDLES: Final = VOLUME_OVER + 2
"""The last finished one, those it is compared with, and the unfinished one."""
DIGITS: Final = Decimal("1e-12")
PRECISION: Final = 40
ZERO: Final = Decimal(0)


class MarketMeasures:
    """What a scan asks of the market, answered from candles."""

    def __init__(self, candles: Candles) -> None:
        """Read through the use case, which keeps the exchange's points."""
        self._candles = candles

    async def snapshot(self, market: str) -> Snapshot:
        """Measure a market now.

        Raises:
            NotNow: nothing was traded in it. NotFound, Unavailable: as `Candles.newest`.
        """
        answer = await self._candles.newest(Series(market, INTERVAL, Window()), CANDLES)
        return measured(market, answer.freshness.as_of, answer.value)


def measured(market: str, as_of: datetime, candles: Sequence[Candle]) -> Snapshot:
    """Measure a row of neighbouring candles, oldest first.

    volatility: standard deviation of the last 48 returns from close to close. move_1h, move_4h: price ÷ close of then
    − 1. volume_z: how many standard deviations the last finished volume lies above the mean of the 288 before it.

    Raises:
        NotNow: no candle has a price.
    """
    closes, volumes = _filled([each for each in candles if each.state is not CandleState.UNFINISHED])
    newest = next((each.prices.close for each in reversed(candles) if each.prices is not None), None)
    if newest is None:
        message = f"{market} had no trade within the candles asked for"
        violation = StateViolation(MARKET_DATA_UNAVAILABLE, market, "wait for trades")
        raise NotNow(MARKET_DATA_UNAVAILABLE, message, (violation,), metadata={"market": market})
    with localcontext(prec=PRECISION):
        returns = [later / earlier - 1 for earlier, later in pairwise(closes)]
        return Snapshot(
            market=market,
            as_of=as_of,
            price=newest,
            volatility=_rounded(_deviation(returns[-VOLATILITY_OVER:], VOLATILITY_OVER)),
            move_1h=_rounded(_move(newest, closes, HOUR)),
            move_4h=_rounded(_move(newest, closes, 4 * HOUR)),
            volume_z=_rounded(_z(volumes)),
        )


def _filled(finished: Sequence[Candle]) -> tuple[list[Decimal], list[Decimal]]:
    closes: list[Decimal] = []
    volumes: list[Decimal] = []
    for each in finished:
        if each.prices is None and not closes:
            continue
        closes.append(closes[-1] if each.prices is None else each.prices.close)
        volumes.append(ZERO if each.prices is None else each.prices.volume)
    return closes, volumes


def _move(newest: Decimal, closes: Sequence[Decimal], back: int) -> Decimal | None:
    return None if len(closes) < back else newest / closes[-back] - 1


def _z(volumes: Sequence[Decimal]) -> Decimal | None:
    before = volumes[-VOLUME_OVER - 1 : -1]
    spread = _deviation(before, VOLUME_OVER)
    if not spread:
        return None
    return (volumes[-1] - sum(before, ZERO) / len(before)) / spread


def _deviation(values: Sequence[Decimal], wanted: int) -> Decimal | None:
    if len(values) < wanted:
        return None
    mean = sum(values, ZERO) / len(values)
    return (sum(((each - mean) ** 2 for each in values), ZERO) / (len(values) - 1)).sqrt()


def _rounded(value: Decimal | None) -> Decimal | None:
    return None if value is None else value.quantize(DIGITS)
