"""A WebSocket client for the tests: sends messages, finds replies and events, signs in its own words."""

import asyncio
import hmac
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import ClientWebSocketResponse, WSMsgType

from tests.exchange_sim.hand_clock import NOON_MS
from tests.exchange_sim.world import KEY, SECRET, World

PATIENCE_S = 3.0
QUIET_S = 0.12
REPLIES = (None, "subscribed", "unsubscribed", "authenticate", "error")


class WireClient:
    """One socket to a world."""

    def __init__(self, world: World, socket: ClientWebSocketResponse) -> None:
        self._world = world
        self.socket = socket
        self.seen: list[dict[str, Any]] = []

    async def send(self, **message: Any) -> None:  # noqa: ANN401  whatever a client may say
        await self.socket.send_str(orjson.dumps(message).decode())

    async def ask(self, **message: Any) -> dict[str, Any]:  # noqa: ANN401  whatever a client may say
        """Send a message and give the next frame that is no event of a channel."""
        await self.send(**message)
        return await self.until(lambda frame: frame.get("event") in REPLIES)

    async def receive(self, wait_s: float = PATIENCE_S) -> dict[str, Any]:
        frame = await asyncio.wait_for(self.socket.receive(), wait_s)
        assert frame.type is WSMsgType.TEXT, frame
        message: dict[str, Any] = orjson.loads(frame.data)
        self.seen.append(message)
        return message

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            while not wanted(message := await self.receive()):
                pass
        return message

    async def event(self, name: str, **fields: object) -> dict[str, Any]:
        return await self.until(
            lambda frame: frame.get("event") == name and all(frame.get(key) == each for key, each in fields.items())
        )

    async def rest(self) -> list[dict[str, Any]]:
        """All that arrives until it is quiet."""
        found = []
        while True:
            try:
                found.append(await self.receive(QUIET_S))
            except TimeoutError:
                return found

    async def subscribe(self, name: str, markets: object = ("BTC-EUR",), **more: object) -> dict[str, Any]:
        listed = list(markets) if isinstance(markets, tuple) else markets
        return await self.ask(action="subscribe", channels=[{"name": name, "markets": listed, **more}])

    async def authenticate(self, key: str = KEY, **changes: object) -> dict[str, Any]:
        timestamp = NOON_MS + self._world.clock.passed_ms
        signature = hmac.new(SECRET.encode(), f"{timestamp}GET/v2/websocket".encode(), "sha256").hexdigest()
        message = {"action": "authenticate", "key": key, "signature": signature, "timestamp": timestamp, "window": 5000}
        return await self.ask(**{name: each for name, each in (message | changes).items() if each is not None})


async def connect(world: World, path: str = "/v2/", **options: Any) -> WireClient:  # noqa: ANN401  the library's own
    socket = await world.session.ws_connect(world.url.replace("http", "ws", 1) + path, **options)
    return WireClient(world, socket)


def named(frames: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Those of one kind of event."""
    return [frame for frame in frames if frame.get("event") == name]
