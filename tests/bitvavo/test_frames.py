"""What the WebSocket says, read strictly. The good frames are recorded ones of the exchange."""

from decimal import Decimal
from time import perf_counter

import orjson
import pytest

from bitvavo.frames import (
    BookDelta,
    CandleChange,
    MalformedFrameError,
    Refused,
    Subscribed,
    TickerChange,
    Tickers24h,
    TradeSeen,
    Unasked,
    read_frame,
)
from bitvavo.topics import Channel, Topic

XRP = (
    b'{"event":"book","market":"XRP-EUR","nonce":333271094,"bids":[["1.395930","0"],["1.396070","5011.229271"]],'
    b'"asks":[["1.398990","10223.000000"]],"timestamp":1790126693585816821}'
)
TICKER = b'{"event":"ticker","market":"BTC-EUR","bestBid":"75743","bestBidSize":"0.14051168"}'
BOOK = b'{"event":"book","market":"A-EUR","nonce":%s,"bids":%s,"asks":[]}'
ACK = (
    b'{"event":"subscribed","requestId":3,"subscriptions":{"book":["BTC-EUR"],"ticker":["BTC-EUR"],'
    b'"candles":{"1h":["BTC-EUR"]},"account":["*"]}}'
)


XRP_DELTA = BookDelta(
    "XRP-EUR",
    333271094,
    [((1395930000000, "1.39593"), "0"), ((1396070000000, "1.39607"), "5011.229271")],
    [((-1398990000000, "1.39899"), "10223.000000")],
    1790126693585816821,
)


def test_a_book_event_is_ranks_prices_and_sizes() -> None:
    assert read_frame(XRP) == XRP_DELTA


def test_a_book_event_is_the_same_in_any_order_of_its_fields_and_with_any_blanks() -> None:
    fields = orjson.loads(XRP)
    backwards = dict(reversed(fields.items()))
    assert read_frame(orjson.dumps(backwards)) == read_frame(orjson.dumps(fields, option=2)) == XRP_DELTA


@pytest.mark.parametrize("size", [b"0", b"0.0", b"0.00000000"])
def test_nothing_is_nothing_in_every_spelling(size: bytes) -> None:
    read = read_frame(BOOK % (b"1", b'[["1","0.5"],["2","%s"]]' % size))
    assert isinstance(read, BookDelta)
    assert [size for _, size in read.bids] == ["0.5", "0"]


def test_a_ticker_event_has_only_what_changed() -> None:
    change = TickerChange("BTC-EUR", Decimal(75743), Decimal("0.14051168"), None, None, None)
    assert read_frame(TICKER) == change


@pytest.mark.parametrize("name", [b"candle", b"candles"])
def test_both_spellings_of_the_candle_event_are_read(name: bytes) -> None:
    raw = b'{"event":"%s","market":"BTC-EUR","interval":"1m","candle":[[1,"1","2","1","2","3"]]}' % name
    read = read_frame(raw)
    assert isinstance(read, CandleChange)
    assert (read.interval, read.rows[0].volume) == ("1m", Decimal(3))


def test_an_acknowledgement_lists_topics_of_channels_we_know() -> None:
    topics = {
        Topic(Channel.BOOK, "BTC-EUR"),
        Topic(Channel.TICKER, "BTC-EUR"),
        Topic(Channel.CANDLES, "BTC-EUR", "1h"),
    }
    assert read_frame(ACK) == Subscribed(frozenset(topics), 3)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b'{"event":"trade","timestamp":5,"market":"A-EUR","id":"x","amount":"1","price":"2","side":"buy"}', TradeSeen),
        (b'{"event":"ticker24h","data":[{"market":"A-EUR","open":null}]}', Tickers24h),
        (b'{"action":"subscribe","errorCode":205,"error":"market parameter NOPE-EUR is invalid."}', Refused),
        (b'{"event":"error","action":"subscribe","errorCode":205,"error":"x"}', Refused),
        (b'{"action":"getTime","response":{"time":1790127027148}}', Unasked),
        (b'{"event":"somethingNew","market":"A-EUR"}', Unasked),
    ],
)
def test_each_kind_of_frame_is_told_apart(raw: bytes, kind: type) -> None:
    assert isinstance(read_frame(raw), kind)


@pytest.mark.parametrize(
    "raw",
    [
        *(
            BOOK % (b"1", bids)
            for bids in (
                b'[["1","1e5"]]',
                b'[["1","-1"]]',
                b'[["1","1,2"]]',
                b'[["1","1,"]]',
                b'[["1",""]]',
                b'[["1"," 1"]]',
                b'[["1","1"],["2","0.000x"]]',
                b'[["1","0.0000000000000001"]]',
                b'[["1","1_0"]]',
                b'[["1","01"]]',
                b'[["1",".5"]]',
                b'[["1","5."]]',
                b'[["1",1]]',
                b'[[1,"1"]]',
                b'[["1","1","1"]]',
                b'[["1"]]',
                b'["12"]',
                b'[{"a":"1","b":"1"}]',
                b'[["0","1"]]',
                b'[["1.0000000000001","1"]]',
                b'[["NaN","1"]]',
                b'[["1","Infinity"]]',
                b"null",
                b'{"1":"1"}',
            )
        ),
        *(BOOK % (nonce, b"[]") for nonce in (b"-1", b"1.0", b'"1"', b"true", b"null", b"9223372036854775808")),
        BOOK % (b"1", b"[" * 100_000 + b"]" * 100_000),
        BOOK[:-1] % (b"1", b"[]") + b',"more":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        BOOK % (b"1", b'[["1","1"]]') + b"}",
        BOOK % (b"1", b'[["1","\xff"]]'),
        b"not json",
        b"\xff",
        b"[]",
        b"3",
        b"{}",
        b'{"event":"book","market":"a b","nonce":1,"bids":[],"asks":[]}',
    ],
)
def test_what_is_not_as_documented_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedFrameError):
        read_frame(raw)


def test_a_malformed_frame_names_the_market_it_was_about() -> None:
    with pytest.raises(MalformedFrameError) as refused:
        read_frame(BOOK % (b"-1", b"[]"))
    assert refused.value.market == "A-EUR"
    with pytest.raises(MalformedFrameError) as refused:
        read_frame(b"not json")
    assert refused.value.market is None


def test_a_hostile_size_is_refused_as_fast_as_a_good_one_is_read() -> None:
    raw = BOOK % (b"1", b'[["1","' + b"9" * 1_000_000 + b'x"]]')
    began = perf_counter()
    with pytest.raises(MalformedFrameError):
        read_frame(raw)
    assert perf_counter() - began < 1
