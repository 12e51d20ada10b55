"""Events of the WebSocket channels as the exchange writes them.

Shapes: https://docs.bitvavo.com/docs/websocket-api/introduction/. Prices and sizes of book events are padded to the
market's decimals while snapshots are not, as recorded from the live exchange.
"""

from __future__ import annotations

from functools import lru_cache

from exchange_sim.exchange import Exchange
from exchange_sim.feed import BookChange
from exchange_sim.fixed import (
    AMOUNT_DIGITS,
    MOST_REMEMBERED,
    PRICE_DIGITS,
    write_amount,
    write_atoms,
    write_price,
)
from exchange_sim.order import Fill, Order
from exchange_sim.order_view import identity, is_settled, order_answer
from exchange_sim.rules import MarketRules
from exchange_sim.tape import Candle, Trade
from exchange_sim.venue import Venue

NS_PER_MS = 1_000_000
# What an order event lacks of an order object: the fills have events of their own.
_FILLS = ("fills", "feePaid", "feeCurrency")

Levels = list[list[str]]


def book_event(rules: MarketRules, change: BookChange) -> dict[str, object]:
    """The levels that changed; size "0" removes one."""
    return {
        "event": "book",
        "market": rules.market,
        "nonce": change.nonce,
        "bids": _levels(rules, change.bids),
        "asks": _levels(rules, change.asks),
        "timestamp": change.at_ns,
    }


def trade_event(rules: MarketRules, trade: Trade) -> dict[str, object]:
    """One public trade."""
    return {
        "event": "trade",
        "timestamp": trade.at_ms,
        "market": rules.market,
        "id": trade.trade_id,
        "amount": write_amount(trade.amount),
        "price": write_price(trade.price),
        "side": "buy" if trade.is_buy else "sell",
        "timestampNs": trade.at_ns,
    }


def candle_event(name: str, rules: MarketRules, interval: str, candle: Candle) -> dict[str, object]:
    """The running candle of one interval; `name` is the event's, about which the documents disagree."""
    prices = (candle.open, candle.high, candle.low, candle.close)
    row = [candle.open_ms, *map(write_price, prices), write_amount(candle.volume)]
    return {"event": name, "market": rules.market, "interval": interval, "candle": [row]}


def ticker_values(venue: Venue) -> dict[str, tuple[str, ...]]:
    """What a ticker event may tell of a market, in the groups that change together."""
    values: dict[str, tuple[str, ...]] = {}
    for name, side in (("bestBid", venue.book.bids), ("bestAsk", venue.book.asks)):
        level = side.best()
        if level is not None:
            values[name] = (write_price(level.price), write_amount(level.total))
    if venue.tape.last is not None:
        values["lastPrice"] = (write_price(venue.tape.last.price),)
    return values


def ticker_event(market: str, changed: dict[str, tuple[str, ...]]) -> dict[str, object]:
    """The groups that changed, and nothing else."""
    event: dict[str, object] = {"event": "ticker", "market": market}
    for name, values in changed.items():
        event[name] = values[0]
        if len(values) > 1:
            event[f"{name}Size"] = values[1]
    return event


def order_event(order: Order, rules: MarketRules, exchange: Exchange, execution: str) -> dict[str, object]:
    """An order as it is after a change."""
    answer = order_answer(order, rules, exchange)
    for name in _FILLS:
        answer.pop(name, None)
    return {"event": "order", **answer, "executionType": execution}


def fill_event(order: Order, fill: Fill, rules: MarketRules, exchange: Exchange) -> dict[str, object]:
    """One fill of an order; without a fee while it is not settled."""
    event: dict[str, object] = {"event": "fill", "market": rules.market, **identity(order)}
    event.update(
        operatorId=order.request.operator_id,
        fillId=fill.fill_id,
        timestamp=fill.at_ns // NS_PER_MS,
        timestampNs=fill.at_ns,
        amount=write_amount(fill.amount),
        side="buy" if order.is_buy else "sell",
        price=write_price(fill.price),
        taker=fill.is_taker,
    )
    if is_settled(fill, exchange):
        event.update(fee=write_atoms(fill.fee), feeCurrency=rules.quote)
    return event


def decimals_of(text: str) -> int:
    """How many decimals a tick size is written with."""
    return len(text.partition(".")[2])


@lru_cache(MOST_REMEMBERED)
def padded(units: int, digits: int, decimals: int) -> str:
    """Write 10^-digits units with exactly so many decimals; a zero is "0" all the same."""
    if not units:
        return "0"
    text = str(units // 10 ** (digits - decimals)).rjust(decimals + 1, "0")
    return f"{text[:-decimals]}.{text[-decimals:]}" if decimals else text


def _levels(rules: MarketRules, levels: list[tuple[int, int]]) -> Levels:
    tick, size = decimals_of(rules.tick_text), rules.quantity_decimals
    return [[padded(price, PRICE_DIGITS, tick), padded(total, AMOUNT_DIGITS, size)] for price, total in levels]
