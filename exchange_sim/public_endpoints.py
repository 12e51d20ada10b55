"""The public endpoints: time, markets, assets, books, trades, candles, tickers.

Shapes: https://docs.bitvavo.com/docs/rest-api/. With a market given the live exchange answers one object, else a list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from exchange_sim import parameters
from exchange_sim.endpoint import Call, Endpoint
from exchange_sim.exchange import Exchange
from exchange_sim.fixed import write_amount, write_atoms, write_price
from exchange_sim.intervals import DAY_MS, INTERVALS
from exchange_sim.refusal import Refusal, invalid
from exchange_sim.rules import AUCTION, AUCTION_MATCHING, HALTED, asset_decimals
from exchange_sim.tape import DayStatistics, Trade
from exchange_sim.venue import Venue

Row = TypeVar("Row")
MOST_LEVELS = 1_000
MOST_TRADES, USUAL_TRADES = 1_000, 500
MOST_CANDLES = 1_440
VALUE_DECIMALS_CUT = 10**12
END_OF_TIME_MS = 2**53


def time_answer(call: Call) -> object:
    """The exchange's own clock."""
    now_ns = call.exchange.clock.now_ns()
    return {"time": now_ns // 1_000_000, "timeNs": now_ns}


def markets_answer(call: Call) -> object:
    """The rules of one market or of all."""
    return _one_or_all(call, lambda venue: dict(venue.rules.row))


def assets_answer(call: Call) -> object:
    """One asset or all that any market trades."""
    symbols = call.exchange.symbols()
    wanted = call.parameters.get("symbol")
    if wanted is None:
        return [asset_row(call.exchange, symbol) for symbol in sorted(symbols)]
    if wanted not in symbols:
        raise invalid("symbol")
    found = asset_row(call.exchange, str(wanted))
    return found if call.exchange.switches.filtered_shape == "object" else [found]


def book_answer(call: Call) -> object:
    """The best levels of a market; no book while it is not trading."""
    venue = parameters.venue_of(call.exchange, call.parameters)
    depth = parameters.whole(call.parameters, "depth", MOST_LEVELS, 1, MOST_LEVELS)
    check_has_book(venue)
    call.exchange.feed.flush(venue, call.exchange.clock.now_ns())
    return {
        "market": venue.rules.market,
        "nonce": venue.nonce,
        "bids": [
            [write_price(price), write_amount(size)] for price, size in venue.book.depth(is_buy=True, levels=depth)
        ],
        "asks": [
            [write_price(price), write_amount(size)] for price, size in venue.book.depth(is_buy=False, levels=depth)
        ],
        "timestamp": call.exchange.clock.now_ns(),
    }


def trades_answer(call: Call) -> object:
    """The public trades of a market, newest first."""
    _, trades = chosen_trades(call)
    return [
        {
            "id": trade.trade_id,
            "timestamp": trade.at_ms,
            "amount": write_amount(trade.amount),
            "price": write_price(trade.price),
            "side": "buy" if trade.is_buy else "sell",
        }
        for trade in trades
    ]


def candles_answer(call: Call) -> object:
    """Candles made from the trades, newest first; intervals without a trade are missing."""
    venue = parameters.venue_of(call.exchange, call.parameters)
    name = parameters.one_of(call.parameters, "interval", tuple(INTERVALS))
    limit = parameters.whole(call.parameters, "limit", MOST_CANDLES, 1, MOST_CANDLES)
    start_ms, end_ms = read_window(call, is_limited=False)
    return [
        [
            candle.open_ms,
            write_price(candle.open),
            write_price(candle.high),
            write_price(candle.low),
            write_price(candle.close),
            write_amount(candle.volume),
        ]
        for candle in venue.tape.candles(INTERVALS[name], start_ms, end_ms, limit)
    ]


def ticker_price_answer(call: Call) -> object:
    """The price of the last trade."""
    return _one_or_all(call, _ticker_price)


def ticker_book_answer(call: Call) -> object:
    """The best bid and ask."""
    return _one_or_all(call, lambda venue: {"market": venue.rules.market} | _best(call.exchange, venue))


def ticker_24h_answer(call: Call) -> object:
    """Price and volume of the last 24 hours, with the best bid and ask."""
    return _one_or_all(call, lambda venue: day_row(call.exchange, venue))


def check_has_book(venue: Venue) -> None:
    """Refuse to show a book in a state that has none.

    Raises:
        Refusal: 431.
    """
    if venue.rules.status in (HALTED, AUCTION, AUCTION_MATCHING):
        state = venue.rules.status.upper()
        raise Refusal(431, f"getBook is not available for {venue.rules.market} in state {state}")


def chosen_trades(call: Call) -> tuple[Venue, list[Trade]]:
    """The market and the public trades that a call asks for, newest first."""
    venue = parameters.venue_of(call.exchange, call.parameters)
    limit = parameters.whole(call.parameters, "limit", USUAL_TRADES, 1, MOST_TRADES)
    start_ms, end_ms = read_window(call, is_limited=True)
    rows = venue.tape.between(start_ms, end_ms)
    rows = between_ids(call, rows, lambda trade: trade.trade_id, "tradeIdFrom", "tradeIdTo")
    return venue, rows[: -limit - 1 : -1]


def read_window(call: Call, *, is_limited: bool) -> tuple[int, int]:
    """The parameters start and end in ms; where limited, at most 24 h apart.

    Raises:
        Refusal: 205.
    """
    start_ms = parameters.whole(call.parameters, "start", 0, 0, END_OF_TIME_MS)
    end_ms = parameters.whole(call.parameters, "end", END_OF_TIME_MS, 0, END_OF_TIME_MS)
    both = "start" in call.parameters and "end" in call.parameters
    if end_ms < start_ms or (is_limited and both and end_ms - start_ms > DAY_MS):
        raise invalid("end")
    return start_ms, end_ms


def between_ids(call: Call, rows: list[Row], id_of: Callable[[Row], str], first: str, last: str) -> list[Row]:
    """The rows (oldest first) from one id to another, both included; an id that is not there bounds nothing."""
    for name, is_first in ((first, True), (last, False)):
        wanted = call.parameters.get(name)
        found = next((number for number, row in enumerate(rows) if id_of(row) == wanted), None) if wanted else None
        if found is not None:
            rows = rows[found:] if is_first else rows[: found + 1]
    return rows


def asset_row(exchange: Exchange, symbol: str) -> dict[str, object]:
    """One asset's row, with what was set from outside."""
    is_fiat = asset_decimals(symbol) == asset_decimals("EUR")
    return {
        "symbol": symbol,
        "name": symbol,
        "decimals": asset_decimals(symbol),
        "depositFee": "0",
        "depositConfirmations": 0 if is_fiat else 2,
        "depositStatus": "OK",
        "withdrawalFee": "0",
        "withdrawalMinAmount": "0",
        "withdrawalStatus": "OK",
        "networks": ["SEPA" if is_fiat else symbol],
        "message": "",
    } | exchange.assets.get(symbol, {})


def _one_or_all(call: Call, row: Callable[[Venue], object]) -> object:
    if "market" not in call.parameters:
        return [row(venue) for venue in call.exchange.venues.values()]
    found = row(parameters.venue_of(call.exchange, call.parameters))
    return found if call.exchange.switches.filtered_shape == "object" else [found]


def _ticker_price(venue: Venue) -> dict[str, object]:
    row: dict[str, object] = {"market": venue.rules.market}
    if venue.tape.last is not None:
        row["price"] = write_price(venue.tape.last.price)
    return row


def _best(exchange: Exchange, venue: Venue) -> dict[str, object]:
    row: dict[str, object] = {}
    for name, side in (("bid", venue.book.bids), ("ask", venue.book.asks)):
        level = side.best()
        if level is not None:
            row[name], row[f"{name}Size"] = write_price(level.price), write_amount(level.total)
        elif exchange.switches.empty_ticker_side == "null":
            row[name], row[f"{name}Size"] = None, None
    return row


def day_row(exchange: Exchange, venue: Venue) -> dict[str, object]:
    """One market's price and volume of the last 24 hours."""
    now_ms = exchange.now_ms()
    row: dict[str, object] = {"market": venue.rules.market, "startTimestamp": now_ms - DAY_MS, "timestamp": now_ms}
    statistics = venue.tape.day(now_ms)
    if statistics is not None:
        row.update(_day_values(statistics))
    elif exchange.switches.quiet_ticker_24h == "null":
        names = ("open", "openTimestamp", "high", "low", "last", "closeTimestamp", "volume", "volumeQuote")
        row.update(dict.fromkeys(names))
    return row | _best(exchange, venue)


def _day_values(statistics: DayStatistics) -> dict[str, object]:
    candle = statistics.candle
    value = candle.value // VALUE_DECIMALS_CUT * VALUE_DECIMALS_CUT
    return {
        "open": write_price(candle.open),
        "openTimestamp": statistics.first_ms,
        "high": write_price(candle.high),
        "low": write_price(candle.low),
        "last": write_price(candle.close),
        "closeTimestamp": statistics.last_ms,
        "volume": write_amount(candle.volume),
        "volumeQuote": write_atoms(value),
    }


_MARKET = frozenset({"market"})
_PAGE = frozenset({"market", "limit", "start", "end"})
TRADES_PAGE = _PAGE | {"tradeIdFrom", "tradeIdTo"}

PUBLIC_ENDPOINTS = (
    Endpoint("getTime", "GET", "/v2/time", time_answer),
    Endpoint("getMarkets", "GET", "/v2/markets", markets_answer, _MARKET),
    Endpoint("getAssets", "GET", "/v2/assets", assets_answer, frozenset({"symbol"})),
    Endpoint("getBook", "GET", "/v2/{market}/book", book_answer, _MARKET | {"depth"}),
    Endpoint("getTrades", "GET", "/v2/{market}/trades", trades_answer, TRADES_PAGE, weight=5),
    Endpoint("getCandles", "GET", "/v2/{market}/candles", candles_answer, _PAGE | {"interval"}, ("interval",)),
    Endpoint("getTickerPrice", "GET", "/v2/ticker/price", ticker_price_answer, _MARKET),
    Endpoint("getTickerBook", "GET", "/v2/ticker/book", ticker_book_answer, _MARKET),
    Endpoint("getTicker24h", "GET", "/v2/ticker/24h", ticker_24h_answer, _MARKET, weight_of_all=25),
)
