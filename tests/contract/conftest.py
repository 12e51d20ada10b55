"""The running system these tests call, and the plugin pytest-grpc's own fixtures pointed at it."""

import shutil
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import grpc
import pytest

from kernel.rpc.channel import open_channel
from protos.market.v1.market_pb2_grpc import MarketServiceStub
from protos.trade.v1.trade_pb2_grpc import AdminServiceStub, TradeServiceStub
from standalone.system import System
from tests.contract.harm import SENT, Watch
from tests.contract.methods import Raw
from tests.contract.stored import Stored

if TYPE_CHECKING:
    from protos.market.v1.market_pb2_grpc import MarketServiceAsyncStub
    from protos.trade.v1.trade_pb2_grpc import TradeServiceAsyncStub

POLICIES = Path(__file__).parent / "policies"
POINTS_PER_MINUTE = 1_000_000_000


def pytest_configure(config: pytest.Config) -> None:
    """Begin with nothing sent."""
    config.stash[SENT] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print how much bad input was sent and what was answered."""
    for line in config.stash.get(SENT, []):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def policies() -> Iterator[Path]:
    """Yield the policy directory of the running trade_service: a copy that a test may spoil."""
    folder = Path(mkdtemp(prefix="interlock-contract-"))
    folder.chmod(0o711)
    yield Path(shutil.copytree(POLICIES, folder / "policies"))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def system(policies: Path) -> Iterator[System]:
    """Start everything once for all contract tests; the exchange's prices stand still."""
    words = ("--still", "--points-per-minute", str(POINTS_PER_MINUTE))
    running = System.start(policies.parent, simulator_args=words, policy_dir=policies)
    yield running
    for service in (*running.trade, running.market):
        service.kill()  # an orderly end takes seconds and is tested elsewhere
    running.stop()
    running.simulator._client.close()


@pytest.fixture(scope="session")
def stored(system: System) -> Iterator[Stored]:
    """Look into the trade database as the role that may only read."""
    with Stored(system.database_url("auditor")) as look:
        yield look


_users = count(1)


@pytest.fixture
def user() -> str:
    """Return a user nobody else has: policies judge by user."""
    return f"user-{next(_users)}"


# --- pytest-grpc (https://pypi.org/project/pytest-grpc/): its channel and stub, our server ---


@pytest.fixture(scope="module")
def grpc_addr(system: System) -> str:
    return system.trade[0].address


@pytest.fixture(scope="module")
def grpc_server(system: System) -> System:
    """Stand for the server that the plugin would start inside this process: ours runs already."""
    return system


@pytest.fixture(scope="session")
def trade(system: System) -> Iterator[TradeServiceStub]:
    with grpc.insecure_channel(system.trade[0].address) as channel:
        yield TradeServiceStub(channel)


@pytest.fixture(scope="session")
def admin(system: System) -> Iterator[AdminServiceStub]:
    with grpc.insecure_channel(system.trade[0].address) as channel:
        yield AdminServiceStub(channel)


@pytest.fixture(scope="session")
def watch(system: System, stored: Stored) -> Iterator[Watch]:
    """Look at both services, the database and the exchange while bad input comes in."""
    with (
        grpc.insecure_channel(system.trade[0].address) as trade_channel,
        grpc.insecure_channel(system.market.address) as market_channel,
    ):
        yield Watch(system, stored, Raw(trade_channel, market_channel))


# --- grpc.aio: a channel per test, inside its loop ---


@pytest.fixture
async def aio_trade(system: System) -> "AsyncIterator[TradeServiceAsyncStub]":
    channel = open_channel(system.trade[0].address)
    yield TradeServiceStub(channel)
    await channel.close()


@pytest.fixture
async def aio_market(system: System) -> "AsyncIterator[MarketServiceAsyncStub]":
    channel = open_channel(system.market.address)
    yield MarketServiceStub(channel)
    await channel.close()
