"""market_service and the simulator as real processes, and a client of the one."""

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import grpc.aio
import pytest

from protos.market.v1.market_pb2_grpc import MarketServiceStub
from tests.market_service.processes import MarketService, Simulator

if TYPE_CHECKING:
    from protos.market.v1.market_pb2_grpc import MarketServiceAsyncStub


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = Simulator(tmp_path_factory.mktemp("sim"))
    yield simulator
    simulator.stop()


@pytest.fixture(scope="module")
def service(sim: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MarketService]:
    process = MarketService(tmp_path_factory.mktemp("market"), sim.url)
    yield process
    process.stop()


@pytest.fixture
async def stub(service: MarketService) -> AsyncIterator["MarketServiceAsyncStub"]:
    async with grpc.aio.insecure_channel(service.address) as channel:
        yield MarketServiceStub(channel)
