"""Frames of a recording: the exchange's own book and trade events, recorded from a market and played into one.

A frame is what the WebSocket sends: `book` with `timestamp` in ns and the levels that changed, or `trade` with
`timestamp` in ms (`timestampNs` where there is one). Any tool that stores a socket's text lines makes such a recording.
https://docs.bitvavo.com/docs/websocket-api/.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import cast

from exchange_sim import fixed, house_moves
from exchange_sim.exchange import Exchange
from exchange_sim.feed import BookChange
from exchange_sim.order import Fill, Order
from exchange_sim.tape import Trade
from exchange_sim.venue import Venue

Frame = Mapping[str, object]

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
BOOK, TRADE = "book", "trade"


class Recorder:
    """Listens to one market and keeps what it hears as frames."""

    def __init__(self, market: str) -> None:
        """Record one market."""
        self.market = market
        self.frames: list[Frame] = []

    def order_changed(self, venue: Venue, order: Order, execution: str) -> None:
        """Orders of accounts are no part of a recording."""

    def order_filled(self, venue: Venue, order: Order, fill: Fill) -> None:
        """Nor are their fills."""

    def traded(self, venue: Venue, trade: Trade) -> None:
        """Keep a public trade."""
        if venue.rules.market == self.market:
            self.frames.append(
                {
                    "event": TRADE,
                    "timestamp": trade.at_ms,
                    "market": self.market,
                    "id": trade.trade_id,
                    "amount": fixed.write_amount(trade.amount),
                    "price": fixed.write_price(trade.price),
                    "side": "buy" if trade.is_buy else "sell",
                    "timestampNs": trade.at_ns,
                },
            )

    def book_changed(self, venue: Venue, change: BookChange) -> None:
        """Keep a batch of book changes."""
        if venue.rules.market == self.market:
            self.frames.append(
                {
                    "event": BOOK,
                    "market": self.market,
                    "nonce": change.nonce,
                    "bids": _written(change.bids),
                    "asks": _written(change.asks),
                    "timestamp": change.at_ns,
                },
            )


class Playback:
    """Plays frames into the markets they are of, at a multiple of the speed at which they were recorded."""

    def __init__(self, exchange: Exchange, frames: Iterable[Frame], speed: float) -> None:
        """Play frames of books and trades; others, and those of markets that are not open, are left out."""
        self._exchange = exchange
        self._speed = speed
        known = [
            each for each in frames if each.get("market") in exchange.venues and each.get("event") in (BOOK, TRADE)
        ]
        self._frames = sorted(known, key=moment_ns)

    async def run(self) -> None:
        """Play all frames in time, then end."""
        if not self._frames:
            return
        loop = asyncio.get_running_loop()
        began, first_ns = loop.time(), moment_ns(self._frames[0])
        for frame in self._frames:
            due = began + (moment_ns(frame) - first_ns) / NS_PER_S / self._speed
            await asyncio.sleep(max(0.0, due - loop.time()))
            play(self._exchange, frame)


def play(exchange: Exchange, frame: Frame) -> None:
    """Do to a market what a frame tells: clients' orders that it reaches are filled."""
    venue = exchange.venues[str(frame["market"])]
    if frame["event"] == BOOK:
        house_moves.change_levels(exchange, venue, _read(frame["bids"]), _read(frame["asks"]))
        return
    house_moves.print_trade(
        exchange,
        venue,
        is_buy=frame["side"] == "buy",
        amount=fixed.exact(frame["amount"], fixed.AMOUNT_DIGITS),
        price=fixed.exact(frame["price"], fixed.PRICE_DIGITS),
    )


def moment_ns(frame: Frame) -> int:
    """When a frame was, in Unix ns."""
    if frame["event"] == BOOK:
        return cast("int", frame["timestamp"])
    return cast("int", frame.get("timestampNs") or cast("int", frame["timestamp"]) * NS_PER_MS)


def _written(levels: list[tuple[int, int]]) -> list[list[str]]:
    return [[fixed.write_price(price), fixed.write_amount(size)] for price, size in levels]


def _read(levels: object) -> list[tuple[int, int]]:
    return [
        (fixed.exact(price, fixed.PRICE_DIGITS), fixed.exact(size, fixed.AMOUNT_DIGITS))
        for price, size in cast("list[list[str]]", levels)
    ]
