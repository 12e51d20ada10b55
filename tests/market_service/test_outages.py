"""The exchange down, banning, halted, slow or unreadable: a clear status, and recovery without a restart."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration

from protos.market.v1 import market_pb2 as pb
from protos.market.v1.market_pb2_grpc import MarketServiceStub
from tests.market_service.processes import MarketService, Simulator
from tests.market_service.refusals import details, refused

if TYPE_CHECKING:
    from protos.market.v1.market_pb2_grpc import MarketServiceAsyncStub as Stub

Answer = TypeVar("Answer")

BOOK = pb.GetOrderBookRequest(market="BTC-EUR")


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[Simulator]:
    simulator = Simulator(tmp_path)
    yield simulator
    simulator.stop()


@pytest.fixture
def service(sim: Simulator, tmp_path: Path) -> Iterator[MarketService]:
    process = MarketService(tmp_path, sim.url)
    yield process
    process.stop()


async def told(call: Awaitable[object], code: grpc.StatusCode, reason: str) -> dict[str, str]:
    error = await refused(call)
    assert error.code() == code
    found = details(error)
    assert found[0] == reason
    assert found[2]["RetryInfo"].retry_delay.ToNanoseconds() > 0
    return found[1]


async def succeeds(call: Callable[[], Awaitable[Answer]], within_seconds: float = 10.0) -> Answer:
    ends = time.monotonic() + within_seconds
    while True:
        try:
            return await call()
        except grpc.aio.AioRpcError:
            if time.monotonic() > ends:
                raise
            await asyncio.sleep(0.1)


async def test_while_the_exchange_is_down_old_answers_are_stale_and_afterwards_all_is_well(
    stub: "Stub", sim: Simulator
) -> None:
    await stub.GetOrderBook(BOOK)
    sim.stop()
    await asyncio.sleep(1.1)
    assert await told(stub.GetOrderBook(BOOK), grpc.StatusCode.UNAVAILABLE, "EXCHANGE_UNAVAILABLE") == {}
    old = await stub.GetOrderBook(pb.GetOrderBookRequest(market="BTC-EUR", max_age=Duration(seconds=60)))
    assert old.freshness.quality == pb.QUALITY_STALE
    assert old.freshness.age.ToNanoseconds() >= 1_100_000_000
    market = await stub.GetMarket(pb.GetMarketRequest(market="BTC-EUR", max_age=Duration(seconds=3600)))
    assert market.freshness.quality == pb.QUALITY_GOOD
    sim.start()
    book = await succeeds(lambda: stub.GetOrderBook(BOOK))
    assert book.freshness.quality == pb.QUALITY_GOOD


async def test_a_page_of_html_is_unreadable_and_gone_with_the_next_question(stub: "Stub", sim: Simulator) -> None:
    await stub.GetOrderBook(BOOK)
    await asyncio.sleep(1.1)
    sim.fault("/v2/BTC-EUR/book", "html")
    await told(stub.GetOrderBook(BOOK), grpc.StatusCode.UNAVAILABLE, "EXCHANGE_UNREADABLE")
    await asyncio.sleep(0.15)
    assert (await stub.GetOrderBook(BOOK)).freshness.quality == pb.QUALITY_GOOD


async def test_a_halted_market_has_no_book_and_the_others_have(sim: Simulator, tmp_path: Path) -> None:
    sim.admin("POST", "market", market="ADA-EUR", status="halted")
    service = MarketService(tmp_path, sim.url)
    try:
        async with grpc.aio.insecure_channel(service.address) as channel:
            stub = MarketServiceStub(channel)
            call = stub.GetOrderBook(pb.GetOrderBookRequest(market="ADA-EUR"))
            metadata = await told(call, grpc.StatusCode.UNAVAILABLE, "MARKET_DATA_UNAVAILABLE")
            assert metadata == {"market": "ADA-EUR", "exchange_code": "431"}
            market = (await stub.GetMarket(pb.GetMarketRequest(market="ADA-EUR"))).market
            assert market.status == pb.MARKET_STATUS_HALTED
            assert (await stub.GetOrderBook(BOOK)).freshness.quality == pb.QUALITY_GOOD
    finally:
        service.stop()


async def test_a_ban_is_told_with_its_end_and_nothing_is_sent_meanwhile(
    stub: "Stub", sim: Simulator, service: MarketService
) -> None:
    await stub.GetOrderBook(BOOK)
    sim.fault("/v2/ETH-EUR/book", "ban")
    other = pb.GetOrderBookRequest(market="ETH-EUR")
    await told(stub.GetOrderBook(other), grpc.StatusCode.RESOURCE_EXHAUSTED, "EXCHANGE_BAN")
    sent = len(sim.requests())
    await asyncio.sleep(0.2)
    await told(stub.GetOrderBook(other), grpc.StatusCode.RESOURCE_EXHAUSTED, "EXCHANGE_BAN")
    assert len(sim.requests()) == sent
    assert [each["code"] for each in service.log_events() if each["event"] == "alarm"] == ["EXCHANGE_BAN"]


async def test_an_answer_that_takes_longer_than_allowed_is_too_old(stub: "Stub", sim: Simulator) -> None:
    await stub.GetMarket(pb.GetMarketRequest(market="BTC-EUR"))
    sim.fault("/v2/BTC-EUR/book", "delay_response", times=2, ms=700)
    error = await refused(
        stub.GetOrderBook(pb.GetOrderBookRequest(market="BTC-EUR", max_age=Duration(nanos=500_000_000)))
    )
    reason, metadata, _ = details(error)
    assert (error.code(), reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TOO_OLD")
    assert int(metadata["age_ms"]) >= 700
    assert metadata["max_age_ms"] == "500"


async def test_an_exchange_that_hangs_is_given_up(stub: "Stub", sim: Simulator) -> None:
    await stub.GetMarket(pb.GetMarketRequest(market="BTC-EUR"))
    sim.fault("/v2/BTC-EUR/book", "drop_request", how="hang")
    started = time.monotonic()
    await told(stub.GetOrderBook(BOOK), grpc.StatusCode.UNAVAILABLE, "EXCHANGE_UNAVAILABLE")
    assert 2.9 < time.monotonic() - started < 6


async def test_without_a_key_public_data_is_served_and_the_account_is_not(sim: Simulator, tmp_path: Path) -> None:
    keyless = MarketService(tmp_path, sim.url, with_key=False)
    try:
        async with grpc.aio.insecure_channel(keyless.address) as channel:
            stub = MarketServiceStub(channel)
            assert (await stub.GetOrderBook(BOOK)).bids
            for call in (stub.GetBalances(pb.GetBalancesRequest()), stub.GetFees(pb.GetFeesRequest())):
                error = await refused(call)
                assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
                assert details(error)[0] == "READONLY_KEY_MISSING"
    finally:
        assert keyless.stop() == 0


async def test_a_key_without_the_right_to_view_is_refused_as_a_state(sim: Simulator, tmp_path: Path) -> None:
    sim.admin("POST", "accounts", key="v" * 64, secret="s" * 128, rights=["trade"])
    blind = MarketService(tmp_path, sim.url)
    try:
        async with grpc.aio.insecure_channel(blind.address) as channel:
            error = await refused(MarketServiceStub(channel).GetBalances(pb.GetBalancesRequest()))
            assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
            assert details(error)[:2] == ("READONLY_KEY_REFUSED", {"exchange_code": "311"})
    finally:
        blind.stop()


async def test_readiness_follows_the_exchange_from_the_start(sim: Simulator, tmp_path: Path) -> None:
    sim.stop()
    early = MarketService(tmp_path, sim.url)
    try:
        events = [each["event"] for each in early.log_events()]
        assert "exchange_reachable" not in events
        sim.start()
        ends = time.monotonic() + 10
        while "exchange_reachable" not in [each["event"] for each in early.log_events()]:
            assert time.monotonic() < ends
            await asyncio.sleep(0.1)
    finally:
        early.stop()


async def test_points_are_counted_by_the_exchanges_minute_and_never_overdrawn(sim: Simulator, tmp_path: Path) -> None:
    # The exchange is within the minute before ours, with 50 s of it to go: our own minute has begun too early.
    sim.admin("POST", "clock", offset_ms=-(time.time_ns() // 1_000_000 % 60_000) - 50_000)
    sim.admin("POST", "limits", points_per_minute=1_000)
    service = MarketService(tmp_path, sim.url)
    refusals: set[str] = set()
    try:
        async with grpc.aio.insecure_channel(service.address) as channel:
            stub: Stub = MarketServiceStub(channel)
            for number in range(300):  # of 5 points each
                window = pb.ListTradesRequest(market="BTC-EUR")
                window.start_time.FromMilliseconds(1_000_000 * number)
                try:
                    await stub.ListTrades(window)
                except grpc.aio.AioRpcError as error:
                    refusals.add(details(error)[0])
    finally:
        service.stop()
    assert refusals == {"RATE_BUDGET"}
    assert [row for row in sim.requests() if row["status"] == 429] == []
