"""Candles begin with no list that was asked for before their socket was lost, and forget none told meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from bitvavo.frames import CandleChange
from bitvavo.topics import Channel, Topic
from bitvavo.wire import Candle as WireCandle
from market_service.candles import Candles
from market_service.catalogue import Catalogue
from market_service.live.candles import CandlesReader, LiveCandles
from market_service.model import CandleState, Interval, Quality
from tests.market_service.live.slow_exchange import MARKET, WAIT_SECONDS, Slow, Voice

CANDLES = Topic(Channel.CANDLES, MARKET, "1d")
DAY_MS = 86_400_000


@pytest.fixture
def exchange() -> Slow:
    return Slow()


@pytest.fixture
async def catalogue(exchange: Slow) -> AsyncIterator[Catalogue]:
    made = Catalogue(exchange)
    yield made
    await made.close()


def running(volume: int, start_ms: int = 0) -> WireCandle:
    price = Decimal(100)
    return WireCandle(start_ms, price, price, price, price, Decimal(volume))


@asynccontextmanager
async def day_candles(exchange: Slow, catalogue: Catalogue, voice: Voice) -> AsyncIterator[LiveCandles]:
    exchange.exchange_now_ms = DAY_MS // 2  # twelve hours before the day ends
    listed = Candles(exchange, catalogue, exchange)
    candles = LiveCandles(listed, catalogue, voice, exchange)
    try:
        yield candles
    finally:
        await candles.close()
        await listed.close()


async def first_volume(reader: CandlesReader) -> Decimal:
    """Return the volume of the first candle of the first state that has any."""
    while not (state := await reader.next()).candles:
        pass
    assert state.candles[0].prices is not None
    return state.candles[0].prices.volume


async def test_candles_come_back_soon_after_a_lost_socket_and_not_when_their_interval_ends(
    exchange: Slow, catalogue: Catalogue
) -> None:
    voice = Voice(CANDLES)
    exchange.rows = (running(1),)
    async with (
        asyncio.timeout(WAIT_SECONDS),
        day_candles(exchange, catalogue, voice) as candles,
        candles.watch(MARKET, Interval.D1) as reader,
    ):
        candles.subscribed([CANDLES])
        (await exchange.asked_times(1)).set()
        assert await first_volume(reader) == 1
        voice.heard.clear()
        candles.lost()
        assert (await reader.next()).freshness.quality is Quality.STALE
        exchange.rows = (running(2),)
        voice.heard.add(CANDLES)
        candles.subscribed([CANDLES])
        (await exchange.asked_times(2)).set()
        assert await first_volume(reader) == 2


async def test_a_candle_told_while_the_list_is_under_way_is_not_forgotten(exchange: Slow, catalogue: Catalogue) -> None:
    voice = Voice(CANDLES)
    exchange.rows = (running(1),)
    async with (
        asyncio.timeout(WAIT_SECONDS),
        day_candles(exchange, catalogue, voice) as candles,
        candles.watch(MARKET, Interval.D1) as reader,
    ):
        candles.subscribed([CANDLES])
        old = await exchange.asked_times(1)
        candles.heard(CandleChange(MARKET, "1d", (running(2),)))
        old.set()
        while not (state := await reader.next()).candles:
            pass
        assert (state.candles[0].state, state.freshness.quality) == (CandleState.UNFINISHED, Quality.GOOD)
        assert state.candles[0].prices is not None
        assert state.candles[0].prices.volume == 2


async def test_a_list_from_before_the_subscription_is_not_taken_for_the_newest_candles(
    exchange: Slow, catalogue: Catalogue
) -> None:
    voice = Voice(CANDLES)
    exchange.rows = (running(1),)
    async with (
        asyncio.timeout(WAIT_SECONDS),
        day_candles(exchange, catalogue, voice) as candles,
        candles.watch(MARKET, Interval.D1) as reader,
    ):
        candles.subscribed([CANDLES])
        (await exchange.asked_times(1)).set()
        assert await first_volume(reader) == 1
        candles.lost()
        exchange.rows = (running(2),)  # nobody hears it
        candles.subscribed([CANDLES])  # within the second in which the list is answered from memory
        (await exchange.asked_times(2)).set()
        assert await first_volume(reader) == 2
