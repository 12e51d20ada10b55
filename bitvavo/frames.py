"""Reads what the exchange's WebSocket says, strictly: one frame in, one typed event out; pure.

Shapes: https://docs.bitvavo.com/docs/websocket-api/introduction/. The one name about which its pages disagree,
``candle`` or ``candles``, is taken in both spellings. `market_service` and the replay of recordings call it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec

from bitvavo.levels import Changes, Pair, read_changes
from bitvavo.market import Candle, PublicTrade, Ticker24h, candle_from, public_trade_from, ticker_24h_from
from bitvavo.strict_json import (
    MAX_INT64,
    Fields,
    MalformedError,
    array,
    identifier,
    int64,
    parse_fast,
    unsigned_decimal,
    words,
)
from bitvavo.topics import Channel, Topic

MAX_FRAME_BYTES: Final = 4 * 1024 * 1024
MAX_REMEMBERED_MARKETS: Final = 4_096

_markets: Final[set[str]] = set()
"""Names that were found to be well formed: to look at each again would take a twentieth of a frame's time."""


class BookDelta(msgspec.Struct, frozen=True, gc=False):
    """The levels of a book that changed: state `nonce` is state `nonce` − 1 with these."""

    market: str
    nonce: int
    bids: Changes
    asks: Changes
    timestamp_ns: int | None


class _BookEvent(msgspec.Struct, tag_field="event", tag="book", gc=False):
    """A book event as it is written; the decoder refuses any other type, and lists that are not of pairs."""

    market: str
    nonce: Annotated[int, msgspec.Meta(ge=0, le=MAX_INT64)]
    bids: list[Pair]
    asks: list[Pair]
    timestamp: object = None


_BOOK_EVENT: Final = msgspec.json.Decoder(_BookEvent)
_BOOK_BEGINS: Final = b'{"event":"book",'
"""How the exchange begins nearly all frames; one that begins otherwise is read as well, only slower."""


@dataclass(frozen=True, slots=True)
class TickerChange:
    """The parts of a ticker that changed; None is a part that did not."""

    market: str
    bid: Decimal | None
    bid_size: Decimal | None
    ask: Decimal | None
    ask_size: Decimal | None
    last: Decimal | None


@dataclass(frozen=True, slots=True)
class Tickers24h:
    """The last 24 hours of one or more markets."""

    rows: tuple[Ticker24h, ...]


@dataclass(frozen=True, slots=True)
class CandleChange:
    """The candles of one market and interval that changed, as a rule the running one."""

    market: str
    interval: str
    rows: tuple[Candle, ...]


@dataclass(frozen=True, slots=True)
class TradeSeen:
    """One public trade."""

    market: str
    trade: PublicTrade


@dataclass(frozen=True, slots=True)
class Subscribed:
    """An acknowledgement of subscribe or unsubscribe: all that this socket hears now."""

    topics: frozenset[Topic]
    request_id: int | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The exchange refused a message of ours."""

    code: int
    request_id: int | None


@dataclass(frozen=True, slots=True)
class Unasked:
    """A frame of a kind that we never asked for; `kind` is its event or action."""

    kind: str


Frame = BookDelta | TickerChange | Tickers24h | CandleChange | TradeSeen | Subscribed | Refused | Unasked


class MalformedFrameError(MalformedError):
    """A frame that is not what the exchange documents; `market` is the one it was about, as far as it says."""

    def __init__(self, message: str, market: str | None) -> None:
        """Keep the market, whose data may be wrong from now on; None: any market's may be."""
        super().__init__(message)
        self.market = market


def read_frame(raw: bytes) -> Frame:
    """Read one text frame.

    Raises:
        MalformedFrameError: it is none of the documented ones.
    """
    if raw.startswith(_BOOK_BEGINS):
        try:
            return _delta(_BOOK_EVENT.decode(raw))
        except (ValueError, RecursionError):
            pass  # what is wrong with it, and whose it is, is found out below
    try:
        content = parse_fast(raw)
    except MalformedError as error:
        raise MalformedFrameError(str(error), None) from None
    try:
        if isinstance(content, dict) and content.get("event") == "book":
            return _book(content)
        return _other(Fields(content))
    except MalformedError as error:
        raise MalformedFrameError(str(error), _market_of(content)) from None


def _book(content: dict[str, Any]) -> BookDelta:
    try:
        event = msgspec.convert(content, _BookEvent)
    except ValueError:
        message = "book: a field is missing or of another type"
        raise MalformedError(message) from None
    return _delta(event)


def _delta(event: _BookEvent) -> BookDelta:
    market, at = event.market, event.timestamp
    if market not in _markets:
        if len(_markets) >= MAX_REMEMBERED_MARKETS:
            _markets.clear()
        _markets.add(identifier("market", market))
    if type(at) is not int or at < 0:
        at = None
    bids, asks = read_changes(event.bids, event.asks)
    return BookDelta(market, event.nonce, bids, asks, at)


def _other(fields: Fields) -> Frame:
    if "errorCode" in fields:
        return Refused(fields.required("errorCode", int64), fields.optional("requestId", int64))
    event = fields.optional("event", identifier)
    if event is None:
        return Unasked(fields.required("action", identifier))
    read = _EVENTS.get(event)
    return Unasked(event) if read is None else read(fields)


def _ticker(fields: Fields) -> TickerChange:
    return TickerChange(
        market=fields.required("market", identifier),
        bid=fields.optional("bestBid", unsigned_decimal),
        bid_size=fields.optional("bestBidSize", unsigned_decimal),
        ask=fields.optional("bestAsk", unsigned_decimal),
        ask_size=fields.optional("bestAskSize", unsigned_decimal),
        last=fields.optional("lastPrice", unsigned_decimal),
    )


def _tickers_24h(fields: Fields) -> Tickers24h:
    return Tickers24h(tuple(ticker_24h_from(Fields(each)) for each in fields.required("data", array)))


def _candles(fields: Fields) -> CandleChange:
    return CandleChange(
        market=fields.required("market", identifier),
        interval=fields.required("interval", identifier),
        rows=tuple(candle_from(each) for each in fields.required("candle", array)),
    )


def _trade(fields: Fields) -> TradeSeen:
    return TradeSeen(fields.required("market", identifier), public_trade_from(fields))


def _subscribed(fields: Fields) -> Subscribed:
    return Subscribed(fields.required("subscriptions", _topics), fields.optional("requestId", int64))


def _topics(name: str, value: object) -> frozenset[Topic]:
    # Markets by channel, but for candles: markets by interval by channel. Channels we do not know are not ours.
    if not isinstance(value, Mapping):
        message = f"{name}: not an object"
        raise MalformedError(message)
    topics: set[Topic] = set()
    for channel in Channel:
        markets = value.get(channel.value)
        if isinstance(markets, Mapping):
            topics |= {Topic(channel, each, at) for at, listed in markets.items() for each in words(name, listed)}
        elif markets is not None:
            topics |= {Topic(channel, each) for each in words(name, markets)}
    return frozenset(topics)


_EVENTS: Final[Mapping[str, Callable[[Fields], Frame]]] = {
    "ticker": _ticker,
    "ticker24h": _tickers_24h,
    "candle": _candles,
    "candles": _candles,
    "trade": _trade,
    "subscribed": _subscribed,
    "unsubscribed": _subscribed,
}


def _market_of(content: object) -> str | None:
    if not isinstance(content, Mapping):
        return None
    try:
        return identifier("market", content.get("market"))
    except MalformedError:
        return None
