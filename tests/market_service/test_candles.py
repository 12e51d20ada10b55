"""Which intervals a list of candles shows, and what it says of each."""

from collections.abc import Iterable
from decimal import Decimal

import pytest

from bitvavo.wire import Candle as WireCandle
from market_service.candles import Series, without_holes
from market_service.model import Candle, CandleState, Interval, Window

MINUTE = 60_000
NO_WINDOW = Series("BTC-EUR", Interval.M1, Window())


def rows(*minutes: int) -> tuple[WireCandle, ...]:
    return tuple(WireCandle(minute * MINUTE, *[Decimal(1)] * 5) for minute in sorted(minutes, reverse=True))


def told(candles: Iterable[Candle]) -> str:
    return " ".join(f"{each.open_time_ms // MINUTE}{each.state[0]}{'' if each.prices else '-'}" for each in candles)


@pytest.mark.parametrize(
    ("traded", "now_minutes", "limit", "expected"),
    [
        # name: minutes traded, the exchange's minute, limit, minutes told: Final, Unfinished, Gap; "-" without prices
        ((10, 11, 12), 12.5, 10, "10F 11F 12U"),
        ((10, 12), 12.5, 10, "10F 11G- 12U"),
        ((10, 11), 12.5, 10, "10F 11F 12U-"),
        ((10,), 13.5, 10, "10F 11G- 12G- 13U-"),
        ((10, 11, 12), 13.0, 10, "10F 11F 12F 13U-"),  # over exactly at its end
        ((10, 11, 12), None, 10, "10F 11F 12U"),  # without a clock the newest is not final
        ((10, 12), None, 10, "10F 11G- 12U"),
        ((10, 11, 12), 11.9, 10, "10F 11U 12U"),  # a clock that lags makes us careful, never bold
        ((10, 11, 12, 13), 13.5, 2, "12F 13U"),
        ((10, 13), 13.5, 3, "11G- 12G- 13U"),
        ((), 13.5, 3, ""),
    ],
)
def test_gaps_and_the_unfinished_candle_are_marked(
    traded: tuple[int, ...], now_minutes: float | None, limit: int, expected: str
) -> None:
    now_ms = None if now_minutes is None else int(now_minutes * MINUTE)
    assert told(without_holes(rows(*traded), NO_WINDOW, now_ms, limit)) == expected


def test_nothing_is_said_about_intervals_after_the_window() -> None:
    series = Series("BTC-EUR", Interval.M1, Window(end_ms=12 * MINUTE))
    assert told(without_holes(rows(10), series, 100 * MINUTE, 10)) == "10F 11G- 12G-"


def test_a_row_is_never_longer_than_asked_for() -> None:
    assert len(without_holes(rows(0, 1_000_000), NO_WINDOW, 1_000_000 * MINUTE, 1440)) == 1440


@pytest.mark.parametrize(("interval", "length_ms"), [("1m", MINUTE), ("12h", 720 * MINUTE), ("1d", 1440 * MINUTE)])
def test_the_length_of_an_interval_follows_its_name(interval: str, length_ms: int) -> None:
    assert Interval(interval).length_ms == length_ms


def test_a_gap_has_no_prices_and_every_other_finished_candle_has() -> None:
    for each in without_holes(rows(1, 5, 9), NO_WINDOW, 10 * MINUTE, 100):
        assert (each.prices is None) == (each.state is CandleState.GAP or each.open_time_ms == 10 * MINUTE)
