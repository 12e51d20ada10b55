"""The scratch service of these tests, and how its errors are read as a client would."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

import grpc.aio
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status  # type: ignore[import-untyped]

from kernel.rpc.patience import Patience
from kernel.rpc.server import Limits, RpcServer

Generated: TypeAlias = Any  # compiled while the tests run: nothing can be known of its types
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

ROOT = Path(__file__).resolve().parents[2]
PROTO = """
syntax = "proto3";
package scratch.v1;
import "buf/validate/validate.proto";
message Order {
  string market = 1 [(buf.validate.field).string.pattern = "^[A-Z]{2,8}-[A-Z]{2,8}$"];
  int32 size = 2 [(buf.validate.field).int32 = {gt: 0, lt: 1000}];
  Leg leg = 3;
  repeated Leg more = 4;
  map<string, Leg> named = 5;
}
message Leg { string id = 1 [(buf.validate.field).string.min_len = 1]; }
message Answer { string text = 1; }
service ScratchService {
  rpc Do(Order) returns (Answer);
  rpc Follow(Order) returns (stream Answer);
}
"""
RIGHTS = {"/scratch.v1.ScratchService/Do": "do", "/scratch.v1.ScratchService/Follow": "read"}
USERLESS = tuple(RIGHTS)
QUICK = Limits(
    patience=Patience(deadline_seconds=0.3, request_seconds=0.5, read_seconds=0.5),
    drain_notice_seconds=0.2,
    drain_grace_seconds=1.0,
)


@dataclass
class Scratch:
    """The generated module and how to reach its service."""

    pb2: ModuleType
    grpc: ModuleType

    def order(self, **fields: object) -> Generated:
        return self.pb2.Order(**{"market": "BTC-EUR", "size": 1, **fields})


class Servicer:
    """Does what a test tells it to."""

    def __init__(self, scratch: Scratch) -> None:
        self.scratch = scratch
        self.do: Callable[[Any, Any], Awaitable[Any]] = self._answer
        self.follow: Callable[[Any], AsyncIterator[Any]] = self._three
        self.calls = 0

    async def Do(  # noqa: N802 - an RPC keeps its name
        self, request: Generated, context: Context
    ) -> Generated:
        self.calls += 1
        return await self.do(request, context)

    async def Follow(  # noqa: N802
        self, request: Generated, _context: Context
    ) -> AsyncIterator[Any]:
        async for each in self.follow(request):
            yield each

    async def _answer(self, request: Generated, _context: Context) -> Generated:
        return self.scratch.pb2.Answer(text=request.market)

    async def _three(self, _request: Generated) -> AsyncIterator[Any]:
        for text in ("1", "2", "3"):
            yield self.scratch.pb2.Answer(text=text)


@dataclass
class Running:
    """A server that serves, its servicer, a channel and a stub to it."""

    server: RpcServer
    servicer: Servicer
    port: int
    channel: grpc.aio.Channel
    stub: Any


def details(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    """Return the details of an error by the name of their type, unpacked."""
    status = rpc_status.from_call(_SyncView(error))
    found = {}
    for packed in status.details:
        name = packed.TypeName().rpartition(".")[2]
        found[name] = getattr(error_details_pb2, name)()
        assert packed.Unpack(found[name])
    return found


def trailer(error: grpc.aio.AioRpcError, key: str) -> Generated:
    """Return a trailer of an error."""
    return dict(error.trailing_metadata()).get(key)


class Trailer(NamedTuple):
    """One trailer in the form that grpc_status reads."""

    key: str
    value: Any


class _SyncView:
    """What grpc_status wants to see of a call."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.code, self.details = error.code, error.details
        self._metadata = tuple(error.trailing_metadata())

    def trailing_metadata(self) -> tuple[Any, ...]:
        return tuple(Trailer(key, value) for key, value in self._metadata)
