"""What the feed asks of a socket, against one written by hand that answers as the exchange does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import orjson
import pytest

from bitvavo.frames import Frame
from bitvavo.proof import Proof
from bitvavo.topics import Channel, Topic
from market_service.live import wants
from market_service.live.feed import Feed

WAIT_SECONDS = 10
ADA = Topic(Channel.TRADES, "ADA-EUR")
BTC = Topic(Channel.TRADES, "BTC-EUR")
GONE = Topic(Channel.TRADES, "GONE-EUR")
"""A market that was delisted while it was watched."""


class Exchange:
    """Opens sockets; refuses a whole message for one market it does not have, as the real one does."""

    def __init__(self, *, names_requests: bool = True) -> None:
        self.names_requests = names_requests
        self.messages: list[tuple[str, tuple[Topic, ...]]] = []
        self.subscribed: set[Topic] = set()
        self.refusal = 205
        self.opened: list[float] = []
        self._said: asyncio.Queue[bytes] = asyncio.Queue()
        self.proof: Proof | None = None

    async def open(self) -> "Exchange":
        self.opened.append(asyncio.get_running_loop().time())
        self.subscribed.clear()
        self._said = asyncio.Queue()
        return self

    async def subscribe(self, topics: Iterable[Topic], request_id: int) -> None:
        asked = tuple(topics)
        self.messages.append(("subscribe", asked))
        if GONE in asked:
            self._say({"action": "subscribe", "errorCode": self.refusal, "error": "no"}, request_id)
        else:
            self.subscribed.update(asked)
            self._say({"event": "subscribed", "subscriptions": self._listed()}, request_id)

    async def unsubscribe(self, topics: Iterable[Topic], request_id: int) -> None:
        asked = tuple(topics)
        self.messages.append(("unsubscribe", asked))
        self.subscribed.difference_update(asked)
        self._say({"event": "unsubscribed", "subscriptions": self._listed()}, request_id)

    async def frames(self) -> AsyncIterator[bytes]:
        while True:
            yield await self._said.get()

    async def close(self) -> None:
        """Nothing is to be closed."""

    def _listed(self) -> dict[str, list[str]]:
        return {"trades": sorted(topic.market for topic in self.subscribed)}

    def _say(self, answer: dict[str, object], request_id: int) -> None:
        named = {"requestId": request_id} if self.names_requests else {}
        self._said.put_nowait(orjson.dumps({**answer, **named}))


class Ear:
    """Notes what a listener is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Topic]] = []

    def heard(self, frame: Frame) -> None:
        """Nothing is said here."""

    def subscribed(self, topics: Iterable[Topic]) -> None:
        self.told += [("subscribed", topic) for topic in topics]

    def unsubscribed(self, topic: Topic) -> None:
        self.told.append(("unsubscribed", topic))

    def unreadable(self, market: str | None) -> None:
        """Everything can be read here."""

    def lost(self) -> None:
        """What is lost is seen by the sockets opened."""


class Gate:
    """Lets messages pass, or holds them up as when the points are used up."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.waiting = 0

    async def pay(self) -> None:
        self.waiting += 1
        await self.open.wait()
        self.waiting -= 1


@asynccontextmanager
async def conversation(exchange: Exchange, gate: Gate, ear: Ear) -> AsyncIterator[Feed]:
    feed = Feed(exchange, gate.pay, chance=lambda: 0.0)
    feed.listen(Channel.TRADES, ear)
    running = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def become(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not true():  # noqa: ASYNC110 - what is waited for belongs to the code under test
            await asyncio.sleep(0.01)


async def test_one_market_that_is_gone_leaves_the_others_of_its_message_their_data() -> None:
    exchange, ear = Exchange(), Ear()
    async with conversation(exchange, Gate(), ear) as feed:
        others = [Topic(Channel.TRADES, f"M{n}-EUR") for n in range(20)]
        for topic in (*others, GONE):
            feed.want(topic)
        await become(lambda: all(map(feed.hears, others)))
        assert not feed.hears(GONE)
        assert len(exchange.opened) == 1
        messages = len(exchange.messages)
        assert messages <= 11  # halves of halves, not one by one
        await asyncio.sleep(1.5)  # the feed looks at its wishes once a second
        assert len(exchange.messages) == messages


async def test_an_acknowledgement_that_names_no_request_is_one_of_the_topics_it_lists() -> None:
    exchange, ear = Exchange(names_requests=False), Ear()
    async with conversation(exchange, Gate(), ear) as feed:
        feed.want(BTC)
        await become(lambda: feed.hears(BTC))
        feed.want(ADA)
        await become(lambda: feed.hears(ADA))
        assert ear.told == [("subscribed", BTC), ("subscribed", ADA)]


async def test_a_reader_that_comes_while_its_topic_is_let_go_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wants, "LINGER_SECONDS", 0.0)
    exchange, ear, gate = Exchange(), Ear(), Gate()
    async with conversation(exchange, gate, ear) as feed:
        feed.want(ADA)
        feed.want(BTC)
        await become(lambda: feed.hears(ADA) and feed.hears(BTC))
        gate.open.clear()
        feed.release(BTC)
        await become(lambda: gate.waiting == 1)  # the message that lets go waits for points
        feed.want(BTC)
        gate.open.set()
        await asyncio.sleep(0.1)
        assert feed.hears(BTC)
        assert ("unsubscribe", (BTC,)) not in exchange.messages
        assert ("unsubscribed", BTC) not in ear.told


async def test_messages_refused_as_too_fast_are_followed_by_a_long_pause() -> None:
    exchange, ear = Exchange(), Ear()
    exchange.refusal = 105
    async with conversation(exchange, Gate(), ear) as feed:
        feed.want(GONE)
        await become(lambda: len(exchange.messages) == 1)
        await asyncio.sleep(3)
        assert len(exchange.opened) == 1
