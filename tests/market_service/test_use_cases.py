"""What the use cases answer and what they ask, on a fake exchange."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from kernel.errors import Invalid, NotFound, Unavailable
from kernel.paging import last_before, token_after
from market_service.account import Account
from market_service.books import Books
from market_service.catalogue import Catalogue
from market_service.model import Quality, Window
from market_service.tickers import Tickers
from market_service.trades import Trades
from tests.market_service.fake_exchange import FakeExchange, level

DOWN = Unavailable("EXCHANGE_UNAVAILABLE", "down")


@pytest.fixture
async def exchange() -> FakeExchange:
    return FakeExchange()


@pytest.fixture
def catalogue(exchange: FakeExchange) -> Catalogue:
    return Catalogue(exchange)


@pytest.fixture
def books(exchange: FakeExchange, catalogue: Catalogue) -> Books:
    return Books(exchange, catalogue)


@pytest.fixture
def tickers(exchange: FakeExchange, catalogue: Catalogue) -> Tickers:
    return Tickers(exchange, catalogue)


async def test_markets_are_listed_in_the_order_of_their_names(catalogue: Catalogue) -> None:
    listing = (await catalogue.listing()).value
    assert list(listing.by_name) == ["ADA-EUR", "BTC-EUR", "ETH-USDC"]


async def test_the_list_of_markets_is_read_ahead_of_callers(exchange: FakeExchange, catalogue: Catalogue) -> None:
    exchange.failure = DOWN
    reading = asyncio.create_task(catalogue.keep_fresh())
    await asyncio.sleep(0.01)
    assert exchange.asked["markets"] == 1
    assert not reading.done()
    reading.cancel()
    exchange.failure = None
    fresh = Catalogue(exchange)
    reading = asyncio.create_task(fresh.keep_fresh())
    await asyncio.sleep(0.01)
    await fresh.market("BTC-EUR")
    assert exchange.asked["markets"] == 2
    reading.cancel()


async def test_a_made_up_market_costs_no_request_of_its_own(
    exchange: FakeExchange, books: Books, tickers: Tickers, catalogue: Catalogue
) -> None:
    calls: tuple[Callable[[str], Awaitable[object]], ...] = (
        lambda name: books.book(name, 10),
        tickers.one,
        tickers.last_24h,
        catalogue.market,
        lambda name: Trades(exchange, catalogue).newest(name, 10, Window()),
        Account(exchange, catalogue).fees,
    )
    for number, call in enumerate(calls):
        with pytest.raises(NotFound) as missing:
            await call(f"NOPE{number}-EUR")
        assert missing.value.metadata == {"market": f"NOPE{number}-EUR"}
    assert exchange.asked == {"markets": 1, "ticker_prices": 1, "ticker_books": 1}


@pytest.mark.parametrize(
    ("bids", "asks", "quality"),
    [
        ([("99", "1")], [("101", "1")], Quality.GOOD),
        ([("100.99", "1")], [("101", "1")], Quality.GOOD),
        ([("101", "1")], [("101", "1")], Quality.RESYNCING),
        ([("102", "1")], [("101", "1")], Quality.RESYNCING),
        ([], [("101", "1")], Quality.RESYNCING),
        ([("99", "1")], [], Quality.RESYNCING),
        ([], [], Quality.RESYNCING),
        ([("99", "1"), ("98", "1")], [("101", "1"), ("102", "1")], Quality.GOOD),
        ([("98", "1"), ("99", "1")], [("101", "1")], Quality.RESYNCING),
        ([("99", "1"), ("99", "1")], [("101", "1")], Quality.RESYNCING),
        ([("99", "1")], [("102", "1"), ("101", "1")], Quality.RESYNCING),
        ([("99", "0")], [("101", "1")], Quality.RESYNCING),
    ],
)
async def test_a_book_that_is_crossed_one_sided_or_out_of_order_is_not_good(
    exchange: FakeExchange, books: Books, bids: list[tuple[str, str]], asks: list[tuple[str, str]], quality: Quality
) -> None:
    exchange.bids = tuple(level(*each) for each in bids)
    exchange.asks = tuple(level(*each) for each in asks)
    assert (await books.book("BTC-EUR", 10)).freshness.quality is quality


async def test_a_hundred_books_at_once_of_any_depth_are_at_most_two_requests(
    exchange: FakeExchange, books: Books
) -> None:
    depths = [1, 5, 25, 50] * 25
    await asyncio.gather(*(books.book("BTC-EUR", depth) for depth in depths))
    assert exchange.asked == {"markets": 1, "book BTC-EUR 50": 1}
    await asyncio.gather(*(books.book("BTC-EUR", depth) for depth in (51, 400, 1000)))
    assert exchange.asked["book BTC-EUR 1000"] == 1


async def test_the_tickers_of_all_markets_cost_one_pair_of_requests(exchange: FakeExchange, tickers: Tickers) -> None:
    one = (await tickers.one("BTC-EUR")).value
    assert (one.last, one.bid, one.ask) == (Decimal(100), Decimal(99), None)
    assert [each.market for each in (await tickers.many(["ETH-USDC", "ADA-EUR"])).value] == ["ADA-EUR", "ETH-USDC"]
    assert len((await tickers.many([])).value) == 3
    assert exchange.asked == {"ticker_prices": 1, "ticker_books": 1}


async def test_trades_say_when_there_may_be_more(exchange: FakeExchange, catalogue: Catalogue) -> None:
    trades = Trades(exchange, catalogue)
    few, all_of_them = [(await trades.newest("BTC-EUR", limit, Window())).value for limit in (5, 6)]
    assert (few.more, all_of_them.more) == (True, False)
    assert exchange.asked["trades BTC-EUR None None"] == 1


async def test_balances_asked_for_by_symbol_leave_out_what_is_zero(
    exchange: FakeExchange, catalogue: Catalogue
) -> None:
    account = Account(exchange, catalogue)
    all_of_them = (await account.balances([])).value
    assert [each.symbol for each in all_of_them] == ["BTC", "EUR"]
    assert [each.symbol for each in (await account.balances(["XRP", "EUR"])).value] == ["EUR"]
    assert exchange.asked == {"balances": 1}


async def test_callers_of_all_sorts_cannot_spend_the_accounts_points(
    exchange: FakeExchange, catalogue: Catalogue
) -> None:
    account = Account(exchange, catalogue)
    exchange.failure = DOWN
    for symbols in ([], ["EUR"], ["BTC"]) * 10:
        with pytest.raises(Unavailable):
            await account.balances(symbols, 0.001)
    assert exchange.asked["balances"] == 1


def test_a_page_token_leads_back_to_where_its_page_ended() -> None:
    assert last_before(token_after("BTC-EUR", "EUR/0"), "EUR/0") == "BTC-EUR"
    assert last_before("", "EUR/0") == ""


@pytest.mark.parametrize("token", ["AAAA", "!", "é", "AAAAAAAAAAA=", token_after("BTC-EUR", "USDC/0")])
def test_a_token_of_another_list_or_filter_is_refused(token: str) -> None:
    with pytest.raises(Invalid) as refused:
        last_before(token, "EUR/0")
    assert refused.value.reason == "PAGE_TOKEN_INVALID"
    assert [each.path for each in refused.value.violations] == ["page_token"]
