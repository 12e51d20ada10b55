"""The public side: shapes, and that candles equal their trades and tickers their book."""

from collections.abc import Mapping
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson
import pytest

from exchange_sim.catalogue import STANDARD_MARKETS, open_markets
from exchange_sim.exchange import Exchange
from exchange_sim.generate_recording import generated_text
from exchange_sim.market_life import MarketLife
from exchange_sim.recording import GENERATED_BTC, read_recording
from exchange_sim.rules import default_row, read_rules
from exchange_sim.tape import Trade
from tests.exchange_sim.hand_clock import NOON_MS, HandClock
from tests.exchange_sim.world import World

MINUTE_MS = 60_000
DAY_MS = 1_440 * MINUTE_MS


@pytest.mark.parametrize("path", ["/markets", "/ticker/price", "/ticker/book", "/ticker/24h"])
async def test_a_market_given_answers_an_object_and_none_a_list(world: World, path: str) -> None:
    one, every = await world.public(f"{path}?market=BTC-EUR"), await world.public(path)
    assert one.json["market"] == "BTC-EUR"
    assert [row["market"] for row in every.json] == ["BTC-EUR"]
    await world.admin("POST", "switches", {"filtered_shape": "array"})
    assert [row["market"] for row in (await world.public(f"{path}?market=BTC-EUR")).json] == ["BTC-EUR"]


async def test_a_book_is_sorted_unpadded_and_numbered(world: World) -> None:
    book = (await world.public("/BTC-EUR/book?depth=1")).json
    assert (book["bids"], book["asks"]) == ([["49990", "1"]], [["50000", "1"]])
    assert book["timestamp"] == NOON_MS * 1_000_000
    await world.order(price="49995")
    changed = (await world.public("/BTC-EUR/book")).json
    assert changed["bids"] == [["49995", "0.01"], ["49990", "1"], ["49980", "2"]]
    assert changed["nonce"] > book["nonce"]
    for depth in ("0", "1001", "x"):
        assert (await world.public(f"/BTC-EUR/book?depth={depth}")).code == 205


async def test_a_market_that_is_not_trading_has_no_book(world: World) -> None:
    await world.admin("POST", "market", {"market": "BTC-EUR", "status": "halted"})
    refused = await world.public("/BTC-EUR/book")
    assert (refused.status, refused.code) == (409, 431)
    assert refused.json["error"] == "getBook is not available for BTC-EUR in state HALTED"


async def test_the_ticker_is_the_top_of_the_book(world: World) -> None:
    row = {"market": "BTC-EUR", "bid": "49990", "bidSize": "1", "ask": "50000", "askSize": "1"}
    assert (await world.public("/ticker/book?market=BTC-EUR")).json == row
    await world.admin("POST", "book", {"market": "BTC-EUR", "bids": [["49990", "1"]], "asks": []})
    assert "ask" not in (await world.public("/ticker/book?market=BTC-EUR")).json
    await world.admin("POST", "switches", {"empty_ticker_side": "null"})
    assert (await world.public("/ticker/book?market=BTC-EUR")).json["ask"] is None


async def test_a_day_without_trades_has_nulls_or_nothing(world: World) -> None:
    assert (await world.public("/ticker/24h?market=BTC-EUR")).json["last"] is None
    await world.admin("POST", "switches", {"quiet_ticker_24h": "absent"})
    assert "last" not in (await world.public("/ticker/24h?market=BTC-EUR")).json


async def test_an_unknown_path_is_html_without_rate_headers(world: World) -> None:
    for target in ("/nope", "/a/b/c", "/BTC-EUR/nope"):
        lost = await world.public(target)
        assert (lost.status, lost.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
        assert "bitvavo-ratelimit-limit" not in lost.headers


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/BTC-EUR/candles", 203),
        ("/BTC-EUR/candles?interval=1H", 205),
        ("/BTC-EUR/candles?interval=1m&limit=1441", 205),
        ("/btc-eur/book", 205),
        ("/NOPE-EUR/book", 205),
        ("/markets?Market=BTC-EUR", 200),
        ("/assets?symbol=NOPE", 205),
        (f"/BTC-EUR/trades?start=0&end={DAY_MS + 1}", 205),
    ],
)
async def test_a_wrong_question_has_its_code(world: World, target: str, code: int) -> None:
    assert (await world.public(target)).code == code


async def trade_for_a_while(world: World) -> list[dict[str, Any]]:
    life = MarketLife(world.exchange, seed=3)
    for _ in range(600):
        life.step()
        world.clock.advance(1_777)
    trades: list[dict[str, Any]] = (await world.public("/BTC-EUR/trades?limit=1000")).json
    assert len(trades) > 200
    return trades


async def test_candles_equal_their_trades(world: World) -> None:
    trades = (await trade_for_a_while(world))[::-1]
    for interval, length_ms in (("1m", MINUTE_MS), ("5m", 5 * MINUTE_MS), ("1h", 60 * MINUTE_MS)):
        expected = []
        for open_ms, group in groupby(trades, key=lambda trade: trade["timestamp"] // length_ms * length_ms):
            rows = list(group)
            prices = [Decimal(row["price"]) for row in rows]
            volume = sum(Decimal(row["amount"]) for row in rows)
            expected.append((open_ms, prices[0], max(prices), min(prices), prices[-1], volume))
        candles = (await world.public(f"/BTC-EUR/candles?interval={interval}")).json
        assert [(row[0], *map(Decimal, row[1:])) for row in candles] == expected[::-1]


async def test_the_day_equals_its_trades_and_its_book(world: World) -> None:
    trades = await trade_for_a_while(world)
    day = (await world.public("/ticker/24h?market=BTC-EUR")).json
    prices = [Decimal(row["price"]) for row in trades]
    assert (Decimal(day["open"]), Decimal(day["last"])) == (prices[-1], prices[0])
    assert (Decimal(day["high"]), Decimal(day["low"])) == (max(prices), min(prices))
    assert Decimal(day["volume"]) == sum(Decimal(row["amount"]) for row in trades)
    assert (day["openTimestamp"], day["closeTimestamp"]) == (trades[-1]["timestamp"], trades[0]["timestamp"])
    top = (await world.public("/ticker/book?market=BTC-EUR")).json
    assert {name: day[name] for name in top} == top
    assert (await world.public("/ticker/price?market=BTC-EUR")).json["price"] == day["last"]
    assert day["timestamp"] - day["startTimestamp"] == DAY_MS


def test_a_day_ends_to_the_millisecond() -> None:
    exchange = Exchange(clock=HandClock())
    tape = exchange.open_market(read_rules(default_row("BTC-EUR"))).tape
    for second in (10, 20, 30):
        at_ms = NOON_MS + second * 1_000
        tape.add(Trade(str(second), at_ms, at_ms * 1_000_000, second, 1, is_buy=True))
    volumes = []
    for now_ms in (NOON_MS + 20_000 + DAY_MS, NOON_MS + 20_001 + DAY_MS, NOON_MS + 30_001 + DAY_MS):
        day = tape.day(now_ms)
        volumes.append(day.candle.volume if day else None)
    assert volumes == [50, 30, None]


async def test_a_clock_set_back_does_not_reorder_the_trades(world: World) -> None:
    for offset_ms, amount in ((0, "0.01"), (-60_000, "0.02")):
        await world.admin("POST", "clock", {"offset_ms": offset_ms})
        await world.admin("POST", "trade", {"market": "BTC-EUR", "side": "buy", "amount": amount})
    trades = (await world.public("/BTC-EUR/trades")).json
    assert [(row["amount"], row["timestamp"]) for row in trades] == [("0.02", NOON_MS), ("0.01", NOON_MS)]
    assert len((await world.public("/BTC-EUR/candles?interval=1m")).json) == 1


async def test_months_and_weeks_follow_the_calendar(world: World) -> None:
    await trade_for_a_while(world)
    month = (await world.public("/BTC-EUR/candles?interval=1M")).json[0][0]
    week = (await world.public("/BTC-EUR/candles?interval=1W")).json[0][0]
    assert month == 1_793_491_200_000  # 2026-11-01
    assert week == 1_795_392_000_000  # Monday 2026-11-23


def started(seed: int, path: Path | None = None) -> Exchange:
    exchange = Exchange(seed=seed, clock=HandClock())
    open_markets(exchange, STANDARD_MARKETS, path)
    return exchange


def life_of(seed: int) -> list[Trade]:
    exchange = started(seed)
    life = MarketLife(exchange, seed)
    for _ in range(200):
        life.step()
    return exchange.venues["ETH-EUR"].tape.trades


def test_a_seed_decides_everything_but_time() -> None:
    assert life_of(4) == life_of(4)
    assert life_of(4) != life_of(5)


def candles_of(exchange: Exchange, recording: Mapping[str, Any]) -> list[list[Any]]:
    venue = exchange.venues[recording["market"]]
    minutes = venue.tape.candles(lambda at_ms: at_ms // 300_000 * 300_000, 0, 2**53, len(recording["candles_5m"]))
    scale = Decimal(10)
    return [
        [
            *(Decimal(value) / scale**12 for value in (each.open, each.high, each.low, each.close)),
            Decimal(each.volume) / scale**8,
        ]
        for each in minutes
    ]


def test_a_market_starts_from_its_recording_to_the_last_digit() -> None:
    recording: Mapping[str, Any] = read_recording(GENERATED_BTC)
    exchange = started(1)
    recorded = [list(map(Decimal, row[1:])) for row in recording["candles_5m"]]
    assert candles_of(exchange, recording) == recorded
    venue = exchange.venues["BTC-EUR"]
    assert venue.nonce == recording["book"]["nonce"]
    day = venue.tape.day(exchange.now_ms())
    assert day is not None
    assert Decimal(day.candle.volume) / Decimal(10) ** 8 == Decimal(recording["ticker24h"]["volume"])
    assert Decimal(day.candle.high) / Decimal(10) ** 12 == Decimal(recording["ticker24h"]["high"])
    assert [[level.price // 10**12, level.total] for level in venue.book.bids.levels()][:2] == [
        [int(price), int(Decimal(size) * 10**8)] for price, size in recording["book"]["bids"][:2]
    ]


def test_the_shipped_recording_is_what_its_generator_makes() -> None:
    assert GENERATED_BTC.read_text() == generated_text("BTC-EUR", 1)


def test_a_recording_without_a_part_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "half.json"
    path.write_bytes(orjson.dumps({"market": "BTC-EUR"}))
    with pytest.raises(ValueError, match="lacks book, candles_5m, ticker24h"):
        read_recording(path)


def test_any_number_of_markets_can_be_opened() -> None:
    exchange = Exchange(clock=HandClock())
    open_markets(exchange, 30)
    assert len(exchange.venues) == 30
    assert all(
        venue.book.bids.best() and venue.book.asks.best() and venue.tape.last for venue in exchange.venues.values()
    )


async def test_a_market_opened_with_a_price_has_depth_and_a_history(world: World) -> None:
    await world.admin("POST", "market", {"market": "NEW-EUR", "price": "12.5", "tickSize": "0.001"})
    assert len((await world.public("/NEW-EUR/book")).json["bids"]) == 40
    assert len((await world.public("/NEW-EUR/candles?interval=5m&limit=60")).json) == 60
    assert (await world.public("/assets?symbol=NEW")).json["symbol"] == "NEW"
