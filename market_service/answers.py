"""Turns what the use cases say into messages of `market.v1`; only `rpc` calls it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from bitvavo.book import BookView
from bitvavo.levels import Pair
from bitvavo.wire import Balance, Book, Fees, Level, MarketRules, PublicTrade, Ticker24h
from kernel.decimals import plain
from market_service.model import Answer, Candle, CandleState, Freshness, Interval, Quality, Ticker
from protos.market.v1 import market_pb2 as pb

NANOS: Final = 1_000_000_000
DAY_SECONDS: Final = 86_400
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_QUALITIES: Final = {
    Quality.GOOD: pb.QUALITY_GOOD,
    Quality.RESYNCING: pb.QUALITY_RESYNCING,
    Quality.STALE: pb.QUALITY_STALE,
}
_STATES: Final = {
    CandleState.FINAL: pb.CANDLE_STATE_FINAL,
    CandleState.UNFINISHED: pb.CANDLE_STATE_UNFINISHED,
    CandleState.GAP: pb.CANDLE_STATE_GAP,
}
_SIDES: Final = {"buy": pb.SIDE_BUY, "sell": pb.SIDE_SELL}

INTERVALS: Final[Mapping[int, Interval]] = {
    pb.CANDLE_INTERVAL_1M: Interval.M1,
    pb.CANDLE_INTERVAL_5M: Interval.M5,
    pb.CANDLE_INTERVAL_15M: Interval.M15,
    pb.CANDLE_INTERVAL_30M: Interval.M30,
    pb.CANDLE_INTERVAL_1H: Interval.H1,
    pb.CANDLE_INTERVAL_2H: Interval.H2,
    pb.CANDLE_INTERVAL_4H: Interval.H4,
    pb.CANDLE_INTERVAL_6H: Interval.H6,
    pb.CANDLE_INTERVAL_8H: Interval.H8,
    pb.CANDLE_INTERVAL_12H: Interval.H12,
    pb.CANDLE_INTERVAL_1D: Interval.D1,
}

# The exchange's words: https://docs.bitvavo.com/docs/rest-api/get-markets/.
MARKET_STATUSES: Final = {
    "trading": pb.MARKET_STATUS_TRADING,
    "halted": pb.MARKET_STATUS_HALTED,
    "auction": pb.MARKET_STATUS_AUCTION,
    "auctionMatching": pb.MARKET_STATUS_AUCTION_MATCHING,
    "cancelOnly": pb.MARKET_STATUS_CANCEL_ONLY,
}
_ORDER_TYPES: Final = {
    "market": pb.ORDER_TYPE_MARKET,
    "limit": pb.ORDER_TYPE_LIMIT,
    "stopLoss": pb.ORDER_TYPE_STOP_LOSS,
    "stopLossLimit": pb.ORDER_TYPE_STOP_LOSS_LIMIT,
    "takeProfit": pb.ORDER_TYPE_TAKE_PROFIT,
    "takeProfitLimit": pb.ORDER_TYPE_TAKE_PROFIT_LIMIT,
}


def freshness(of: Freshness) -> pb.Freshness:
    """Write how old an answer is; the age is rounded up to the next nanosecond."""
    since = of.as_of - EPOCH
    as_of = Timestamp(seconds=since.days * DAY_SECONDS + since.seconds, nanos=since.microseconds * 1_000)
    seconds, nanos = divmod(int(of.age_seconds * NANOS) + 1, NANOS)
    return pb.Freshness(as_of=as_of, age=Duration(seconds=seconds, nanos=nanos), quality=_QUALITIES[of.quality])


def market(rules: MarketRules) -> pb.Market:
    """Write a market's rules; what we have no word for becomes UNSPECIFIED or is left out."""
    return pb.Market(
        market=rules.market,
        base=rules.base,
        quote=rules.quote,
        status=MARKET_STATUSES.get(rules.status, pb.MARKET_STATUS_UNSPECIFIED),
        tick_size=plain(rules.tick_size),
        quantity_decimals=rules.quantity_decimals,
        notional_decimals=rules.notional_decimals,
        min_base_amount=plain(rules.min_order_base),
        min_quote_amount=plain(rules.min_order_quote),
        max_base_amount=_optional(rules.max_order_base),
        max_quote_amount=_optional(rules.max_order_quote),
        max_open_orders=rules.max_open_orders,
        order_types=[_ORDER_TYPES[word] for word in rules.order_types if word in _ORDER_TYPES],
        fee_category=rules.fee_category or "",
    )


def ticker(of: Ticker) -> pb.Ticker:
    """Write a ticker."""
    return pb.Ticker(
        market=of.market,
        last=_optional(of.last),
        bid=_optional(of.bid),
        bid_size=_optional(of.bid_size),
        ask=_optional(of.ask),
        ask_size=_optional(of.ask_size),
    )


def ticker_24h(of: Ticker24h) -> pb.Ticker24h:
    """Write a market's last 24 hours."""
    return pb.Ticker24h(
        market=of.market,
        open=_optional(of.open),
        high=_optional(of.high),
        low=_optional(of.low),
        last=_optional(of.last),
        volume=_optional(of.volume),
        volume_quote=_optional(of.volume_quote),
        bid=_optional(of.bid),
        ask=_optional(of.ask),
        start_time=None if of.start_ms is None else moment(of.start_ms),
        end_time=None if of.timestamp_ms is None else moment(of.timestamp_ms),
    )


def book(of: Book, depth: int) -> pb.GetOrderBookResponse:
    """Write the best `depth` levels of each side, without freshness."""
    exchange_time = None
    if of.timestamp_ns is not None:
        exchange_time = Timestamp(seconds=of.timestamp_ns // NANOS, nanos=of.timestamp_ns % NANOS)
    return pb.GetOrderBookResponse(
        market=of.market,
        bids=[_level(level) for level in of.bids[:depth]],
        asks=[_level(level) for level in of.asks[:depth]],
        nonce=of.nonce,
        exchange_time=exchange_time,
    )


def book_state(market_name: str, view: BookView | None, age: Freshness, status: str) -> pb.WatchOrderBookResponse:
    """Write a live book, or that it is not known; without a count of the states skipped."""
    exchange_time = None
    if view is not None and view.timestamp_ns is not None:
        exchange_time = Timestamp(seconds=view.timestamp_ns // NANOS, nanos=view.timestamp_ns % NANOS)
    return pb.WatchOrderBookResponse(
        market=market_name,
        bids=[_pair(pair) for pair in view.bids] if view else None,
        asks=[_pair(pair) for pair in view.asks] if view else None,
        nonce=view.nonce if view else 0,
        exchange_time=exchange_time,
        freshness=freshness(age),
        market_status=MARKET_STATUSES.get(status, pb.MARKET_STATUS_UNSPECIFIED),
    )


def trade(of: PublicTrade) -> pb.Trade:
    """Write a public trade."""
    return pb.Trade(
        trade_id=of.id,
        time=moment(of.timestamp_ms),
        price=plain(of.price),
        amount=plain(of.amount),
        taker_side=_SIDES.get(of.side, pb.SIDE_UNSPECIFIED),
    )


def candle(of: Candle) -> pb.Candle:
    """Write one interval; a gap has no prices."""
    message = pb.Candle(open_time=moment(of.open_time_ms), state=_STATES[of.state])
    if of.prices is not None:
        message.open = plain(of.prices.open)
        message.high = plain(of.prices.high)
        message.low = plain(of.prices.low)
        message.close = plain(of.prices.close)
        message.volume = plain(of.prices.volume)
    return message


def balance(of: Balance) -> pb.Balance:
    """Write what the account holds of one asset."""
    return pb.Balance(symbol=of.symbol, available=plain(of.available), in_order=plain(of.in_order))


def fees(of: Answer[Fees]) -> pb.GetFeesResponse:
    """Write what the account pays."""
    return pb.GetFeesResponse(
        taker=plain(of.value.taker),
        maker=plain(of.value.maker),
        volume=_optional(of.value.volume),
        tier=of.value.tier or "",
        freshness=freshness(of.freshness),
    )


def moment(unix_ms: int) -> Timestamp:
    """Write a moment of the exchange's clock."""
    return Timestamp(seconds=unix_ms // 1000, nanos=unix_ms % 1000 * 1_000_000)


def _level(level: Level) -> pb.PriceLevel:
    return pb.PriceLevel(price=plain(level.price), size=plain(level.size))


def _pair(pair: Pair) -> pb.PriceLevel:
    return pb.PriceLevel(price=pair[0], size=pair[1])


def _optional(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)
