"""Tells the sockets what happens: listens to the trading core, batches, and writes each event once for all who hear it.

Book, ticker and candle events leave once per batch; trades and account events as soon as the core is done. A market
that is halted or in auction is silent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from random import Random

import orjson

from exchange_sim.event_view import (
    book_event,
    candle_event,
    fill_event,
    order_event,
    ticker_event,
    ticker_values,
    trade_event,
)
from exchange_sim.exchange import Exchange
from exchange_sim.feed import BookChange
from exchange_sim.intervals import INTERVALS
from exchange_sim.order import Fill, Order
from exchange_sim.public_endpoints import END_OF_TIME_MS, day_row
from exchange_sim.push_faults import PushFaults
from exchange_sim.rules import AUCTION, AUCTION_MATCHING, HALTED
from exchange_sim.socket_session import Session
from exchange_sim.subscriptions import (
    ACCOUNT,
    BOOK,
    CANDLES,
    EVERY_MARKET,
    TICKER,
    TICKER_24H,
    TRADES,
    Topic,
)
from exchange_sim.tape import Trade
from exchange_sim.text_frame import TextFrame
from exchange_sim.venue import Venue

DAY_TICKER_INTERVAL_S = 1.0
SILENT = (HALTED, AUCTION, AUCTION_MATCHING)

Event = dict[str, object]


class Broadcast:
    """All sockets that hear something, and what they are still to be told."""

    def __init__(self, exchange: Exchange, faults: PushFaults) -> None:
        """Listen to an exchange."""
        self._exchange = exchange
        self._faults = faults
        self._hearers: dict[Topic, dict[Session, None]] = {}
        self._intervals: dict[str, set[str]] = {}
        self._outbox: dict[Session, list[TextFrame]] = {}
        self._account_events: list[tuple[list[Session], str, Event]] = []
        self._random = Random(f"account events {exchange.seed}")
        # Markets with news for the next batch: new trades, a new best price, a new day ticker.
        self._traded: set[str] = set()
        self._moved: set[str] = set()
        self._day_moved: set[str] = set()
        self._told: dict[str, dict[str, tuple[str, ...]]] = {}
        self._next_day_s = 0.0
        exchange.feed.subscribe(self)

    def follow(self, session: Session, topics: Iterable[Topic]) -> None:
        """Let a session hear topics; each market's book and day ticker will tell something soon."""
        for topic in topics:
            self._hearers.setdefault(topic, {})[session] = None
            if topic.channel == CANDLES:
                self._intervals.setdefault(topic.market, set()).add(topic.interval)
            elif topic.channel == TICKER_24H:
                self._day_moved.add(topic.market)
            elif topic.channel == TICKER:
                self._told.setdefault(topic.market, ticker_values(self._exchange.venues[topic.market]))
            elif topic.channel == BOOK and self._exchange.switches.delta_after_subscribe:
                self._repeat_best(self._exchange.venues[topic.market])

    def leave(self, session: Session, topics: Iterable[Topic]) -> None:
        """Tell a session no more of topics."""
        for topic in topics:
            hearers = self._hearers.get(topic, {})
            hearers.pop(session, None)
            if not hearers:
                self._hearers.pop(topic, None)
                if topic.channel == CANDLES:
                    self._intervals.get(topic.market, set()).discard(topic.interval)
                elif topic.channel == TICKER:
                    self._told.pop(topic.market, None)

    # --- what the trading core tells ---

    def order_changed(self, venue: Venue, order: Order, execution: str) -> None:
        """Keep an order event for the order's owner."""
        if sessions := self._owners(venue, order):
            event = order_event(order, venue.rules, self._exchange, execution)
            self._keep_account_event(sessions, venue, event)

    def order_filled(self, venue: Venue, order: Order, fill: Fill) -> None:
        """Keep a fill event for the order's owner."""
        if sessions := self._owners(venue, order):
            self._keep_account_event(sessions, venue, fill_event(order, fill, venue.rules, self._exchange))

    def traded(self, venue: Venue, trade: Trade) -> None:
        """Tell of a trade."""
        self._note(self._traded, venue)
        self._note(self._day_moved, venue)
        if hearers := self._hearing(TRADES, venue):
            self._push(hearers, TRADES, venue.rules.market, trade_event(venue.rules, trade))

    def book_changed(self, venue: Venue, change: BookChange) -> None:
        """Tell of a batch of changed levels."""
        self._note(self._moved, venue)
        self._note(self._day_moved, venue)
        hearers = self._hearing(BOOK, venue)
        if hearers:
            event = book_event(venue.rules, change)
            if self._faults.rules:
                self._faults.distort(venue, event)
            self._push(hearers, BOOK, venue.rules.market, event)

    # --- what leaves, and when ---

    def tick(self) -> None:
        """End a batch: books, then tickers and candles, then once a second the day's tickers."""
        exchange = self._exchange
        exchange.feed.flush_all(exchange.clock.now_ns())
        for market in self._moved | self._traded:
            self._tell_ticker(exchange.venues[market])
        for market in self._traded:
            self._tell_candles(exchange.venues[market])
        self._moved.clear()
        self._traded.clear()
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._next_day_s:
            self._next_day_s = now_s + DAY_TICKER_INTERVAL_S
            for market in self._day_moved:
                self._tell_day(exchange.venues[market])
            self._day_moved.clear()

    def flush_account_events(self) -> None:
        """Let the account events leave: as they happened, or in any order."""
        events, self._account_events = self._account_events, []
        if self._exchange.switches.account_event_order == "shuffled":
            self._random.shuffle(events)
        for sessions, market, event in events:
            self._push(sessions, ACCOUNT, market, event)

    def overtakes(self) -> bool:
        """Whether the account events of a request leave before its reply."""
        return self._exchange.switches.account_event_order == "shuffled" and self._random.random() < 0.5  # noqa: PLR2004

    def drain(self) -> None:
        """Write to each socket what is kept for it, in one piece."""
        outbox, self._outbox = self._outbox, {}
        for session, frames in outbox.items():
            bits = session.window_bits
            session.write(b"".join([frame.frame(bits) for frame in frames]))

    def _tell_ticker(self, venue: Venue) -> None:
        hearers = self._hearing(TICKER, venue)
        if not hearers:
            return
        values, market = ticker_values(venue), venue.rules.market
        told = self._told.get(market, {})
        changed = {name: value for name, value in values.items() if told.get(name) != value}
        self._told[market] = values
        if changed:
            self._push(hearers, TICKER, market, ticker_event(market, changed))

    def _tell_candles(self, venue: Venue) -> None:
        market, name = venue.rules.market, self._exchange.switches.candle_event
        for interval in tuple(self._intervals.get(market, ())):
            hearers = self._hearing(CANDLES, venue, interval)
            if hearers:
                candle = venue.tape.candles(INTERVALS[interval], 0, END_OF_TIME_MS, 1)[0]
                self._push(hearers, CANDLES, market, candle_event(name, venue.rules, interval, candle))

    def _tell_day(self, venue: Venue) -> None:
        if hearers := self._hearing(TICKER_24H, venue):
            event: Event = {"event": "ticker24h", "data": [day_row(self._exchange, venue)]}
            self._push(hearers, TICKER_24H, venue.rules.market, event)

    def _hearing(self, channel: str, venue: Venue, interval: str = "") -> Iterable[Session] | None:
        if venue.rules.status in SILENT:
            return None
        return self._hearers.get(Topic(channel, venue.rules.market, interval))

    def _note(self, markets: set[str], venue: Venue) -> None:
        if self._hearers:
            markets.add(venue.rules.market)

    def _owners(self, venue: Venue, order: Order) -> list[Session]:
        """The sessions of the order's account that hear its market, each once."""
        one = self._hearers.get(Topic(ACCOUNT, venue.rules.market), {})
        hearing = one | self._hearers.get(Topic(ACCOUNT, EVERY_MARKET), {})
        return [session for session in hearing if session.key is not None and session.key.account is order.account]

    def _keep_account_event(self, sessions: list[Session], venue: Venue, event: Event) -> None:
        if not self._account_events:
            asyncio.get_running_loop().call_soon(self.flush_account_events)
        self._account_events.append((sessions, venue.rules.market, event))

    def _push(self, hearers: Iterable[Session], channel: str, market: str, event: Event) -> None:
        frame = TextFrame(orjson.dumps(event))
        delays_ms = self._faults.delays_ms(channel, market, list(hearers)) if self._faults.rules else (0,)
        for delay_ms in delays_ms:
            if delay_ms:
                asyncio.get_running_loop().call_later(delay_ms / 1_000, self._keep, list(hearers), frame)
            else:
                self._keep(hearers, frame)

    def _keep(self, hearers: Iterable[Session], frame: TextFrame) -> None:
        outbox = self._outbox
        if not outbox:
            asyncio.get_running_loop().call_soon(self.drain)
        for session in hearers:
            frames = outbox.get(session)
            if frames is None:
                outbox[session] = [frame]
            else:
                frames.append(frame)

    def _repeat_best(self, venue: Venue) -> None:
        """Let the next batch repeat a level, so that who just subscribed gets an event of a quiet market too."""
        best = venue.book.bids.best() or venue.book.asks.best()
        side = venue.book.bids if best is None or best is venue.book.bids.best() else venue.book.asks
        side.changed.add(venue.rules.tick if best is None else best.price)
        self._exchange.feed.hold_back(venue)
