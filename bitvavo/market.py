"""Market data as the exchange writes them; market_service reads them through `bitvavo.client`.

https://docs.bitvavo.com/docs/rest-api/ has the fields. With a market named the exchange answers one object, without
one a list: every parser here takes both and gives a tuple.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeVar

from bitvavo.strict_json import (
    Fields,
    MalformedError,
    array,
    identifier,
    parse_fast,
    parse_strict,
    unsigned_decimal,
    unsigned_int,
    words,
)

T = TypeVar("T")

TRADING: Final = "trading"
_CANDLE_FIELDS: Final = 6


@dataclass(frozen=True, slots=True)
class MarketRules:
    """What an order in one market must fit: price a multiple of `tick_size`, decimals, minimums and maximums."""

    market: str
    status: str
    base: str
    quote: str
    tick_size: Decimal
    quantity_decimals: int
    notional_decimals: int
    min_order_base: Decimal
    min_order_quote: Decimal
    max_order_base: Decimal | None
    max_order_quote: Decimal | None
    max_open_orders: int | None
    fee_category: str | None
    order_types: tuple[str, ...]

    @property
    def trading(self) -> bool:
        """Say whether the market takes and matches orders now."""
        return self.status == TRADING


@dataclass(frozen=True, slots=True)
class Ticker24h:
    """The last 24 hours of a market. Without trades in them the prices and volumes are None."""

    market: str
    start_ms: int | None
    timestamp_ms: int | None
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    last: Decimal | None
    bid: Decimal | None
    bid_size: Decimal | None
    ask: Decimal | None
    ask_size: Decimal | None
    volume: Decimal | None
    volume_quote: Decimal | None


@dataclass(frozen=True, slots=True)
class TickerPrice:
    """The last price of a market; None before its first trade."""

    market: str
    price: Decimal | None


@dataclass(frozen=True, slots=True)
class TickerBook:
    """Best bid and ask of a market; a side without orders is None."""

    market: str
    bid: Decimal | None
    bid_size: Decimal | None
    ask: Decimal | None
    ask_size: Decimal | None


@dataclass(frozen=True, slots=True)
class Level:
    """One price of a book and the base amount offered there."""

    price: Decimal
    size: Decimal


@dataclass(frozen=True, slots=True)
class Book:
    """A snapshot: bids from the highest, asks from the lowest; `nonce` numbers the state, time in ns."""

    market: str
    nonce: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    timestamp_ns: int | None


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """Anybody's trade; `side` is the taker's."""

    id: str
    timestamp_ms: int
    amount: Decimal
    price: Decimal
    side: str


@dataclass(frozen=True, slots=True)
class Candle:
    """One interval that had trades; `volume` is base. The newest of a list is still running."""

    open_time_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


def parse_time(body: bytes) -> int:
    """Read the exchange's clock, Unix ms."""
    return Fields(parse_strict(body)).required("time", unsigned_int)


def parse_markets(body: bytes) -> tuple[MarketRules, ...]:
    """Read the rules of one or all markets."""
    return rows(body, _market_rules)


def parse_tickers_24h(body: bytes) -> tuple[Ticker24h, ...]:
    """Read the 24-hour ticker of one or all markets."""
    return rows(body, ticker_24h_from)


def parse_ticker_prices(body: bytes) -> tuple[TickerPrice, ...]:
    """Read the last price of one or all markets."""
    return rows(body, lambda f: TickerPrice(f.required("market", identifier), f.optional("price", unsigned_decimal)))


def parse_ticker_books(body: bytes) -> tuple[TickerBook, ...]:
    """Read best bid and ask of one or all markets."""
    return rows(body, _ticker_book)


def parse_book(body: bytes) -> Book:
    """Read a snapshot of an order book."""
    fields = Fields(parse_fast(body))
    return Book(
        market=fields.required("market", identifier),
        nonce=fields.required("nonce", unsigned_int),
        bids=fields.required("bids", _levels),
        asks=fields.required("asks", _levels),
        timestamp_ns=fields.optional("timestamp", unsigned_int),
    )


def parse_public_trades(body: bytes) -> tuple[PublicTrade, ...]:
    """Read public trades, newest first."""
    return rows(body, public_trade_from)


def parse_candles(body: bytes) -> tuple[Candle, ...]:
    """Read candles, newest first; intervals without a trade are missing."""
    return tuple(candle_from(each) for each in array("candles", parse_fast(body)))


def listed(value: object) -> list[Any]:
    """Return the list, or the one object as a list of one."""
    return value if isinstance(value, list) else [value]


def rows(body: bytes, read: Callable[[Fields], T]) -> tuple[T, ...]:
    """Read every object of public data with `read`."""
    return tuple(read(Fields(each)) for each in listed(parse_fast(body)))


def _market_rules(fields: Fields) -> MarketRules:
    return MarketRules(
        market=fields.required("market", identifier),
        status=fields.required("status", identifier),
        base=fields.required("base", identifier),
        quote=fields.required("quote", identifier),
        tick_size=fields.required("tickSize", unsigned_decimal),
        quantity_decimals=fields.required("quantityDecimals", unsigned_int),
        notional_decimals=fields.required("notionalDecimals", unsigned_int),
        min_order_base=fields.required("minOrderInBaseAsset", unsigned_decimal),
        min_order_quote=fields.required("minOrderInQuoteAsset", unsigned_decimal),
        max_order_base=fields.optional("maxOrderInBaseAsset", unsigned_decimal),
        max_order_quote=fields.optional("maxOrderInQuoteAsset", unsigned_decimal),
        max_open_orders=fields.optional("maxOpenOrders", unsigned_int),
        fee_category=fields.optional("feeCategory", identifier),
        order_types=fields.optional("orderTypes", words) or (),
    )


def ticker_24h_from(fields: Fields) -> Ticker24h:
    """Read one market's last 24 hours, as REST and the WebSocket write them."""
    return Ticker24h(
        market=fields.required("market", identifier),
        start_ms=fields.optional("startTimestamp", unsigned_int),
        timestamp_ms=fields.optional("timestamp", unsigned_int),
        open=fields.optional("open", unsigned_decimal),
        high=fields.optional("high", unsigned_decimal),
        low=fields.optional("low", unsigned_decimal),
        last=fields.optional("last", unsigned_decimal),
        bid=fields.optional("bid", unsigned_decimal),
        bid_size=fields.optional("bidSize", unsigned_decimal),
        ask=fields.optional("ask", unsigned_decimal),
        ask_size=fields.optional("askSize", unsigned_decimal),
        volume=fields.optional("volume", unsigned_decimal),
        volume_quote=fields.optional("volumeQuote", unsigned_decimal),
    )


def _ticker_book(fields: Fields) -> TickerBook:
    return TickerBook(
        market=fields.required("market", identifier),
        bid=fields.optional("bid", unsigned_decimal),
        bid_size=fields.optional("bidSize", unsigned_decimal),
        ask=fields.optional("ask", unsigned_decimal),
        ask_size=fields.optional("askSize", unsigned_decimal),
    )


def _levels(name: str, value: object) -> tuple[Level, ...]:
    return tuple(_level(name, each) for each in array(name, value))


def _level(name: str, value: object) -> Level:
    match value:
        case [price, size]:
            return Level(unsigned_decimal(name, price), unsigned_decimal(name, size))
    message = f"{name}: not a pair"
    raise MalformedError(message)


def public_trade_from(fields: Fields) -> PublicTrade:
    """Read one trade, as REST and the WebSocket write it."""
    return PublicTrade(
        id=fields.required("id", identifier),
        timestamp_ms=fields.required("timestamp", unsigned_int),
        amount=fields.required("amount", unsigned_decimal),
        price=fields.required("price", unsigned_decimal),
        side=fields.required("side", identifier),
    )


def candle_from(value: object) -> Candle:
    """Read one candle's row, as REST and the WebSocket write it."""
    row = array("candle", value)
    if len(row) < _CANDLE_FIELDS:
        message = "candle: fewer than six fields"
        raise MalformedError(message)
    prices = [unsigned_decimal("candle", each) for each in row[1:_CANDLE_FIELDS]]
    return Candle(unsigned_int("candle", row[0]), *prices)
