"""Market data as recorded from the exchange, and what is not that."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from bitvavo import account, market
from bitvavo.strict_json import MalformedError

MARKET_ROW = (
    b'{"market":"BTC-EUR","status":"trading","base":"BTC","quote":"EUR","pricePrecision":null,'
    b'"minOrderInBaseAsset":"0.00006607","minOrderInQuoteAsset":"5.00","maxOrderInBaseAsset":"1000000000",'
    b'"maxOrderInQuoteAsset":"1000000000","quantityDecimals":8,"notionalDecimals":2,"tickSize":"1.00",'
    b'"maxOpenOrders":400,"feeCategory":"A","orderTypes":["market","limit","stopLoss"]}'
)
TICKER = (
    b'{"market":"BTC-EUR","startTimestamp":1791148854095,"timestamp":1791235254095,"open":"76242",'
    b'"openTimestamp":1791148863081,"high":"77488","low":"75823","last":"76479","closeTimestamp":1791235238290,'
    b'"bid":"76478","bidSize":"0.09804026","ask":"76479","askSize":"0.20700057","volume":"666.54250347",'
    b'"volumeQuote":"51137785.39074662"}'
)
BOOK = (
    b'{"market":"BTC-EUR","nonce":413297445,"bids":[["75521","0.05641959"]],"asks":[["75522","0.0235618"]],'
    b'"timestamp":1790127496313579360}'
)


@pytest.mark.parametrize("body", [MARKET_ROW, b"[" + MARKET_ROW + b"]"])
def test_market_rules_are_read_from_an_object_and_from_a_list(body: bytes) -> None:
    (rules,) = market.parse_markets(body)
    assert (rules.market, rules.trading, rules.tick_size) == ("BTC-EUR", True, Decimal("1.00"))
    assert (rules.quantity_decimals, rules.notional_decimals, rules.max_open_orders) == (8, 2, 400)
    assert (rules.min_order_base, rules.min_order_quote) == (Decimal("0.00006607"), Decimal("5.00"))
    assert rules.order_types == ("market", "limit", "stopLoss")


def test_a_market_without_a_cap_on_open_orders_has_none() -> None:
    (rules,) = market.parse_markets(MARKET_ROW.replace(b'"maxOpenOrders":400', b'"maxOpenOrders":null'))
    assert rules.max_open_orders is None


@pytest.mark.parametrize("status", [b"halted", b"auction", b"auctionMatching", b"cancelOnly", b"brandNew"])
def test_only_the_word_trading_is_trading(status: bytes) -> None:
    (rules,) = market.parse_markets(MARKET_ROW.replace(b"trading", status))
    assert not rules.trading


def test_a_ticker_is_read_and_one_without_trades_has_no_prices() -> None:
    (ticker,) = market.parse_tickers_24h(TICKER)
    assert (ticker.last, ticker.bid, ticker.ask_size) == (Decimal(76479), Decimal(76478), Decimal("0.20700057"))
    (empty,) = market.parse_tickers_24h(b'[{"market":"X-EUR","open":null,"volume":null}]')
    assert (empty.open, empty.volume, empty.bid, empty.timestamp_ms) == (None, None, None, None)


def test_prices_and_best_offers_are_read() -> None:
    assert market.parse_ticker_prices(b'{"market":"BTC-EUR","price":"76479"}')[0].price == Decimal(76479)
    (best,) = market.parse_ticker_books(b'[{"market":"BTC-EUR","bid":"1","bidSize":"2","ask":null}]')
    assert (best.bid, best.bid_size, best.ask, best.ask_size) == (Decimal(1), Decimal(2), None, None)


def test_a_book_keeps_its_digits_and_its_nanoseconds() -> None:
    book = market.parse_book(BOOK)
    assert (book.nonce, book.timestamp_ns) == (413297445, 1790127496313579360)
    assert str(book.bids[0].size) == "0.05641959"


def test_trades_candles_and_the_clock_are_read() -> None:
    row = b'[{"id":"u","timestamp":1790127000123,"amount":"0.01","price":"75520","side":"buy"}]'
    assert market.parse_public_trades(row)[0].timestamp_ms == 1790127000123
    (candle,) = market.parse_candles(b'[[1790126940000,"75500","75530","75490","75521","1.2345"]]')
    assert (candle.open_time_ms, candle.high, candle.volume) == (1790126940000, Decimal(75530), Decimal("1.2345"))
    assert market.parse_time(b'{"time":1790126496703,"timeNs":1790126496703587000}') == 1790126496703


def test_the_account_is_read() -> None:
    (asset,) = account.parse_assets(b'{"symbol":"BTC","name":"Bitcoin","decimals":8,"depositStatus":"OK","message":""}')
    assert (asset.symbol, asset.decimals, asset.withdrawal_status) == ("BTC", 8, None)
    own = account.parse_fees(b'{"fees":{"taker":"0.0025","maker":"0.0015","volume":"100.00","tier":0}}')
    per_market = account.parse_fees(b'{"tier":"0","volume":"10000.00","taker":"0.0025","maker":"0.0015"}')
    assert (own.taker, own.tier) == (per_market.taker, per_market.tier) == (Decimal("0.0025"), "0")
    assert account.parse_balances(b"[]") == ()


PARSERS: list[tuple[Callable[[bytes], object], bytes]] = [
    (market.parse_markets, MARKET_ROW),
    (market.parse_tickers_24h, TICKER),
    (market.parse_book, BOOK),
    (market.parse_time, b'{"time":1790126496703}'),
    (account.parse_balances, b'[{"symbol":"EUR","available":"16.48","inOrder":"0"}]'),
    (account.parse_fees, b'{"taker":"0.0025","maker":"0.0015"}'),
    (market.parse_candles, b'[[1790126940000,"75500","75530","75490","75521","1.2345"]]'),
]


@pytest.mark.parametrize(("parse", "good"), PARSERS)
def test_what_is_not_the_documented_shape_is_malformed(parse: Callable[[bytes], object], good: bytes) -> None:
    assert parse(good)
    for body in (b"", b"<html>", b"null", b"7", b'"x"', b"[7]", b"[[]]", b"[{}]", b"{}", good[:-1], good + b"x"):
        with pytest.raises(MalformedError):
            parse(body)


@pytest.mark.parametrize("price", [b"75521", b'"7.5e4"', b'"NaN"', b'"-1"', b'""', b"null", b'"75,521"'])
def test_a_price_in_any_other_notation_is_malformed(price: bytes) -> None:
    with pytest.raises(MalformedError):
        market.parse_book(BOOK.replace(b'"75521"', price))


def test_money_of_the_account_is_read_strictly() -> None:
    with pytest.raises(MalformedError):
        account.parse_balances(b'[{"symbol":"EUR","available":"1","available":"2","inOrder":"0"}]')
