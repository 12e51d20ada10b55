"""What the channels of market data tell, to whom, and when."""

from decimal import Decimal

import pytest
from aiohttp import WSMsgType

from exchange_sim import socket_session
from tests.exchange_sim.wire_client import WireClient, connect, named
from tests.exchange_sim.world import ASKS, BIDS, World

FAST = {"book_batch_ms": 5, "delta_after_subscribe": False}


@pytest.fixture
async def client(world: World) -> WireClient:
    await world.admin("POST", "switches", FAST)
    return await connect(world)


async def quote(world: World, bids: list[list[str]], asks: list[list[str]]) -> None:
    await world.admin("POST", "book", {"market": "BTC-EUR", "bids": bids, "asks": asks})


async def test_an_acknowledgement_lists_all_subscriptions_of_the_socket(world: World, client: WireClient) -> None:
    await world.admin("POST", "market", {"market": "ETH-EUR"})
    await client.subscribe("book", ("BTC-EUR", "ETH-EUR"))
    channels = [
        {"name": "ticker", "markets": ["BTC-EUR"]},
        {"name": "candles", "interval": ["1m", "1h"], "markets": ["BTC-EUR"]},
    ]
    await client.send(action="subscribe", channels=channels)
    assert await client.event("subscribed") == {
        "event": "subscribed",
        "subscriptions": {
            "book": ["BTC-EUR", "ETH-EUR"],
            "ticker": ["BTC-EUR"],
            "candles": {"1m": ["BTC-EUR"], "1h": ["BTC-EUR"]},
        },
    }
    await client.send(action="unsubscribe", channels=[{"name": "book", "markets": ["ETH-EUR"]}, *channels])
    assert await client.event("unsubscribed") == {"event": "unsubscribed", "subscriptions": {"book": ["BTC-EUR"]}}


async def test_a_refused_subscription_subscribes_to_nothing(world: World, client: WireClient) -> None:
    assert (await client.subscribe("trades", ("BTC-EUR", "NOPE-EUR")))["errorCode"] == 205
    await world.admin("POST", "trade", {"market": "BTC-EUR", "side": "buy", "amount": "0.1"})
    assert await client.rest() == []


async def test_subscribing_again_tells_nothing_twice(world: World, client: WireClient) -> None:
    for _ in range(3):
        assert (await client.subscribe("trades"))["subscriptions"] == {"trades": ["BTC-EUR"]}
    await world.admin("POST", "trade", {"market": "BTC-EUR", "side": "buy", "amount": "0.1"})
    assert len(await client.rest()) == 1


async def test_who_unsubscribed_hears_no_more_and_others_still_do(world: World, client: WireClient) -> None:
    other = await connect(world)
    await client.subscribe("trades")
    await other.subscribe("trades")
    await client.send(action="unsubscribe", channels=[{"name": "trades", "markets": ["BTC-EUR"]}])
    await client.event("unsubscribed")
    await world.admin("POST", "trade", {"market": "BTC-EUR", "side": "buy", "amount": "0.1"})
    assert await client.rest() == []
    assert named(other.seen + await other.rest(), "trade")


async def test_a_trade_is_told_as_the_tape_has_it(world: World, client: WireClient) -> None:
    await client.subscribe("trades")
    await world.admin("POST", "trade", {"market": "BTC-EUR", "side": "sell", "amount": "0.1"})
    told = await client.event("trade")
    row = (await world.public("/BTC-EUR/trades")).json[0]
    assert told == {"event": "trade", "market": "BTC-EUR", "timestampNs": row["timestamp"] * 1_000_000, **row}


async def test_a_ticker_tells_only_what_changed(world: World, client: WireClient) -> None:
    await client.subscribe("ticker")
    await quote(world, [["49995", "3"]], ASKS)
    assert await client.rest() == [
        {"event": "ticker", "market": "BTC-EUR", "bestBid": "49995", "bestBidSize": "3"},
    ]
    await world.admin("POST", "trade", {"market": "BTC-EUR", "side": "buy", "amount": "0.25"})
    assert await client.rest() == [{"event": "ticker", "market": "BTC-EUR", "lastPrice": "50000"}]
    await quote(world, [["49995", "3"], ["49990", "7"]], ASKS)
    assert await client.rest() == []


async def test_a_candle_is_the_running_one_and_equals_rest(world: World, client: WireClient) -> None:
    await client.subscribe("candles", interval=["1m", "1d"])
    for side in ("buy", "sell"):
        await world.admin("POST", "trade", {"market": "BTC-EUR", "side": side, "amount": "0.25"})
    newest = {frame["interval"]: frame for frame in await client.rest()}
    assert newest.keys() == {"1m", "1d"}
    for interval, frame in newest.items():
        assert (frame["event"], frame["market"]) == ("candle", "BTC-EUR")
        assert frame["candle"] == (await world.public(f"/BTC-EUR/candles?interval={interval}&limit=1")).json


async def test_a_candle_event_can_have_the_documents_other_name(world: World, client: WireClient) -> None:
    await world.admin("POST", "switches", {"candle_event": "candles"})
    await client.subscribe("candles", interval=["1m"])
    await world.admin("POST", "trade", {"market": "BTC-EUR", "side": "buy", "amount": "0.25"})
    assert (await client.event("candles"))["interval"] == "1m"


async def test_a_day_ticker_equals_rest_and_comes_soon_even_when_quiet(world: World, client: WireClient) -> None:
    await client.subscribe("ticker24h")
    told = await client.event("ticker24h")
    assert told["data"] == [(await world.public("/ticker/24h?market=BTC-EUR")).json]


async def test_a_delta_is_padded_and_a_snapshot_is_not(world: World, client: WireClient) -> None:
    await client.subscribe("book")
    await quote(world, [["49990", "1"], ["49970", "0.5"]], [["50000", "1"], ["50010", "2"]])
    delta = await client.event("book")
    assert (await client.rest()) == []
    snapshot = (await client.ask(action="getBook", market="BTC-EUR"))["response"]
    assert ["49970.00", "0.50000000"] in delta["bids"]
    assert ["49980.00", "0"] in delta["bids"]
    assert delta["nonce"] == snapshot["nonce"] == (await world.public("/BTC-EUR/book")).json["nonce"]
    assert snapshot["bids"] == [["49990", "1"], ["49970", "0.5"]]


async def test_changes_of_one_batch_are_one_event_and_the_next_has_the_next_nonce(
    world: World, client: WireClient
) -> None:
    await world.admin("POST", "switches", {"book_batch_ms": 300})
    await client.subscribe("book")
    await client.rest()
    for price in ("40000", "40010", "40020"):
        await world.order(price=price)
    first = await client.event("book")
    assert sorted(first["bids"]) == [[f"{price}.00", "0.01000000"] for price in ("40000", "40010", "40020")]
    await world.order(price="40030")
    assert (await client.event("book"))["nonce"] == first["nonce"] + 1


async def test_a_snapshot_ends_the_batch_so_that_its_nonce_is_the_state(world: World, client: WireClient) -> None:
    await world.admin("POST", "switches", {"book_batch_ms": 200})
    await client.subscribe("book")
    await world.order(price="40000")
    over_rest = (await world.public("/BTC-EUR/book")).json
    over_socket = (await client.ask(action="getBook", market="BTC-EUR"))["response"]
    assert over_socket["nonce"] == over_rest["nonce"]
    assert ["40000", "0.01"] in over_rest["bids"]
    told = named(client.seen + await client.rest(), "book")
    assert told[-1]["nonce"] == over_rest["nonce"]
    assert ["40000.00", "0.01000000"] in told[-1]["bids"]


async def test_a_quiet_market_tells_one_event_after_a_subscription(world: World, client: WireClient) -> None:
    await world.admin("POST", "switches", {"delta_after_subscribe": True})
    before = (await world.public("/BTC-EUR/book")).json
    await client.subscribe("book")
    (told,) = await client.rest()
    assert (told["nonce"], told["bids"]) == (before["nonce"] + 1, [["49990.00", "1.00000000"]])
    assert (await world.public("/BTC-EUR/book")).json["bids"] == before["bids"]


@pytest.mark.parametrize("channel", ["book", "ticker", "ticker24h", "trades", "candles"])
async def test_a_halted_market_is_acknowledged_and_then_silent(world: World, channel: str) -> None:
    await world.admin("POST", "switches", {"book_batch_ms": 5})
    await world.admin("POST", "market", {"market": "BTC-EUR", "status": "halted"})
    client = await connect(world)
    more = {"interval": ["1m"]} if channel == "candles" else {}
    assert "subscriptions" in await client.subscribe(channel, **more)
    await quote(world, BIDS, [["50020", "1"]])
    await world.admin("POST", "trade", {"market": "BTC-EUR", "side": "buy", "amount": "0.1"})
    assert await client.rest() == []


async def test_437_markets_are_one_message_and_1000_subscriptions_one_socket(world: World, client: WireClient) -> None:
    markets = tuple(f"M{number}-EUR" for number in range(437))
    for market in markets:
        await world.admin("POST", "market", {"market": market})
    left = int((await world.public("/time")).headers["bitvavo-ratelimit-remaining"])
    assert (await client.subscribe("book", markets))["subscriptions"]["book"] == list(markets)
    await client.subscribe("trades", markets)
    ack = await client.subscribe("ticker", markets)
    assert sum(map(len, ack["subscriptions"].values())) == 3 * 437
    assert int((await world.public("/time")).headers["bitvavo-ratelimit-remaining"]) == left - 3 - 1


@pytest.mark.parametrize("window_bits", [15, 10])
async def test_compression_is_used_when_offered_and_reads_back(world: World, window_bits: int) -> None:
    plain, squeezed = await connect(world), await connect(world, compress=window_bits)
    assert [bool(client.socket.compress) for client in (plain, squeezed)] == [False, True]
    assert {session.window_bits for session in world.server.sockets._sessions} == {0, window_bits}
    for client in (plain, squeezed):
        await client.ask(action="getMarkets", requestId=1)
        await client.subscribe("book")
        await client.subscribe("trades")
    for number in range(20):
        await world.admin("POST", "trade", {"market": "BTC-EUR", "side": "buy", "amount": f"0.{number + 1}"})
    frames = [await client.rest() for client in (plain, squeezed)]
    trades = [named(each, "trade") for each in frames]
    assert trades[0] == trades[1]
    assert len(trades[1]) == 20


async def test_a_client_that_does_not_read_is_cut_off(
    world: World, client: WireClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_session, "MOST_UNSENT_BYTES", 200_000)
    await world.admin("POST", "limits", {"points_per_minute": 1_000_000})
    levels = [[str(40_000 - number), "1"] for number in range(1_000)]
    await quote(world, levels, ASKS)
    for number in range(2_000):
        if client.socket.closed:
            break
        await client.send(action="getBook", market="BTC-EUR", requestId=number)
    while (frame := await client.socket.receive()).type is WSMsgType.TEXT:
        pass
    assert frame.type in (WSMsgType.CLOSED, WSMsgType.ERROR, WSMsgType.CLOSE)
    assert world.server.sockets.cut_off == 1
    assert (await world.public("/time")).status == 200


async def test_ticker_trades_and_candles_agree_with_the_last_book(world: World, client: WireClient) -> None:
    for channel in ("book", "ticker", "trades"):
        await client.subscribe(channel)
    await world.admin("POST", "switches", {"house_refills": False})
    await world.admin("POST", "trade", {"market": "BTC-EUR", "side": "buy", "amount": "0.4"})
    frames = await client.rest()
    (book,), (ticker,), (trade,) = (named(frames, name) for name in ("book", "ticker", "trade"))
    assert Decimal(ticker["bestAskSize"]) == Decimal(book["asks"][0][1]) == Decimal("0.6")
    assert ticker["bestAsk"] == ticker["lastPrice"] == trade["price"] == "50000"
