"""What REST was asked for before a socket was lost, or a frame could not be read, closes no hole in the trades."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from bitvavo.frames import TradeSeen
from bitvavo.topics import Channel, Topic
from bitvavo.wire import PublicTrade
from kernel.errors import Unavailable
from market_service.catalogue import Catalogue
from market_service.live import trades as live_trades
from market_service.live.trade_row import LISTED_TRADES
from market_service.live.trades import LiveTrades
from tests.market_service.live.slow_exchange import MARKET, WAIT_SECONDS, Slow, Voice

TRADES = Topic(Channel.TRADES, MARKET)


def trade(number: int) -> PublicTrade:
    return PublicTrade(f"t{number}", number, Decimal(1), Decimal(100), "buy")


@asynccontextmanager
async def all_trades(exchange: Slow, catalogue: Catalogue, voice: Voice) -> AsyncIterator[LiveTrades]:
    trades = LiveTrades(exchange, catalogue, voice)
    try:
        yield trades
    finally:
        await trades.close()


async def seen(trades: LiveTrades, until: str) -> tuple[list[str], bool]:
    """Return the ids that a reader from the first kept trade on is told, up to `until`, and whether of a gap."""
    ids: list[str] = []
    gap = False
    async with asyncio.timeout(WAIT_SECONDS), trades.watch(MARKET, "t1") as reader:
        while until not in ids:
            state = await reader.next()
            ids += [each.id for each in state.trades]
            gap = gap or state.gap
    return ids, gap


async def begun(exchange: Slow, trades: LiveTrades) -> None:
    """Let the row begin with the trade t1."""
    exchange.traded.append(trade(1))
    trades.subscribed([TRADES])
    (await exchange.asked_times(1)).set()
    async with trades.watch(MARKET, "t1"):
        pass


@pytest.mark.parametrize("how", ["lost", "unreadable"])
async def test_a_trade_that_was_not_heard_is_told_though_an_older_list_arrives(
    exchange: Slow, catalogue: Catalogue, how: str
) -> None:
    voice = Voice(TRADES)
    async with all_trades(exchange, catalogue, voice) as trades:
        await begun(exchange, trades)
        trades.lost()
        trades.subscribed([TRADES])
        old = await exchange.asked_times(2)  # shows t1 alone
        exchange.traded.append(trade(2))  # nobody hears it
        if how == "lost":
            voice.heard.clear()
            trades.lost()
            voice.heard.add(TRADES)
            trades.subscribed([TRADES])
        else:
            trades.unreadable(MARKET)
        old.set()
        await asyncio.sleep(0)
        exchange.traded.append(trade(3))
        trades.heard(TradeSeen(MARKET, trade(3)))
        (await exchange.asked_times(3)).set()
        assert await seen(trades, until="t3") == (["t2", "t3"], False)


async def test_a_reader_that_resumes_before_the_list_is_there_gets_no_trade_twice(
    exchange: Slow, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_trades, "FIRST_LIST_SECONDS", 0.05)
    exchange.traded += [trade(1), trade(2), trade(3)]
    async with all_trades(exchange, catalogue, Voice(TRADES)) as trades:
        trades.subscribed([TRADES])
        listing = await exchange.asked_times(1)
        async with asyncio.timeout(WAIT_SECONDS), trades.watch(MARKET, "t2") as reader:
            first = await reader.next()
            assert (first.trades, first.last_id, first.gap) == ((), "t2", False)  # who begins anew by it loses nothing
            listing.set()
            state = await reader.next()
            assert ([each.id for each in state.trades], state.gap) == (["t3"], False)


async def test_a_reader_from_now_on_who_waited_for_the_list_hears_nothing_of_before(
    exchange: Slow, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_trades, "FIRST_LIST_SECONDS", 0.05)
    exchange.traded += [trade(1), trade(2), trade(3)]
    async with all_trades(exchange, catalogue, Voice(TRADES)) as trades:
        trades.subscribed([TRADES])
        listing = await exchange.asked_times(1)
        async with asyncio.timeout(WAIT_SECONDS), trades.watch(MARKET, "") as reader:
            assert (await reader.next()).trades == ()
            trades.heard(TradeSeen(MARKET, trade(4)))
            listing.set()
            state = await reader.next()
            assert ([each.id for each in state.trades], state.gap) == (["t4"], False)


async def test_trades_heard_while_the_list_was_out_of_reach_keep_their_order(
    exchange: Slow, catalogue: Catalogue
) -> None:
    voice = Voice(TRADES)
    async with all_trades(exchange, catalogue, voice) as trades:
        await begun(exchange, trades)
        trades.lost()
        trades.subscribed([TRADES])
        exchange.failure = Unavailable("DOWN", "down")
        (await exchange.asked_times(2)).set()
        for number in range(2, LISTED_TRADES + 500):
            exchange.traded.append(trade(number))
            trades.heard(TradeSeen(MARKET, trade(number)))
        again = await exchange.asked_times(3)
        exchange.failure = None
        again.set()
        ids, gap = await seen(trades, until=f"t{LISTED_TRADES + 499}")
        assert ids == [f"t{number}" for number in range(2, LISTED_TRADES + 500)]
        assert gap  # the list does not reach back to t1
