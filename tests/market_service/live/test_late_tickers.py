"""A ticker begins with nothing that was asked for or told before its socket was lost or its frame could not be read."""

import asyncio
from decimal import Decimal

import pytest

from bitvavo.frames import TickerChange
from bitvavo.topics import Channel, Topic
from market_service.catalogue import Catalogue
from market_service.live.tickers import LiveTickers
from tests.market_service.live.slow_exchange import MARKET, Slow, Voice, become

TICKER = Topic(Channel.TICKER, MARKET)


def bid(tickers: LiveTickers) -> Decimal | None:
    answer = tickers.good(MARKET, 60)
    return None if answer is None else answer.value.bid


@pytest.mark.parametrize("how", ["lost", "unreadable"])
async def test_a_ticker_does_not_begin_with_what_was_asked_for_before(
    exchange: Slow, catalogue: Catalogue, how: str
) -> None:
    voice = Voice(TICKER)
    tickers = LiveTickers(exchange, catalogue, voice)
    async with tickers.watch([MARKET]):
        tickers.subscribed([TICKER])
        old = await exchange.asked_times(1)  # shows 99
        exchange.bid = Decimal(101)
        tickers.heard(TickerChange(MARKET, Decimal(101), None, None, None, None))
        if how == "lost":
            voice.heard.clear()
            tickers.lost()
            voice.heard.add(TICKER)
            tickers.subscribed([TICKER])
        else:
            tickers.unreadable(MARKET)
        old.set()
        await asyncio.sleep(0.05)
        assert tickers.good(MARKET, 60) is None
        (await exchange.asked_times(2)).set()
        await become(lambda: tickers.good(MARKET, 60) is not None)
        assert bid(tickers) == 101
    await tickers.close()


async def test_what_a_ticker_was_told_before_its_subscription_counts_for_nothing(
    exchange: Slow, catalogue: Catalogue
) -> None:
    voice = Voice()
    tickers = LiveTickers(exchange, catalogue, voice)
    async with tickers.watch([MARKET]):
        tickers.heard(TickerChange(MARKET, Decimal(98), None, None, None, None))  # of a subscription that just ended
        voice.heard.add(TICKER)
        tickers.subscribed([TICKER])
        (await exchange.asked_times(1)).set()
        await become(lambda: tickers.good(MARKET, 60) is not None)
        assert bid(tickers) == 99
    await tickers.close()
