"""What can be heard over the exchange's WebSocket, and the messages that ask for it; pure.

Shapes: https://docs.bitvavo.com/docs/websocket-api/introduction/. `bitvavo.websocket` sends the messages,
`bitvavo.frames` reads the acknowledgements.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final, NamedTuple

import orjson


class Channel(StrEnum):
    """The public channels, in the exchange's spelling."""

    TICKER = "ticker"
    TICKER_24H = "ticker24h"
    CANDLES = "candles"
    TRADES = "trades"
    BOOK = "book"


class Topic(NamedTuple):
    """One thing to hear of; `interval` (such as "1m") belongs to candles and is empty for all else."""

    channel: Channel
    market: str
    interval: str = ""


MAX_TOPICS_PER_MESSAGE: Final = 500
"""The exchange took 437 markets in one frame; a message costs one point however many topics it names."""


def subscribe_message(topics: Iterable[Topic], request_id: int) -> bytes:
    """Write the message that asks to hear of these topics."""
    return _message("subscribe", topics, request_id)


def unsubscribe_message(topics: Iterable[Topic], request_id: int) -> bytes:
    """Write the message that asks to hear of these topics no more."""
    return _message("unsubscribe", topics, request_id)


def _message(action: str, topics: Iterable[Topic], request_id: int) -> bytes:
    markets: dict[tuple[Channel, str], list[str]] = {}
    for topic in topics:
        markets.setdefault((topic.channel, topic.interval), []).append(topic.market)
    channels = [_channel(channel, interval, names) for (channel, interval), names in markets.items()]
    return orjson.dumps({"action": action, "requestId": request_id, "channels": channels})


def _channel(channel: Channel, interval: str, markets: list[str]) -> dict[str, Any]:
    named: dict[str, Any] = {"name": channel.value, "markets": markets}
    return {**named, "interval": [interval]} if interval else named
