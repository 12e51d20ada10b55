"""What one socket subscribed to, and the reading of subscribe and unsubscribe messages. Pure.

Shapes: https://docs.bitvavo.com/docs/websocket-api/introduction/. A message is taken whole or refused whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from exchange_sim import parameters
from exchange_sim.exchange import Exchange
from exchange_sim.intervals import INTERVALS
from exchange_sim.refusal import Refusal, invalid, missing

TICKER, TICKER_24H, CANDLES, TRADES, BOOK, ACCOUNT = "ticker", "ticker24h", "candles", "trades", "book", "account"
CHANNELS = (TICKER, TICKER_24H, CANDLES, TRADES, BOOK, ACCOUNT)
MOST_CHANNELS_PER_MESSAGE = 100
EVERY_MARKET = "*"


class Topic(NamedTuple):
    """One thing to hear of; `interval` is empty but for candles."""

    channel: str
    market: str
    interval: str = ""


class Subscriptions:
    """The topics of one socket in the order they were first asked for."""

    def __init__(self) -> None:
        """Start with none."""
        self.topics: dict[Topic, None] = {}

    def add(self, topics: list[Topic]) -> list[Topic]:
        """Subscribe, and give those that are new."""
        new = [topic for topic in dict.fromkeys(topics) if topic not in self.topics]
        self.topics.update(dict.fromkeys(new))
        return new

    def remove(self, topics: list[Topic]) -> list[Topic]:
        """Unsubscribe, and give those that were there."""
        gone = [topic for topic in dict.fromkeys(topics) if topic in self.topics]
        for topic in gone:
            del self.topics[topic]
        return gone

    def summary(self) -> dict[str, object]:
        """All topics as an acknowledgement lists them: markets by channel, for candles by interval too."""
        found: dict[str, object] = {}
        for topic in self.topics:
            if topic.channel == CANDLES:
                intervals = found.setdefault(CANDLES, {})
                assert isinstance(intervals, dict)  # noqa: S101  made here
                intervals.setdefault(topic.interval, []).append(topic.market)
            else:
                markets = found.setdefault(topic.channel, [])
                assert isinstance(markets, list)  # noqa: S101  made here
                markets.append(topic.market)
        return found


def read_topics(exchange: Exchange, message: Mapping[str, object]) -> list[Topic]:
    """The topics that a subscribe or unsubscribe message names.

    Raises:
        Refusal: 203 a part is lacking; 205 an unknown channel, market or interval.
    """
    channels = message.get("channels")
    if channels is None:
        raise missing("channels")
    if not isinstance(channels, list) or not 0 < len(channels) <= MOST_CHANNELS_PER_MESSAGE:
        raise invalid("channels")
    return [topic for channel in channels for topic in _topics_of(exchange, channel)]


def _topics_of(exchange: Exchange, channel: object) -> Iterator[Topic]:
    if not isinstance(channel, dict):
        raise invalid("channels")
    name = channel.get("name")
    if name is None:
        raise missing("channel.name")
    if name not in CHANNELS:
        raise invalid("channel.name")
    intervals = _intervals(channel) if name == CANDLES else [""]
    for market in _markets(exchange, channel):
        for interval in intervals:
            yield Topic(str(name), market, interval)


def _markets(exchange: Exchange, channel: Mapping[str, object]) -> list[str]:
    """The markets of a channel; the account channel also takes all of them by a star."""
    markets = channel.get("markets")
    if channel["name"] == ACCOUNT and markets in (EVERY_MARKET, [EVERY_MARKET]):
        return [EVERY_MARKET]
    if markets is None:
        raise missing("markets")
    if not isinstance(markets, list) or not markets:
        raise invalid("markets")
    return [parameters.venue_of(exchange, {"market": market}).rules.market for market in markets]


def _intervals(channel: Mapping[str, object]) -> list[str]:
    intervals = channel.get("interval")
    if intervals is None:
        raise missing("interval")
    listed = intervals if isinstance(intervals, list) else [intervals]
    if not listed or any(interval not in INTERVALS for interval in listed):
        raise Refusal(205, "interval parameter is invalid.")
    return [str(interval) for interval in listed]
