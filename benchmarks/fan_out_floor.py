"""The least a service can do for the subscribers of a book: `BITVAVO_REST_URL=… MARKET_READY_FILE=… python -m …`.

It hears the exchange's frames, puts the time of each into a message that is ready but for that, and writes the bytes to
all by a bare grpc.aio server. It keeps no book, so it does not know whether what it says is right; it knows no caller,
no limit, no slow reader and no end.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import grpc.aio
import orjson
import uvloop

from benchmarks.market_hand import MARKET
from protos.market.v1 import market_pb2 as pb

DEPTH = 10
SERVICE = "market.v1.MarketService"
SUBSCRIBE = {"action": "subscribe", "channels": [{"name": "book", "markets": [MARKET]}]}


class Floor:
    """The readers who wait, and the bytes that they are told."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._loop = asyncio.get_running_loop()
        self._waiting: list[asyncio.Future[bytes]] = []

    async def watch(self, _request: bytes, _context: object) -> AsyncIterator[bytes]:
        """Write what is told, to one reader."""
        while True:
            told = self._loop.create_future()
            self._waiting.append(told)
            yield await told

    def tell(self, written: bytes) -> None:
        """Tell all who wait."""
        waiting, self._waiting = self._waiting, []
        for told in waiting:
            if not told.done():
                told.set_result(written)

    async def hear(self, exchange: str) -> None:
        """Tell every frame of the book, until cancelled."""
        message = ready_message()
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{exchange}/") as socket:
            await socket.send_json(SUBSCRIBE)
            async for frame in socket:
                event = orjson.loads(frame.data)
                if event["event"] == "book":
                    message.exchange_time.FromNanoseconds(event["timestamp"])
                    self.tell(message.SerializeToString())


def ready_message() -> pb.WatchOrderBookResponse:
    """Return a message as large as the service's."""
    levels = [pb.PriceLevel(price="50000", size="1.123") for _ in range(DEPTH)]
    message = pb.WatchOrderBookResponse(market=MARKET, bids=levels, asks=levels, nonce=1_000)
    message.freshness.quality = pb.QUALITY_GOOD
    message.freshness.as_of.GetCurrentTime()
    message.freshness.age.FromMilliseconds(100)
    message.market_status = pb.MARKET_STATUS_TRADING
    return message


async def serve(exchange: str, ready: Path) -> None:
    """Serve until the process is ended."""
    floor = Floor()
    server = grpc.aio.server()
    methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "WatchOrderBook": grpc.unary_stream_rpc_method_handler(floor.watch)
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    ready.write_text(json.dumps({"grpc": port}))  # noqa: ASYNC240 - nobody is served yet
    await floor.hear(exchange)


if __name__ == "__main__":
    uvloop.run(serve(os.environ["BITVAVO_REST_URL"], Path(os.environ["MARKET_READY_FILE"])))
