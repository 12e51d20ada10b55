"""Candles begin with no list that was asked for before their socket was lost, and forget none told meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

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


def running(volume: int, start_ms: int = 0) -> WireCandle:
    price = Decimal(100)
    return WireCandle(start_ms, price, price, price, price, Decimal(volume))


@asynccontextmanager
async def days_watched(
    exchange: Slow, catalogue: Catalogue, voice: Voice
) -> AsyncIterator[tuple[LiveCandles, CandlesReader]]:
    """Yield candles of days and a reader of theirs; their list was asked for, and shows a volume of 1."""
    exchange.exchange_now_ms = DAY_MS // 2  # twelve hours before the day ends
    exchange.rows = (running(1),)
    listed = Candles(exchange, catalogue, exchange)
    candles = LiveCandles(listed, catalogue, voice, exchange)
    try:
        async with asyncio.timeout(WAIT_SECONDS), candles.watch(MARKET, Interval.D1) as reader:
            candles.subscribed([CANDLES])
            yield candles, reader
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
    async with days_watched(exchange, catalogue, voice) as (candles, reader):
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
    async with days_watched(exchange, catalogue, voice) as (candles, reader):
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
    async with days_watched(exchange, catalogue, voice) as (candles, reader):
        (await exchange.asked_times(1)).set()
        assert await first_volume(reader) == 1
        candles.lost()
        exchange.rows = (running(2),)  # nobody hears it
        candles.subscribed([CANDLES])  # within the second in which the list is answered from memory
        (await exchange.asked_times(2)).set()
        assert await first_volume(reader) == 2
