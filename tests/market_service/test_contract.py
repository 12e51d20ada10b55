"""Every method over gRPC, against the simulated exchange."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import grpc.aio
import httpx
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from protovalidate import Validator

from protos.market.v1 import market_pb2 as pb
from tests.market_service.processes import MarketService, Simulator
from tests.market_service.refusals import details, refused

if TYPE_CHECKING:
    from protos.market.v1.market_pb2_grpc import MarketServiceAsyncStub as Stub

GRPCURL = Path(sys.executable).with_name("grpcurl")
MARKET = "BTC-EUR"
BEYOND: Any = 99  # a number that no enum has

Answer = TypeVar("Answer", bound=Any)


def good(answer: Answer) -> Answer:
    assert answer.freshness.quality == pb.QUALITY_GOOD
    assert answer.freshness.age.ToNanoseconds() > 0
    Validator().validate(answer)
    return answer


async def test_get_market_tells_what_an_order_must_look_like(stub: "Stub") -> None:
    market = good(await stub.GetMarket(pb.GetMarketRequest(market=MARKET))).market
    assert (market.market, market.base, market.quote) == ("BTC-EUR", "BTC", "EUR")
    assert market.status == pb.MARKET_STATUS_TRADING
    assert float(market.tick_size) > 0
    assert market.quantity_decimals > 0
    assert {pb.ORDER_TYPE_MARKET, pb.ORDER_TYPE_LIMIT} <= set(market.order_types)


async def test_list_markets_pages_through_every_market_once(stub: "Stub", sim: Simulator) -> None:
    names, token = [], ""
    while True:
        page = good(await stub.ListMarkets(pb.ListMarketsRequest(page_size=3, page_token=token)))
        names += [each.market for each in page.markets]
        token = page.next_page_token
        if not token:
            break
    listed = [row["market"] for row in (await fetched(f"{sim.url}/v2/markets")).json()]
    assert names == sorted(listed)


async def test_list_markets_filters_and_binds_its_token_to_the_filter(stub: "Stub") -> None:
    page = await stub.ListMarkets(pb.ListMarketsRequest(quote="EUR", page_size=1))
    assert [each.quote for each in page.markets] == ["EUR"]
    assert page.next_page_token
    error = await refused(stub.ListMarkets(pb.ListMarketsRequest(quote="USDC", page_token=page.next_page_token)))
    reason, _, found = details(error)
    assert (error.code(), reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
    assert [each.field for each in found["BadRequest"].field_violations] == ["page_token"]


async def test_the_ticker_agrees_with_the_book(stub: "Stub") -> None:
    ticker = good(await stub.GetTicker(pb.GetTickerRequest(market=MARKET))).ticker
    book = good(await stub.GetOrderBook(pb.GetOrderBookRequest(market=MARKET, depth=1)))
    assert (ticker.bid, ticker.ask) == (book.bids[0].price, book.asks[0].price)
    assert ticker.last


async def test_list_tickers_answers_all_or_those_named(stub: "Stub") -> None:
    everything = good(await stub.ListTickers(pb.ListTickersRequest()))
    names = [each.market for each in everything.tickers]
    assert names == sorted(names)
    two = good(await stub.ListTickers(pb.ListTickersRequest(markets=[names[1], names[0]])))
    assert [each.market for each in two.tickers] == names[:2]


async def test_get_ticker_24h(stub: "Stub") -> None:
    ticker = good(await stub.GetTicker24h(pb.GetTicker24hRequest(market=MARKET))).ticker
    assert (ticker.end_time.ToMilliseconds() - ticker.start_time.ToMilliseconds()) == 86_400_000
    assert float(ticker.low) <= float(ticker.last) <= float(ticker.high)


async def test_the_order_book_is_sorted_and_as_deep_as_asked_for(stub: "Stub", sim: Simulator) -> None:
    book = good(await stub.GetOrderBook(pb.GetOrderBookRequest(market=MARKET, depth=3)))
    bids, asks = [float(each.price) for each in book.bids], [float(each.price) for each in book.asks]
    assert (len(bids), len(asks)) == (3, 3)
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    assert book.nonce > 0
    assert book.exchange_time.seconds > 0


async def test_a_hundred_books_at_once_are_one_request_to_the_exchange(stub: "Stub", sim: Simulator) -> None:
    before = len(sim.requests("/v2/ETH-EUR/book"))
    books = await asyncio.gather(*(stub.GetOrderBook(pb.GetOrderBookRequest(market="ETH-EUR")) for _ in range(100)))
    assert len({book.nonce for book in books}) == 1
    assert len(sim.requests("/v2/ETH-EUR/book")) - before == 1


async def test_a_one_sided_book_is_not_good(stub: "Stub", sim: Simulator) -> None:
    sim.admin("POST", "book", market="SOL-EUR", bids=[["100", "1"]], asks=[])
    book = await stub.GetOrderBook(pb.GetOrderBookRequest(market="SOL-EUR"))
    assert book.freshness.quality == pb.QUALITY_RESYNCING
    assert [(each.price, each.size) for each in book.bids] == [("100", "1")]


async def test_list_trades_newest_first(stub: "Stub") -> None:
    answer = good(await stub.ListTrades(pb.ListTradesRequest(market=MARKET, limit=5)))
    times = [each.time.ToNanoseconds() for each in answer.trades]
    assert len(times) == 5
    assert times == sorted(times, reverse=True)
    assert answer.more


async def test_list_trades_within_a_window(stub: "Stub") -> None:
    newest = (await stub.ListTrades(pb.ListTradesRequest(market=MARKET, limit=1))).trades[0].time
    end = Timestamp(seconds=newest.seconds - 60)
    start = Timestamp(seconds=newest.seconds - 3600)
    answer = good(await stub.ListTrades(pb.ListTradesRequest(market=MARKET, start_time=start, end_time=end)))
    assert answer.trades
    assert all(start.seconds <= each.time.seconds <= end.seconds for each in answer.trades)


async def test_list_candles_has_every_interval_and_marks_the_running_one(stub: "Stub") -> None:
    answer = good(
        await stub.ListCandles(pb.ListCandlesRequest(market=MARKET, interval=pb.CANDLE_INTERVAL_1M, limit=30))
    )
    starts = [each.open_time.seconds for each in answer.candles]
    assert starts == list(range(starts[0], starts[0] + 60 * len(starts), 60))
    states = [each.state for each in answer.candles]
    assert states[-1] == pb.CANDLE_STATE_UNFINISHED
    assert pb.CANDLE_STATE_UNFINISHED not in states[:-1]
    assert answer.gaps == states.count(pb.CANDLE_STATE_GAP)
    for each in answer.candles:
        assert each.HasField("open") or each.state != pb.CANDLE_STATE_FINAL


async def test_balances_are_the_accounts_and_cost_one_request(stub: "Stub", sim: Simulator) -> None:
    before = len(sim.requests("/v2/balance"))
    answers = await asyncio.gather(*(stub.GetBalances(pb.GetBalancesRequest()) for _ in range(50)))
    held = {each.symbol: (each.available, each.in_order) for each in good(answers[0]).balances}
    assert held == {"EUR": ("1000", "0"), "BTC": ("0.5", "0")}
    assert len(sim.requests("/v2/balance")) - before == 1


async def test_fees(stub: "Stub") -> None:
    fees = good(await stub.GetFees(pb.GetFeesRequest(market=MARKET)))
    assert float(fees.taker) >= float(fees.maker) > 0


async def test_public_data_goes_unsigned_and_nothing_but_reads_is_sent(stub: "Stub", sim: Simulator) -> None:
    await stub.GetBalances(pb.GetBalancesRequest(max_age=Duration(seconds=60)))
    rows = sim.requests()
    assert {row["method"] for row in rows} == {"GET"}
    signed = {row["path"].partition("?")[0] for row in rows if row["key"]}
    assert signed <= {"/v2/balance", "/v2/account/fees"}
    assert not sim.admin("GET", "ledger?kind=orders")["orders"]


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("GetMarket", pb.GetMarketRequest(market="NOPE-EUR")),
        ("GetTicker", pb.GetTickerRequest(market="NOPE-EUR")),
        ("ListTickers", pb.ListTickersRequest(markets=["BTC-EUR", "NOPE-EUR"])),
        ("GetTicker24h", pb.GetTicker24hRequest(market="NOPE-EUR")),
        ("GetOrderBook", pb.GetOrderBookRequest(market="NOPE-EUR")),
        ("ListTrades", pb.ListTradesRequest(market="NOPE-EUR")),
        ("ListCandles", pb.ListCandlesRequest(market="NOPE-EUR", interval=pb.CANDLE_INTERVAL_1H)),
        ("GetFees", pb.GetFeesRequest(market="NOPE-EUR")),
    ],
)
async def test_an_unknown_market_is_not_found_and_costs_no_request(
    stub: "Stub", sim: Simulator, method: str, request_: Message
) -> None:
    error = await refused(getattr(stub, method)(request_))
    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert details(error)[:2] == ("MARKET_UNKNOWN", {"market": "NOPE-EUR"})
    assert not [row for row in sim.requests() if "NOPE" in row["path"]]


@pytest.mark.parametrize(
    ("method", "request_", "fields"),
    [
        ("GetMarket", pb.GetMarketRequest(), {"market"}),
        ("GetMarket", pb.GetMarketRequest(market="btc-eur"), {"market"}),
        ("GetMarket", pb.GetMarketRequest(market="BTC-EUR/../order"), {"market"}),
        ("GetMarket", pb.GetMarketRequest(market="BTC-EUR\n"), {"market"}),
        ("GetOrderBook", pb.GetOrderBookRequest(market="X", depth=1001), {"market", "depth"}),
        ("GetOrderBook", pb.GetOrderBookRequest(market=MARKET, depth=-1), {"depth"}),
        ("GetOrderBook", pb.GetOrderBookRequest(market=MARKET, max_age=Duration()), {"max_age"}),
        ("GetOrderBook", pb.GetOrderBookRequest(market=MARKET, max_age=Duration(seconds=3601)), {"max_age"}),
        (
            "ListMarkets",
            pb.ListMarketsRequest(page_size=501, quote="eur", status=BEYOND),
            {"page_size", "quote", "status"},
        ),
        ("ListMarkets", pb.ListMarketsRequest(page_token="x" * 513), {"page_token"}),
        ("ListTickers", pb.ListTickersRequest(markets=["BTC-EUR", "BTC-EUR"]), {"markets"}),
        ("ListTickers", pb.ListTickersRequest(markets=["BTC-EUR", "-"]), {"markets[1]"}),
        ("ListTrades", pb.ListTradesRequest(market=MARKET, limit=1001), {"limit"}),
        ("ListCandles", pb.ListCandlesRequest(market=MARKET), {"interval"}),
        ("ListCandles", pb.ListCandlesRequest(market=MARKET, interval=BEYOND, limit=1441), {"interval", "limit"}),
        ("GetBalances", pb.GetBalancesRequest(symbols=["eur"]), {"symbols[0]"}),
        ("GetFees", pb.GetFeesRequest(market="?"), {"market"}),
    ],
)
async def test_bad_input_is_answered_with_every_wrong_field(
    stub: "Stub", method: str, request_: Message, fields: set[str]
) -> None:
    error = await refused(getattr(stub, method)(request_))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    reason, _, found = details(error)
    assert reason == "INVALID_REQUEST"
    assert {each.field for each in found["BadRequest"].field_violations} == fields


LAST = 253_402_300_799
WRONG_WINDOWS = [(20, 10), (20, 20), (LAST + 1, None), (None, LAST + 1), (-1, None), (5, 2**62), (-(2**62), 2**62)]


@pytest.mark.parametrize("seconds", [(0, 86_401), *WRONG_WINDOWS])
async def test_trades_of_a_window_that_cannot_be_are_bad_input(
    stub: "Stub", seconds: tuple[int | None, int | None]
) -> None:
    start, end = (None if each is None else Timestamp(seconds=each) for each in seconds)
    request = pb.ListTradesRequest(market=MARKET, start_time=start, end_time=end)
    assert (await refused(stub.ListTrades(request))).code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("seconds", WRONG_WINDOWS)
async def test_candles_of_a_window_that_cannot_be_are_bad_input(
    stub: "Stub", seconds: tuple[int | None, int | None]
) -> None:
    start, end = (None if each is None else Timestamp(seconds=each) for each in seconds)
    request = pb.ListCandlesRequest(market=MARKET, interval=pb.CANDLE_INTERVAL_1H, start_time=start, end_time=end)
    assert (await refused(stub.ListCandles(request))).code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_the_longest_window_is_a_day(stub: "Stub") -> None:
    request = pb.ListTradesRequest(market=MARKET, start_time=Timestamp(seconds=0), end_time=Timestamp(seconds=86_400))
    assert not (await stub.ListTrades(request)).trades


async def test_health_reflection_and_metrics_are_served(service: MarketService, stub: "Stub") -> None:
    await stub.GetTicker(pb.GetTickerRequest(market=MARKET))
    for name in ("", "market.v1.MarketService", "market.ready"):
        done = await grpcurl(
            "-plaintext", "-d", f'{{"service":"{name}"}}', service.address, "grpc.health.v1.Health/Check"
        )
        assert '"SERVING"' in done.stdout
    metrics = (await fetched(service.metrics_url)).text
    assert re.search(r'market_reads_total\{how="asked",kind="tickers"\} [1-9]', metrics)
    assert 'grpc_method="GetTicker"' in metrics


async def test_grpcurl_shows_the_details_of_an_error(service: MarketService) -> None:
    done = await grpcurl(
        "-plaintext", "-d", '{"market":"NOPE-EUR"}', service.address, "market.v1.MarketService/GetMarket"
    )
    assert '"reason":"MARKET_UNKNOWN"' in done.stderr
    assert '"market":"NOPE-EUR"' in done.stderr


def test_no_secret_is_in_the_log(service: MarketService) -> None:
    text = service.process.log.read_text()
    assert "s" * 32 not in text
    assert "v" * 32 not in text


async def grpcurl(*words: str) -> subprocess.CompletedProcess[str]:
    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(GRPCURL), *words], capture_output=True, text=True, timeout=20, check=False)

    return await asyncio.to_thread(run)


async def fetched(url: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(url)
