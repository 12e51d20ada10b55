"""A legal caller in a process of its own: asks both services ten times a second, and tells what became of each call.

    python -m tests.abuse.bystander MARKET TRADE FOLDER

It is the operator: a certificate of its own, in FOLDER. Every fifth call of a service goes over a new connection. One
JSON line a call on standard output: [service, "kept" or "new", seconds, status].
"""

import asyncio
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import grpc.aio

from protos.market.v1 import market_pb2
from protos.market.v1.market_pb2_grpc import MarketServiceStub
from protos.trade.v1 import trade_pb2
from protos.trade.v1.trade_pb2_grpc import AdminServiceStub

PAUSE_SECONDS = 0.1
CALL_SECONDS = 10.0
NEW_CONNECTION_EVERY = 5
OPTIONS = (("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1))


async def main(market: str, trade: str, folder: Path) -> None:
    """Ask for ever."""
    read = {name: (folder / f"{name}.pem").read_bytes() for name in ("ca", "key", "cert")}
    credentials = grpc.ssl_channel_credentials(read["ca"], read["key"], read["cert"])
    await asyncio.gather(ask_for_ever("market", market, credentials), ask_for_ever("trade", trade, credentials))


async def ask_for_ever(service: str, address: str, credentials: grpc.ChannelCredentials) -> None:
    """Ask one service."""
    async with grpc.aio.secure_channel(address, credentials, OPTIONS) as kept:
        number = 0
        while True:
            number += 1
            if number % NEW_CONNECTION_EVERY:
                await tell(service, "kept", kept)
            else:
                async with grpc.aio.secure_channel(address, credentials, OPTIONS) as new:
                    await tell(service, "new", new)
            await asyncio.sleep(PAUSE_SECONDS)


async def tell(service: str, connection: str, channel: grpc.aio.Channel) -> None:
    """Make one call and print its line."""
    began, status = perf_counter(), "OK"
    try:
        await ask(service, channel)
    except grpc.aio.AioRpcError as error:
        status = f"{error.code().name}: {error.details()}"
    sys.stdout.write(json.dumps([service, connection, perf_counter() - began, status]) + "\n")
    sys.stdout.flush()


async def ask(service: str, channel: grpc.aio.Channel) -> None:
    """Ask market_service for a price, trade_service for the state of its kill switch."""
    stub: Any = MarketServiceStub(channel) if service == "market" else AdminServiceStub(channel)
    if service == "market":
        await stub.GetTicker(market_pb2.GetTickerRequest(market="BTC-EUR"), timeout=CALL_SECONDS)
    else:
        await stub.GetTradingState(trade_pb2.GetTradingStateRequest(), timeout=CALL_SECONDS)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
