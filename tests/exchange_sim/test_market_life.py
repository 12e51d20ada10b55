"""The markets' life: over a seeded day candles, tickers, trades and the ledger say the same; recordings play again."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from exchange_sim import generate_recording as generator
from exchange_sim.catalogue import market_rules, open_markets
from exchange_sim.exchange import Exchange
from exchange_sim.frames import Playback, play
from exchange_sim.market_life import MarketLife
from exchange_sim.recording import frames_of, read_recording, start_market
from exchange_sim.switches import Switches
from tests.exchange_sim.hand_clock import NOON_MS, HandClock
from tests.exchange_sim.world import KEY, World

MARKET = "BTC-EUR"
DAY_MS = 86_400_000
STEP_MS = 15_000
STEPS_PER_ORDER = 40
INTERVALS_MS = {"1m": 60_000, "5m": 300_000, "1h": 3_600_000, "4h": 14_400_000, "1d": DAY_MS}


async def live_a_day(world: World, seed: int) -> None:
    """A day of one market, with a client who now and then takes or leaves an order."""
    await world.account(KEY, ["view", "trade"], {"EUR": "1000000", "BTC": "100"}, "alice")
    await world.admin("POST", "market", {"market": MARKET, "price": "50000", "maxOpenOrders": None})
    await world.admin("POST", "limits", {"points_per_minute": 1_000_000})
    life, random = MarketLife(world.exchange, seed), Random(seed)
    for number in range(DAY_MS // STEP_MS):
        world.clock.advance(STEP_MS)
        life.step()
        if number % STEPS_PER_ORDER == 0:
            best = world.exchange.venues[MARKET].book.asks.best()
            assert best is not None
            price = best.price // 10**12 + random.randint(-20, 2)
            amount = f"0.{random.randint(1, 400):04d}"
            made = await world.order(price=str(price), amount=amount)
            assert made.status == 200 or made.code == 217, made.body


async def all_trades(world: World, target: str) -> list[dict[str, Any]]:
    """All pages of a list of trades, newest first."""
    rows: list[dict[str, Any]] = []
    while True:
        last = f"&tradeIdTo={rows[-1]['id']}" if rows else ""
        page = (await world.call("GET", f"{target}limit=1000{last}")).json
        fresh = page[1:] if rows else page
        if not fresh:
            return rows
        rows += fresh


@dataclass
class Sums:
    """What the trades of one interval amount to."""

    prices: list[Decimal]
    volume: Decimal = Decimal(0)


def candles_of(trades: list[dict[str, Any]], length_ms: int) -> list[list[Any]]:
    """Candles from trades, newest first, in the test's own words."""
    sums: dict[int, Sums] = {}
    for trade in reversed(trades):
        start_ms = trade["timestamp"] // length_ms * length_ms
        here = sums.setdefault(start_ms, Sums([]))
        here.prices.append(Decimal(trade["price"]))
        here.volume += Decimal(trade["amount"])
    rows = [
        [start_ms, each.prices[0], max(each.prices), min(each.prices), each.prices[-1], each.volume]
        for start_ms, each in sums.items()
    ]
    return rows[::-1]


async def test_over_a_seeded_day_candles_tickers_trades_and_the_ledger_agree(world: World) -> None:
    await live_a_day(world, seed=3)
    trades = await all_trades(world, f"/{MARKET}/trades?")
    assert len(trades) > 2_000
    assert len({trade["id"] for trade in trades}) == len(trades)
    for interval, length_ms in INTERVALS_MS.items():
        rows = (await world.public(f"/{MARKET}/candles?interval={interval}")).json
        shown = [[row[0], *map(Decimal, row[1:])] for row in rows]
        assert shown == candles_of(trades, length_ms)[: len(shown)]
        assert len(shown) == min(1440, len(candles_of(trades, length_ms)))
    await check_tickers(world, trades)
    await check_ledger(world, trades)


async def check_tickers(world: World, trades: list[dict[str, Any]]) -> None:
    book = (await world.public(f"/{MARKET}/book?depth=1")).json
    best = (await world.public(f"/ticker/book?market={MARKET}")).json
    assert [[best["bid"], best["bidSize"]]] == book["bids"]
    assert [[best["ask"], best["askSize"]]] == book["asks"]
    assert (await world.public(f"/ticker/price?market={MARKET}")).json["price"] == trades[0]["price"]
    day = (await world.public(f"/ticker/24h?market={MARKET}")).json
    recent = [trade for trade in trades if trade["timestamp"] >= NOON_MS + world.clock.passed_ms - DAY_MS]
    whole = candles_of([{**trade, "timestamp": 0} for trade in recent], 1)[0]
    assert [Decimal(day[name]) for name in ("open", "high", "low", "last", "volume")] == whole[1:]
    assert (day["openTimestamp"], day["closeTimestamp"]) == (recent[-1]["timestamp"], recent[0]["timestamp"])
    value = sum(Decimal(trade["price"]) * Decimal(trade["amount"]) for trade in recent)
    assert abs(Decimal(day["volumeQuote"]) - value) < Decimal("0.00000001")
    assert (day["bid"], day["askSize"]) == (best["bid"], best["askSize"])


async def check_ledger(world: World, trades: list[dict[str, Any]]) -> None:
    """Each order filled what its own trades say, and each own trade is a public one."""
    orders = (await world.admin("GET", "ledger?kind=orders")).json["orders"]
    own = await all_trades(world, f"/trades?market={MARKET}&")
    public = {trade["id"]: trade for trade in trades}
    filled: dict[str, Decimal] = {}
    for trade in own:
        assert (trade["price"], trade["amount"]) == (public[trade["id"]]["price"], public[trade["id"]]["amount"])
        assert public[trade["id"]]["side"] == ("buy" if trade["taker"] else "sell")
        filled[trade["orderId"]] = filled.get(trade["orderId"], Decimal(0)) + Decimal(trade["amount"])
    assert {
        order["orderId"]: Decimal(order["filledAmount"]) for order in orders if order["filledAmount"] != "0"
    } == filled
    assert {order["status"] for order in orders} >= {"filled", "new"}
    assert {trade["taker"] for trade in own} == {True, False}
    money = (await world.admin("GET", "money")).json
    for parts in money.values():
        total = sum(Decimal(parts[name]) for name in ("available", "held", "fees", "house"))
        assert total == Decimal(parts["deposited"])


def tape_of(seed: int) -> list[Any]:
    exchange = Exchange(seed=seed, clock=HandClock())
    open_markets(exchange, 3)
    life = MarketLife(exchange, seed)
    for _ in range(600):
        life.step()
    return [(name, venue.nonce, venue.tape.trades[-20:]) for name, venue in exchange.venues.items()]


def test_the_same_seed_lives_the_same_life() -> None:
    assert tape_of(5) == tape_of(5)
    assert tape_of(5) != tape_of(6)


def recorded(tmp_path: Path, steps: int) -> Path:
    path = tmp_path / "with-frames.json"
    path.write_text(generator.generated_text(MARKET, 7, steps))
    return path


def opened(path: Path) -> Exchange:
    exchange = Exchange(clock=HandClock(), switches=Switches(book_batch_ms=0))
    recording = read_recording(path)
    start_market(exchange, exchange.open_market(market_rules(MARKET)[0]), recording)
    return exchange


def test_frames_played_again_give_the_recorded_market_at_every_frame(tmp_path: Path) -> None:
    path = recorded(tmp_path, 300)
    exchange = opened(path)
    venue = exchange.venues[MARKET]
    levels = {
        (name, Decimal(price)): Decimal(size)
        for name in ("bids", "asks")
        for price, size in orjson.loads(path.read_bytes())["book"][name]
    }
    for frame in frames_of(read_recording(path)):
        play(exchange, frame)
        if frame["event"] == "trade":
            last = venue.tape.last
            assert last is not None
            assert (last.price, last.is_buy) == (int(Decimal(str(frame["price"])) * 10**12), frame["side"] == "buy")
            continue
        for name in ("bids", "asks"):
            for price, size in frame[name]:  # type: ignore[attr-defined]
                levels[name, Decimal(price)] = Decimal(size)
        shown = {
            (name, Decimal(level.price).scaleb(-12)): Decimal(level.total).scaleb(-8)
            for name, side in (("bids", venue.book.bids), ("asks", venue.book.asks))
            for level in side.levels()
        }
        assert shown == {level: size for level, size in levels.items() if size}


@pytest.mark.parametrize(("speed", "most_s"), [(1_000, 3.0), (100, 6.0)])
async def test_frames_play_at_any_speed(tmp_path: Path, speed: float, most_s: float) -> None:
    """A hundred steps took ten seconds when they were recorded."""
    import asyncio  # noqa: PLC0415  only here

    path = recorded(tmp_path, 100)
    exchange = opened(path)
    before = len(exchange.venues[MARKET].tape.trades)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await Playback(exchange, frames_of(read_recording(path)), speed).run()
    assert 9.0 / speed <= loop.time() - began < most_s
    trades = [frame for frame in frames_of(read_recording(path)) if frame["event"] == "trade"]
    assert len(exchange.venues[MARKET].tape.trades) - before == len(trades)


async def test_a_recorded_trade_fills_a_clients_order_that_it_reaches(world: World) -> None:
    made = (await world.order(price="49995", amount="0.02")).json
    frame = {"event": "trade", "market": MARKET, "amount": "0.05", "price": "49993", "side": "sell", "timestamp": 1}
    play(world.exchange, frame)
    found = (await world.call("GET", f"/order?market={MARKET}&orderId={made['orderId']}")).json
    assert (found["status"], found["fills"][0]["price"]) == ("filled", "49995")
    rows = (await world.public(f"/{MARKET}/trades?limit=2")).json
    assert [(row["price"], row["amount"]) for row in rows] == [("49993", "0.03"), ("49995", "0.02")]
