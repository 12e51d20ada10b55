"""The standard health service (https://github.com/grpc/grpc/blob/master/doc/health-checking.md) with named states.

`""` is liveness and is SERVING while the process runs; each registered service follows it; the service sets its
own readiness names, such as "trade.ready". On drain everything turns NOT_SERVING for good and every Watch ends,
so that an open Watch does not hold the drain up.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final, TypeAlias

import grpc
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]  # the package has no stubs

from kernel.errors import Exhausted
from kernel.rpc import reasons
from kernel.rpc.call import Context

LIVENESS: Final = ""
SERVICE: Final = "grpc.health.v1.Health"
MAX_WATCHERS: Final = 32

Request: TypeAlias = Any  # health_pb2.HealthCheckRequest, which is untyped
Response: TypeAlias = Any  # health_pb2.HealthCheckResponse


class Health:
    """The states by name, and the two methods of the health service."""

    def __init__(self) -> None:
        """Begin alive, with no other name known."""
        self._states: dict[str, bool] = {LIVENESS: True}
        self._changed = asyncio.Event()
        self._watchers = 0
        self._draining = False

    def set(self, name: str, serving: bool) -> None:  # noqa: FBT001 - a state is a truth value: set("trade.ready", True)
        """Set the state of `name`; while draining nothing can be set any more."""
        if not self._draining and self._states.get(name) is not serving:
            self._states[name] = serving
            self._wake()

    def drain(self) -> None:
        """Turn every name NOT_SERVING, for good."""
        self._draining = True
        self._states = dict.fromkeys(self._states, False)
        self._wake()

    async def check(self, request: Request, context: Context) -> Response:
        """Answer the state of one name; NOT_FOUND for a name nobody set, as the health protocol wants it."""
        if request.service not in self._states:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown health name")
        return self._response(request.service)

    async def watch(self, request: Request, _context: Context) -> AsyncIterator[Response]:
        """Answer the state now and at every change; a name nobody set is SERVICE_UNKNOWN until it is."""
        if self._watchers >= MAX_WATCHERS:
            raise Exhausted(reasons.OVERLOADED, f"{MAX_WATCHERS} health watches are open")
        self._watchers += 1
        try:
            async for response in self._changes(request.service):
                yield response
        finally:
            self._watchers -= 1

    async def _changes(self, name: str) -> AsyncIterator[Response]:
        told: Response | None = None
        while True:
            changed, now = self._changed, self._response(name)
            if now != told:
                yield now
                told = now
                continue
            if self._draining:
                return
            await changed.wait()

    def _response(self, name: str) -> Response:
        kind = health_pb2.HealthCheckResponse
        if name not in self._states:
            return kind(status=kind.SERVICE_UNKNOWN)
        return kind(status=kind.SERVING if self._states[name] else kind.NOT_SERVING)

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
