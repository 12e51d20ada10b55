"""The streams over gRPC, against the simulated exchange with its life on."""

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import grpc.aio
import pytest
from google.protobuf.message import Message
from protovalidate import Validator

from kernel.paging import token_after
from protos.market.v1 import market_pb2 as pb
from protos.market.v1.market_pb2_grpc import MarketServiceStub
from tests.market_service.processes import MarketService, Simulator
from tests.market_service.refusals import details, refused

if TYPE_CHECKING:
    from protos.market.v1.market_pb2_grpc import MarketServiceAsyncStub as Stub

MARKET = "BTC-EUR"
WAIT_SECONDS = 15

M = TypeVar("M", bound=Message)


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Simulator, MarketService]]:
    sim = Simulator(tmp_path_factory.mktemp("sim"))
    service = MarketService(tmp_path_factory.mktemp("market"), sim.url)
    yield sim, service
    assert service.stop() == 0
    sim.stop()


@pytest.fixture
def sim(moving: tuple[Simulator, MarketService]) -> Simulator:
    return moving[0]


@pytest.fixture
async def stub(moving: tuple[Simulator, MarketService]) -> AsyncIterator["Stub"]:
    async with grpc.aio.insecure_channel(moving[1].address) as channel:
        yield MarketServiceStub(channel)


async def following(call: AsyncIterable[M], *, until: Callable[[M], object] | None = None) -> M:
    """Return the next message of a stream that `until` (a predicate) accepts."""
    async with asyncio.timeout(WAIT_SECONDS):
        async for message in call:
            Validator().validate(message)
            if until is None or until(message):
                return message
    raise AssertionError("the stream ended")


def good(message: "pb.WatchOrderBookResponse | pb.WatchTradesResponse") -> bool:
    return message.freshness.quality == pb.QUALITY_GOOD


async def test_a_watched_book_follows_the_exchange_nonce_by_nonce(stub: "Stub", sim: Simulator) -> None:
    call = stub.WatchOrderBook(pb.WatchOrderBookRequest(market=MARKET, depth=5))
    first = await following(call, until=good)
    sim.admin("POST", "book", market=MARKET, bids=[["49990", "1"]], asks=[["50000", "1"], ["50010", "2"]])
    book = await following(call, until=lambda each: good(each) and len(each.asks) == 2)
    assert book.nonce > first.nonce
    assert [(level.price, float(level.size)) for level in book.asks] == [("50000", 1), ("50010", 2)]
    assert [level.price for level in book.bids] == ["49990"]
    assert book.market_status == pb.MARKET_STATUS_TRADING
    call.cancel()


async def test_a_watched_book_answers_single_questions_without_a_request(stub: "Stub", sim: Simulator) -> None:
    call = stub.WatchOrderBook(pb.WatchOrderBookRequest(market="ETH-EUR", depth=5))
    watched = await following(call, until=good)
    await asyncio.sleep(1)
    before = len(sim.requests("/ETH-EUR/book"))
    for _ in range(3):
        book = await stub.GetOrderBook(pb.GetOrderBookRequest(market="ETH-EUR", depth=5))
        assert book.freshness.quality == pb.QUALITY_GOOD
        assert book.nonce >= watched.nonce
    assert len(sim.requests("/ETH-EUR/book")) == before
    call.cancel()


@pytest.mark.parametrize("fault", ["nonce_gap", "nonce_reset", "crossed_book"])
async def test_a_book_that_went_wrong_is_told_so_and_comes_back(stub: "Stub", sim: Simulator, fault: str) -> None:
    call = stub.WatchOrderBook(pb.WatchOrderBookRequest(market="ADA-EUR", depth=5))
    await following(call, until=good)
    sim.admin("POST", "faults", match={"channel": "book", "market": "ADA-EUR"}, fault=fault, times=1)
    sim.admin("POST", "book", market="ADA-EUR", bids=[["0.4", "10"]], asks=[["0.5", "10"]])
    wrong = await following(call)
    assert (wrong.freshness.quality, len(wrong.bids), wrong.nonce) == (pb.QUALITY_RESYNCING, 0, 0)
    assert (await following(call, until=good)).bids[0].price == "0.4"
    call.cancel()


async def test_a_halted_market_says_so_instead_of_being_silent(stub: "Stub", sim: Simulator) -> None:
    call = stub.WatchOrderBook(pb.WatchOrderBookRequest(market="SOL-EUR"))
    await following(call, until=good)
    sim.admin("POST", "market", market="SOL-EUR", status="halted")
    try:
        halted = await following(call, until=lambda each: not good(each))
        while halted.market_status != pb.MARKET_STATUS_HALTED:
            halted = await following(call)
        assert (halted.freshness.quality, len(halted.bids)) == (pb.QUALITY_STALE, 0)
    finally:
        sim.admin("POST", "market", market="SOL-EUR", status="trading")
    assert (await following(call, until=good)).market_status == pb.MARKET_STATUS_TRADING
    call.cancel()


async def test_a_silent_socket_is_noticed_and_replaced(stub: "Stub", sim: Simulator) -> None:
    call = stub.WatchOrderBook(pb.WatchOrderBookRequest(market=MARKET))
    await following(call, until=good)
    sim.admin("POST", "faults", match={"channel": "book", "market": MARKET}, fault="stalled_socket", times=1)
    sim.admin("POST", "book", market=MARKET, bids=[["39990", "1"]], asks=[["40000", "1"]])
    stale = await following(call, until=lambda each: not good(each))
    assert stale.freshness.quality == pb.QUALITY_STALE
    assert (await following(call, until=good)).asks[0].price == "40000"
    call.cancel()


async def test_many_readers_cost_the_exchange_one_subscription(stub: "Stub", sim: Simulator) -> None:
    calls = [stub.WatchOrderBook(pb.WatchOrderBookRequest(market="XRP-EUR", depth=n + 1)) for n in range(20)]
    for call in calls:
        await following(call, until=good)
    rows = sim.admin("GET", "ledger?kind=requests")["requests"]
    asked = [row for row in rows if row["method"] == "WS" and "XRP-EUR" in row["body"]]
    assert len(asked) == 1
    for call in calls:
        call.cancel()


async def test_tickers_begin_with_all_and_go_on_with_what_changed(stub: "Stub", sim: Simulator) -> None:
    call = stub.WatchTickers(pb.WatchTickersRequest(markets=["DOGE-EUR", "LTC-EUR"]))
    whole = await following(call, until=lambda each: len(each.tickers) == 2)
    assert [each.market for each in whole.tickers] == ["DOGE-EUR", "LTC-EUR"]
    sim.admin("POST", "book", market="DOGE-EUR", bids=[["0.07", "10"]], asks=[["0.08", "10"]])
    changed = await following(call, until=lambda each: any(row.bid == "0.07" for row in each.tickers))
    assert [each.market for each in changed.tickers] == ["DOGE-EUR"]
    call.cancel()


async def test_trades_go_on_where_the_token_says(stub: "Stub", sim: Simulator) -> None:
    call = stub.WatchTrades(pb.WatchTradesRequest(market="LINK-EUR"))
    first = await following(call)
    assert (len(first.trades), first.gap) == (0, False)
    sim.admin("POST", "trade", market="LINK-EUR", side="sell", amount="1")
    one = await following(call, until=lambda each: each.trades)
    call.cancel()
    for _ in range(3):
        sim.admin("POST", "trade", market="LINK-EUR", side="sell", amount="1")
    again = stub.WatchTrades(pb.WatchTradesRequest(market="LINK-EUR", resume_token=one.resume_token))
    seen: list[str] = []
    while len(seen) < 3:
        message = await following(again)
        assert not message.gap
        seen += [trade.trade_id for trade in message.trades]
    assert one.trades[-1].trade_id not in seen
    assert len(set(seen)) == 3
    again.cancel()


async def test_a_reader_of_trades_is_told_when_the_exchange_is_not_heard_and_when_it_is_again(
    stub: "Stub", sim: Simulator
) -> None:
    """Silence alone would look like a market in which nobody trades."""
    call = stub.WatchTrades(pb.WatchTradesRequest(market="LINK-EUR"))
    await following(call, until=good)
    sim.admin("POST", "faults", match={"channel": "trades", "market": "LINK-EUR"}, fault="stalled_socket", times=1)
    sim.admin("POST", "trade", market="LINK-EUR", side="sell", amount="1")
    stale = await following(call)
    assert (stale.freshness.quality, len(stale.trades)) == (pb.QUALITY_STALE, 0)
    heard = await following(call, until=good)
    assert (len(heard.trades), heard.gap) == (1, False)
    call.cancel()


async def test_a_resume_token_of_another_market_is_refused(stub: "Stub", sim: Simulator) -> None:
    call = stub.WatchTrades(pb.WatchTradesRequest(market="LINK-EUR"))
    token = (await following(call)).resume_token
    call.cancel()
    other = stub.WatchTrades(pb.WatchTradesRequest(market=MARKET, resume_token=token))
    error = await refused(following(other))
    assert details(error)[0] == "RESUME_TOKEN_INVALID"


async def test_an_unknown_resume_token_is_told_as_a_gap(stub: "Stub") -> None:
    token = token_after("no-such-trade", f"trades/{MARKET}")
    call = stub.WatchTrades(pb.WatchTradesRequest(market=MARKET, resume_token=token))
    assert (await following(call)).gap
    call.cancel()


async def test_candles_come_when_they_change(stub: "Stub", sim: Simulator) -> None:
    call = stub.WatchCandles(pb.WatchCandlesRequest(market=MARKET, interval=pb.CANDLE_INTERVAL_1M))
    first = await following(call, until=lambda each: each.candles)
    assert first.candles[-1].state in {pb.CANDLE_STATE_UNFINISHED, pb.CANDLE_STATE_GAP}
    sim.admin("POST", "trade", market=MARKET, side="sell", amount="0.01")
    changed = await following(call, until=lambda each: each.candles and each.candles[-1].volume)
    assert changed.candles[-1].state == pb.CANDLE_STATE_UNFINISHED
    call.cancel()


async def test_an_unknown_market_is_not_found(stub: "Stub") -> None:
    calls: tuple[Any, ...] = (
        stub.WatchOrderBook(pb.WatchOrderBookRequest(market="NOPE-EUR")),
        stub.WatchTickers(pb.WatchTickersRequest(markets=["NOPE-EUR"])),
        stub.WatchTrades(pb.WatchTradesRequest(market="NOPE-EUR")),
        stub.WatchCandles(pb.WatchCandlesRequest(market="NOPE-EUR", interval=pb.CANDLE_INTERVAL_1H)),
    )
    for call in calls:
        assert details(await refused(following(call)))[0] == "MARKET_UNKNOWN"


def test_a_drain_ends_every_stream_with_a_status_that_says_why(tmp_path: Path, sim: Simulator) -> None:
    asyncio.run(_drained(tmp_path, sim))


async def _drained(folder: Path, sim: Simulator) -> None:
    service = MarketService(folder, sim.url)
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub: Stub = MarketServiceStub(channel)
        calls: list[Any] = [
            stub.WatchOrderBook(pb.WatchOrderBookRequest(market=MARKET)),
            stub.WatchTickers(pb.WatchTickersRequest(markets=[MARKET])),
            stub.WatchTrades(pb.WatchTradesRequest(market=MARKET)),
            stub.WatchCandles(pb.WatchCandlesRequest(market=MARKET, interval=pb.CANDLE_INTERVAL_1M)),
        ]
        for call in calls:
            await following(call)
        stopped = asyncio.create_task(asyncio.to_thread(service.stop))
        for call in calls:
            error = await refused(following(call, until=lambda _: False))
            assert (error.code(), details(error)[0]) == (grpc.StatusCode.UNAVAILABLE, "STOPPING")
        with contextlib.suppress(AssertionError):
            assert await stopped == 0
