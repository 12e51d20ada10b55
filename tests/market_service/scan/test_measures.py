"""Measures of a market against candles written by hand, and what the rules make of them."""

import statistics
from dataclasses import replace
from decimal import Decimal

import pytest

from kernel.errors import NotNow
from market_service.model import Candle, CandleState, Prices
from market_service.scan.job import Opinion, Side, Snapshot
from market_service.scan.measures import CANDLES, measured
from market_service.scan.ports import AnalystError
from market_service.scan.rules import judged
from tests.market_service.scan import given
from tests.market_service.scan.given import NOON


def candle(close: str | Decimal | None, volume: str = "1", state: CandleState = CandleState.FINAL) -> Candle:
    if close is None:
        return Candle(0, CandleState.GAP if state is CandleState.FINAL else state, None)
    price = Decimal(close)
    return Candle(0, state, Prices(price, price, price, price, Decimal(volume)))


def snapshot(*candles: Candle) -> Snapshot:
    return measured("BTC-EUR", NOON, candles)


def test_moves_are_from_the_close_of_then_to_the_price_of_now() -> None:
    day = [candle(str(100 + n)) for n in range(CANDLES - 1)]
    found = snapshot(*day, candle("400", state=CandleState.UNFINISHED))
    last = 100 + CANDLES - 2
    assert found.price == 400
    assert found.move_1h == (Decimal(400) / (last - 11) - 1).quantize(Decimal("1e-12"))
    assert found.move_4h == (Decimal(400) / (last - 47) - 1).quantize(Decimal("1e-12"))


def test_volatility_is_the_deviation_of_the_last_48_returns() -> None:
    closes = [Decimal(100 + (n * 7) % 13) for n in range(80)]
    returns = [float(b / a - 1) for a, b in zip(closes[-49:], closes[-48:], strict=False)]
    found = snapshot(*(candle(each) for each in closes))
    assert float(given.found(found.volatility)) == pytest.approx(statistics.stdev(returns), rel=1e-9)


def test_the_volume_is_compared_with_the_day_before_it_and_the_unfinished_one_with_nothing() -> None:
    volumes = [str(1 + n % 5) for n in range(288)]
    day = [candle("100", volume) for volume in volumes]
    before = [float(volume) for volume in volumes]
    found = snapshot(*day, candle("100", "9"), candle("100", "1000", CandleState.UNFINISHED))
    wanted = (9 - statistics.mean(before)) / statistics.stdev(before)
    assert float(given.found(found.volume_z)) == pytest.approx(wanted, rel=1e-9)


def test_a_gap_has_the_price_before_it_and_no_volume() -> None:
    plain = [candle("100"), *(candle("100", "0") for _ in range(60))]
    gaps = [candle("100"), *(candle(None) for _ in range(60))]
    assert snapshot(*plain) == snapshot(*gaps)
    assert snapshot(*gaps).volatility == 0


@pytest.mark.parametrize(("count", "known"), [(11, ()), (12, ("move_1h",)), (48, ("move_1h", "move_4h"))])
def test_a_measure_without_enough_candles_is_unknown(count: int, known: tuple[str, ...]) -> None:
    found = snapshot(*(candle("100") for _ in range(count)))
    names = ("move_1h", "move_4h", "volatility", "volume_z")
    assert tuple(name for name in names if getattr(found, name) is not None) == known


@pytest.mark.parametrize("candles", [(), (candle(None),), (candle(None, state=CandleState.UNFINISHED),)])
def test_a_market_without_a_trade_has_no_measures(candles: tuple[Candle, ...]) -> None:
    with pytest.raises(NotNow):
        snapshot(*candles)


RISE, FALL = Decimal("0.01"), Decimal("-0.01")
TICK = Decimal("1e-12")


@pytest.mark.parametrize(
    ("move_1h", "move_4h", "volume_z", "side", "confidence"),
    [
        (RISE, None, None, Side.BUY, 50),
        (RISE - TICK, RISE, Decimal(9), Side.HOLD, None),
        (RISE, TICK, None, Side.BUY, 75),
        (RISE, FALL, Decimal(2), Side.BUY, 75),
        (RISE, RISE, Decimal(2), Side.BUY, 100),
        (RISE, RISE, Decimal(2) - TICK, Side.BUY, 75),
        (FALL, FALL, None, Side.SELL, 75),
        (FALL + TICK, FALL, Decimal(9), Side.HOLD, None),
    ],
)
def test_the_rules_follow_the_last_hour(
    move_1h: Decimal, move_4h: Decimal | None, volume_z: Decimal | None, side: Side, confidence: int | None
) -> None:
    seen = replace(given.SNAPSHOT, move_1h=move_1h, move_4h=move_4h, volume_z=volume_z)
    opinion = judged(given.CONTENT, seen)
    amount = {Side.BUY: Decimal(25), Side.SELL: Decimal("0.001"), Side.HOLD: None}[side]
    assert opinion == Opinion(side, confidence or 0, amount, opinion.rationale)


def test_the_rules_hold_what_the_job_does_not_offer_and_judge_nothing_unknown() -> None:
    assert judged(given.content(buy_quote_amount=None), given.SNAPSHOT).side is Side.HOLD
    with pytest.raises(AnalystError, match="TOO_FEW_CANDLES"):
        judged(given.CONTENT, replace(given.SNAPSHOT, move_1h=None))
