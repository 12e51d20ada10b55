"""The gRPC server of both services: limits, identity, health, reflection, and a drain that loses no call.

Usage, from a service's `app`:

    server = RpcServer(domain="trade.interlock", rights=RIGHTS)
    server.add(add_TradeServiceServicer_to_server, trade)
    port = await server.start("127.0.0.1:50052")
    server.health.set("trade.ready", True)
    …
    await server.drain()
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]  # the packages have no stubs
from grpc_reflection.v1alpha import reflection_pb2  # type: ignore[import-untyped]
from grpc_reflection.v1alpha._async import ReflectionServicer  # type: ignore[import-untyped]

from kernel import logs
from kernel.environment import is_loopback
from kernel.rpc import health
from kernel.rpc.actor import OPEN, Right
from kernel.rpc.interceptor import Interceptor
from kernel.rpc.methods import Methods
from kernel.rpc.patience import Patience
from kernel.rpc.perimeter import Perimeter
from kernel.rpc.tls import TlsRefusal
from kernel.rpc.users import Handler, UnreadableUser, users_named

Servicer = TypeVar("Servicer")
Handlers = Mapping[str, Handler]

REFLECTION_SERVICES: Final = ("grpc.reflection.v1alpha.ServerReflection", "grpc.reflection.v1.ServerReflection")
"""grpcurl 1.8 speaks v1alpha, newer tools ask for v1 first; the messages are the same on the wire."""

HARD_LIMIT_TIMES: Final = 2
"""Beyond twice `concurrent_rpcs` gRPC itself refuses, with the same status and no details; as it does with metadata."""

KERNEL_RIGHTS: Final = {
    f"/{health.SERVICE}/Check": OPEN,
    f"/{health.SERVICE}/Watch": OPEN,
    **{f"/{name}/ServerReflectionInfo": OPEN for name in REFLECTION_SERVICES},
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server takes on.

    A call over `concurrent_rpcs` is answered RESOURCE_EXHAUSTED at once, reason OVERLOADED, with a retry hint; health
    and reflection are answered beyond it. `concurrent_streams` (per connection) is not lower: a stream over it is
    refused with UNAVAILABLE, which clients send again by themselves. `waiting_calls`: that nobody has looked at yet,
    of all callers; gRPC sheds those beyond it by chance, with CANCELLED. A connection over `connections` is closed at
    once; one that has not finished TLS, said SETTINGS and acknowledged ours after `handshake_seconds`, or has no call
    for `connection_idle_seconds`, gives its place back. `ping_strikes` 0 answers every ping and punishes none: gRPC's
    punishment works on each further ping longer than on the one before. What each stops: docs/security.md, "Denial".
    """

    connections: int = 512
    handshake_seconds: float = 10.0
    receive_bytes: int = 16 * 1024
    send_bytes: int = 4 * 1024 * 1024
    metadata_bytes: int = 8 * 1024
    concurrent_rpcs: int = 256
    concurrent_streams: int = 256
    waiting_calls: int = 4_096
    connection_idle_seconds: float = 120.0
    connection_age_seconds: float = 300.0
    connection_age_grace_seconds: float = 60.0
    keepalive_seconds: float = 60.0
    keepalive_timeout_seconds: float = 20.0
    ping_strikes: int = 0
    patience: Patience = field(default_factory=Patience)
    drain_notice_seconds: float = 0.5
    drain_grace_seconds: float = 15.0


class ServerRefusal(Exception):  # noqa: N818 - it refuses to start
    """The server cannot be built or started as asked; the message says what to change."""


class RpcServer:
    """One server on one address. Build it inside the running event loop."""

    def __init__(
        self,
        *,
        domain: str,
        rights: Mapping[str, Right],
        userless: Collection[str] = (),
        limits: Limits | None = None,
        perimeter: Perimeter | None = None,
    ) -> None:
        """Take the name for ErrorInfo and the right per "/package.Service/Method" (`OPEN` for none).

        `userless`: the methods whose requests name no user, each vouched for by whoever serves it. Without a
        `perimeter`, plaintext is served, on loopback.

        Raises:
            ServerRefusal: TLS older than 1.3 could not be switched off.
        """
        self.health = health.Health()
        self._limits = limits or Limits()
        self._credentials = None if perimeter is None else _credentials(perimeter)
        self._rights: dict[str, Right] = {**rights, **KERNEL_RIGHTS}
        self._userless = frozenset(userless)
        self._metadata_bytes_max = self._limits.metadata_bytes * HARD_LIMIT_TIMES
        self._interceptor = Interceptor(
            domain,
            self._rights,
            self._limits.patience,
            self._limits.concurrent_rpcs,
            self._metadata_bytes_max,
            *(() if perimeter is None else (perimeter.access.identify, perimeter.access.number)),
        )
        self._services: dict[str, Handlers] = {}
        self._server = grpc.aio.server(
            options=_options(self._limits), maximum_concurrent_rpcs=self._limits.concurrent_rpcs * HARD_LIMIT_TIMES
        )

    def add(self, register: Callable[[Servicer, Any], None], servicer: Servicer) -> None:
        """Register a service by its generated `add_…_to_server`; its health name turns SERVING at `start`.

        Raises:
            ServerRefusal: a method has no entry in the table of rights, or nobody says which users it is about.
        """
        recorded = _Recorder()
        register(servicer, recorded)
        for name, handlers in recorded.services.items():
            self._add(name, handlers)

    async def start(self, address: str) -> int:
        """Bind, serve, and return the port. `address` is "host:port", "[::1]:port"; port 0 lets the system choose.

        Raises:
            ServerRefusal: plaintext off loopback, an address taken or malformed, a right for no method.
        """
        self._add_own()
        self._refuse_rights_for_nothing()
        port = self._bind(address)
        await self._server.start()
        for name in self._services:
            self.health.set(name, serving=True)
        logs.log("serving", address=address, port=port, tls=self._credentials is not None)
        return port

    async def drain(self) -> None:
        """Stop without losing a call: NOT_SERVING, time to notice it, no new call, a grace, then cancel the rest."""
        self.health.drain()
        await asyncio.sleep(self._limits.drain_notice_seconds)
        await self._server.stop(self._limits.drain_grace_seconds)
        logs.log("stopped_serving")

    def _add(self, name: str, handlers: Handlers) -> None:
        missing = [method for method in handlers if f"/{name}/{method}" not in self._rights]
        if missing:
            message = f"{name}: no entry in the table of rights for {', '.join(missing)}"
            raise ServerRefusal(message)
        self._refuse_unsaid_users(name, handlers)
        wrapped = {method: self._interceptor.wrap(f"/{name}/{method}", each) for method, each in handlers.items()}
        self._services[name] = wrapped
        self._server.add_generic_rpc_handlers((Methods(name, wrapped, self._metadata_bytes_max),))

    def _refuse_unsaid_users(self, name: str, handlers: Handlers) -> None:
        """Either a method's request names a user, or its service vouches that it is about none."""
        for method, handler in handlers.items():
            full = f"/{name}/{method}"
            try:
                named = bool(users_named(handler))
            except UnreadableUser as refusal:
                raise ServerRefusal(f"{full}: {refusal}") from None
            if named == (full in self._userless) and self._rights[full] != OPEN:
                found = (
                    "names a user and is listed as userless" if named else "names no user and is not listed as userless"
                )
                raise ServerRefusal(f"{full}: its request {found}; expected one of the two")

    def _add_own(self) -> None:
        self._add(health.SERVICE, _health_handlers(self.health))
        names = (*self._services, *REFLECTION_SERVICES)
        for name in REFLECTION_SERVICES:
            self._add(name, _reflection_handlers(names))

    def _refuse_rights_for_nothing(self) -> None:
        served = {f"/{name}/{method}" for name, handlers in self._services.items() for method in handlers}
        unserved = sorted((self._rights.keys() | self._userless) - served)
        if unserved:
            message = f"the tables of rights name methods that are not served: {', '.join(unserved)}"
            raise ServerRefusal(message)

    def _bind(self, address: str) -> int:
        if self._credentials is None:
            _require_loopback(address)
        try:
            if self._credentials is None:
                return self._server.add_insecure_port(address)
            return self._server.add_secure_port(address, self._credentials)
        except RuntimeError:
            message = f"cannot listen on {address}: the address is taken or not of this machine"
            raise ServerRefusal(message) from None


class _Recorder:
    """Stands where generated code expects a server, and keeps what it registers."""

    def __init__(self) -> None:
        self.services: dict[str, Handlers] = {}

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Ignore the older of the two ways in which generated code registers the same methods."""

    def add_registered_method_handlers(self, service_name: str, method_handlers: Handlers) -> None:
        """Keep the methods of a service."""
        self.services[service_name] = method_handlers


def _credentials(perimeter: Perimeter) -> grpc.ServerCredentials:
    try:
        return perimeter.certificates.server_credentials()
    except TlsRefusal as refusal:
        raise ServerRefusal(str(refusal)) from None


def _require_loopback(address: str) -> None:
    if not is_loopback(address):
        message = f"{address}: plaintext is served on a loopback address only (127.0.0.1, [::1]); give TLS files"
        raise ServerRefusal(message)


def _health_handlers(states: health.Health) -> Handlers:
    request, response = health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
    return {
        "Check": grpc.unary_unary_rpc_method_handler(states.check, request.FromString, response.SerializeToString),
        "Watch": grpc.unary_stream_rpc_method_handler(states.watch, request.FromString, response.SerializeToString),
    }


def _reflection_handlers(names: tuple[str, ...]) -> Handlers:
    request, response = reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse
    stream = ReflectionServicer(names).ServerReflectionInfo
    return {
        "ServerReflectionInfo": grpc.stream_stream_rpc_method_handler(
            stream, request.FromString, response.SerializeToString
        )
    }


def _options(limits: Limits) -> list[tuple[str, int]]:
    """Name each limit as gRPC does: https://grpc.github.io/grpc/core/group__grpc__arg__keys.html."""
    return [
        # Without it a second process binds the same port and takes every other connection.
        ("grpc.so_reuseport", 0),
        ("grpc.max_allowed_incoming_connections", limits.connections),
        ("grpc.server_handshake_timeout_ms", round(limits.handshake_seconds * 1_000)),
        ("grpc.http2.settings_timeout", round(limits.handshake_seconds * 1_000)),
        ("grpc.max_connection_idle_ms", round(limits.connection_idle_seconds * 1_000)),
        ("grpc.max_receive_message_length", limits.receive_bytes),
        ("grpc.max_send_message_length", limits.send_bytes),
        ("grpc.max_metadata_size", limits.metadata_bytes),
        ("grpc.absolute_max_metadata_size", limits.metadata_bytes * HARD_LIMIT_TIMES),
        ("grpc.max_concurrent_streams", limits.concurrent_streams),
        ("grpc.server.max_pending_requests", limits.waiting_calls),
        ("grpc.server.max_pending_requests_hard_limit", limits.waiting_calls * 2),
        ("grpc.max_connection_age_ms", round(limits.connection_age_seconds * 1_000)),
        ("grpc.max_connection_age_grace_ms", round(limits.connection_age_grace_seconds * 1_000)),
        ("grpc.keepalive_time_ms", round(limits.keepalive_seconds * 1_000)),
        ("grpc.keepalive_timeout_ms", round(limits.keepalive_timeout_seconds * 1_000)),
        ("grpc.http2.max_ping_strikes", limits.ping_strikes),
    ]
