"""What REST was asked for before a socket was lost, or before a frame could not be read, closes no hole."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from bitvavo.frames import CandleChange, TickerChange, TradeSeen
from bitvavo.proof import Proof
from bitvavo.topics import Channel, Topic
from bitvavo.wire import Candle as WireCandle
from bitvavo.wire import PublicTrade, TickerBook
from kernel.errors import Unavailable
from market_service.candles import Candles
from market_service.catalogue import Catalogue
from market_service.live import trades as live_trades
from market_service.live.candles import LiveCandles
from market_service.live.tickers import LiveTickers
from market_service.live.trade_row import LISTED_TRADES
from market_service.live.trades import LiveTrades
from market_service.model import CandleState, Interval, Quality, Window
from tests.market_service.fake_exchange import FakeExchange

MARKET = "BTC-EUR"
TRADES = Topic(Channel.TRADES, MARKET)
TICKER = Topic(Channel.TICKER, MARKET)
CANDLES = Topic(Channel.CANDLES, MARKET, "1d")
DAY_MS = 86_400_000
WAIT_SECONDS = 10


class Voice:
    """A socket that is there; `heard` is what it has acknowledged."""

    def __init__(self, *heard: Topic) -> None:
        self.heard = set(heard)

    @property
    def proof(self) -> Proof:
        return Proof(datetime.now(UTC), asyncio.get_running_loop().time())

    def hears(self, topic: Topic) -> bool:
        return topic in self.heard

    def want(self, _topic: Topic) -> None:
        """Nothing is counted here."""

    def release(self, _topic: Topic) -> None:
        """Nothing is counted here."""


class Slow(FakeExchange):
    """Answers what was so when it was asked, and only when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.traded: list[PublicTrade] = []
        self.bid = Decimal(99)
        self.under_way: list[asyncio.Event] = []

    async def trades(self, _market: str, limit: int, _window: Window) -> tuple[PublicTrade, ...]:
        listed = tuple(self.traded[::-1][:limit])
        await self._let_go()
        return listed

    async def ticker_books(self) -> tuple[TickerBook, ...]:
        told = (TickerBook(MARKET, self.bid, Decimal(1), Decimal(1_000), Decimal(1)),)
        await self._let_go()
        return told

    async def candles(self, *_series: object) -> tuple[WireCandle, ...]:
        rows = self.rows
        await self._let_go()
        return rows

    async def asked_times(self, times: int) -> asyncio.Event:
        """Wait until so many questions have been asked; return what lets the last one go."""
        await become(lambda: len(self.under_way) >= times)
        return self.under_way[times - 1]

    async def _let_go(self) -> None:
        go = asyncio.Event()
        self.under_way.append(go)
        await go.wait()
        if self.failure is not None:
            raise self.failure


async def become(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not true():  # noqa: ASYNC110 - what is waited for belongs to the code under test
            await asyncio.sleep(0.01)


def bid(tickers: LiveTickers) -> Decimal | None:
    answer = tickers.good(MARKET, 60)
    return None if answer is None else answer.value.bid


def trade(number: int) -> PublicTrade:
    return PublicTrade(f"t{number}", number, Decimal(1), Decimal(100), "buy")


def running(volume: int, start_ms: int = 0) -> WireCandle:
    price = Decimal(100)
    return WireCandle(start_ms, price, price, price, price, Decimal(volume))


@pytest.fixture
def exchange() -> Slow:
    return Slow()


@pytest.fixture
async def catalogue(exchange: Slow) -> AsyncIterator[Catalogue]:
    made = Catalogue(exchange)
    yield made
    await made.close()


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
        while not (state := await reader.next()).candles:
            pass
        voice.heard.clear()
        candles.lost()
        assert (await reader.next()).freshness.quality is Quality.STALE
        exchange.rows = (running(2),)
        voice.heard.add(CANDLES)
        candles.subscribed([CANDLES])
        (await exchange.asked_times(2)).set()
        while not (state := await reader.next()).candles:
            pass
        assert state.candles[0].prices is not None
        assert state.candles[0].prices.volume == 2


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
        while not (await reader.next()).candles:
            pass
        candles.lost()
        exchange.rows = (running(2),)  # nobody hears it
        candles.subscribed([CANDLES])  # within the second in which the list is answered from memory
        (await exchange.asked_times(2)).set()
        while not (state := await reader.next()).candles:
            pass
        assert state.candles[0].prices is not None
        assert state.candles[0].prices.volume == 2
