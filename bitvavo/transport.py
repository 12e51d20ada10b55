"""The only way to the exchange: an httpx client that cannot reach another endpoint and emits each request once.

Both services open their client here. Under httpx lies aiohttp's connection pool, measured against the others in
``docs/decisions/0003-exchange-transport.md``. HTTP/1.1 only, no retries, no redirects, no proxy, no cookies, no
compression, every body read under a cap.
"""

from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import aiohttp
import httpx
from aiohttp.client_middlewares import ClientHandlerType
from yarl import URL

from bitvavo.endpoints import API_PREFIX, AllowList, ForbiddenEndpointError
from bitvavo.origin import is_loopback_host, tls_context

CONNECT_TIMEOUT_SECONDS: Final = 2.0
READ_TIMEOUT_SECONDS: Final = 10.0
TOTAL_TIMEOUT_SECONDS: Final = 30.0
POOL_TIMEOUT_SECONDS: Final = 2.0
KEEPALIVE_SECONDS: Final = 15.0
"""A pooled connection idle longer is closed, never used: a request over a stale one may be lost in silence."""

MAX_CONNECTIONS: Final = 64
ORDER_BODY_CAP_BYTES: Final = 256 * 1024
LIST_BODY_CAP_BYTES: Final = 8 * 1024 * 1024

CAP_EXTENSION: Final = "body_cap_bytes"
TOTAL_EXTENSION: Final = "total_timeout_seconds"

_METHOD_OVERRIDES: Final = frozenset({b"x-http-method-override", b"x-http-method", b"x-method-override"})
_DROPPED_HEADERS: Final = frozenset({b"set-cookie", b"transfer-encoding"})


class Fault(StrEnum):
    """Why no answer came."""

    CONNECT = "connect"  # refused, unreachable, name not found
    TLS = "tls"  # the handshake failed, or the certificate
    CONNECT_TIMEOUT = "connect_timeout"  # also: no free connection in the pool in time
    TIMEOUT = "timeout"
    DISCONNECTED = "disconnected"
    BAD_HTTP = "bad_http"
    BODY_LOST = "body_lost"
    BODY_TOO_LARGE = "body_too_large"
    COMPRESSED = "compressed"  # we ask for none: an answer that is compressed is not read


NEVER_SENT: Final = frozenset({Fault.CONNECT, Fault.TLS, Fault.CONNECT_TIMEOUT})
"""These happen before a connection exists, so not a byte of the request has left."""


# The first that fits counts: aiohttp's connector errors are OSErrors too, its connect time-out is a TimeoutError.
_FAULTS: Final[tuple[tuple[type[BaseException], Fault], ...]] = (
    (aiohttp.ClientSSLError, Fault.TLS),
    (aiohttp.ClientConnectorError, Fault.CONNECT),
    (aiohttp.ConnectionTimeoutError, Fault.CONNECT_TIMEOUT),
    (TimeoutError, Fault.TIMEOUT),
    (aiohttp.ClientPayloadError, Fault.BODY_LOST),
    (aiohttp.ClientConnectionError, Fault.DISCONNECTED),
    (OSError, Fault.DISCONNECTED),
)


class ExchangeTransportError(httpx.TransportError):
    """No answer: `fault` says why, `not_sent` whether that proves that nothing left. Carries no other text."""

    def __init__(self, fault: Fault) -> None:
        """Keep the fault; its name is the whole message."""
        super().__init__(fault.value)
        self.fault = fault
        self.not_sent = fault in NEVER_SENT


class _LostError(Exception):
    """Carries a fault out of aiohttp past its own retry, which knows only aiohttp's exceptions."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


def open_client(
    base_url: str, allow: AllowList, *, ca_file: Path | None = None, max_connections: int = MAX_CONNECTIONS
) -> httpx.AsyncClient:
    """Open a client for one exchange and one list of endpoints; close it with ``aclose()``.

    `base_url` is ``https://…/v2``, or ``http://`` on a loopback address only; `ca_file` replaces the public
    authorities. A request's body cap is its extension ``body_cap_bytes`` (256 KiB when absent), its total time
    ``total_timeout_seconds``. Errors: `ExchangeTransportError`, and `ForbiddenEndpointError` before anything leaves.

    Raises:
        ValueError: the URL is not of that form.
    """
    url = _checked_base(base_url)
    return _ExchangeClient(
        GuardedTransport(url, allow, ca_file=ca_file, max_connections=max_connections),
        base_url=url,
        trust_env=False,
        follow_redirects=False,
        headers={"accept": "application/json", "accept-encoding": "identity", "user-agent": "interlock"},
        timeout=httpx.Timeout(
            connect=CONNECT_TIMEOUT_SECONDS, read=READ_TIMEOUT_SECONDS, write=None, pool=POOL_TIMEOUT_SECONDS
        ),
    )


class _ExchangeClient(httpx.AsyncClient):
    """Hands a request to the transport, once: none of httpx's redirects, cookies, hooks or ways to log in between.

    They are switched off anyway, and cost a fifth of a call.
    """

    def __init__(self, transport: "GuardedTransport", **settings: Any) -> None:  # noqa: ANN401 - httpx's own
        super().__init__(transport=transport, **settings)
        self._guarded = transport

    async def send(self, request: httpx.Request, **_: object) -> httpx.Response:
        if self.is_closed:
            message = "the client was closed; nothing is sent any more"
            raise RuntimeError(message)
        return await self._guarded.handle_async_request(request)


class GuardedTransport(httpx.AsyncBaseTransport):
    """Checks each request against origin and list, sends it once over aiohttp, reads the answer under its cap."""

    def __init__(self, base: httpx.URL, allow: AllowList, *, ca_file: Path | None, max_connections: int) -> None:
        """Prepare; the pool itself opens with the first request, on the loop that runs then."""
        self._base = base
        self._allow = allow
        self._tls = tls_context(ca_file) if base.scheme == "https" else None
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Check, send once, read the whole answer."""
        self._require_allowed(request)
        cap = int(request.extensions.get(CAP_EXTENSION, ORDER_BODY_CAP_BYTES))
        try:
            return await self._exchange(request, cap)
        except _LostError as lost:
            raise ExchangeTransportError(lost.fault) from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ExchangeTransportError(_fault(error)) from None

    async def aclose(self) -> None:
        """Close the pool; the client cannot be used afterwards."""
        if self._session is not None:
            await self._session.close()

    def _require_allowed(self, request: httpx.Request) -> None:
        url = request.url
        if (url.scheme, url.host, url.port) != (self._base.scheme, self._base.host, self._base.port):
            message = "another scheme, host or port than this client's exchange"
            raise ForbiddenEndpointError(message)
        headers = {name.lower(): value for name, value in request.headers.raw}
        if url.userinfo or headers.get(b"host") != url.netloc:
            message = "user information in the URL, or a Host header for another host"
            raise ForbiddenEndpointError(message)
        if not _METHOD_OVERRIDES.isdisjoint(headers):
            message = "a header that asks for another method"
            raise ForbiddenEndpointError(message)
        self._allow.require(request.method, _wire_path(url))

    async def _exchange(self, request: httpx.Request, cap: int) -> httpx.Response:
        async with self._open_session().request(
            request.method,
            URL(str(request.url), encoded=True),
            headers=request.headers.multi_items(),
            data=await request.aread() or None,
            allow_redirects=False,
            timeout=_timeout(request),
        ) as answer:
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise _LostError(Fault.COMPRESSED)
            return httpx.Response(
                answer.status,
                headers=[pair for pair in answer.raw_headers if pair[0].lower() not in _DROPPED_HEADERS],
                content=await _read_capped(answer, cap),
                request=request,
            )

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=self._max_connections, keepalive_timeout=KEEPALIVE_SECONDS, ssl=self._tls or True
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # else a bomb is unpacked before its header is looked at
                trust_env=False,
                middlewares=(_emit_once,),
            )
        return self._session


async def _emit_once(request: aiohttp.ClientRequest, send: ClientHandlerType) -> aiohttp.ClientResponse:
    # aiohttp sends a GET, PUT or DELETE again by itself when a pooled connection turns out to be dead. It decides so
    # by the type of the exception; under another type the first emission is also the last, whatever the method.
    try:
        return await send(request)
    except (aiohttp.ClientError, OSError) as error:
        raise _LostError(_fault(error)) from None


async def _read_capped(answer: aiohttp.ClientResponse, cap: int) -> bytes:
    # On leaving early, the `async with` around the answer closes the connection: no rest of a body is ever reused.
    if (answer.content_length or 0) > cap:
        raise _LostError(Fault.BODY_TOO_LARGE)
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > cap:
            raise _LostError(Fault.BODY_TOO_LARGE)
    return bytes(body)


def _fault(error: BaseException) -> Fault:
    return next((fault for kind, fault in _FAULTS if isinstance(error, kind)), Fault.BAD_HTTP)


def _timeout(request: httpx.Request) -> aiohttp.ClientTimeout:
    asked = request.extensions.get("timeout", {})
    return aiohttp.ClientTimeout(
        total=request.extensions.get(TOTAL_EXTENSION, TOTAL_TIMEOUT_SECONDS),
        connect=(asked.get("pool") or POOL_TIMEOUT_SECONDS) + (asked.get("connect") or CONNECT_TIMEOUT_SECONDS),
        sock_connect=asked.get("connect") or CONNECT_TIMEOUT_SECONDS,
        sock_read=asked.get("read") or READ_TIMEOUT_SECONDS,
    )


def _wire_path(url: httpx.URL) -> str:
    return url.raw_path.partition(b"?")[0].decode("ascii")


def _checked_base(base_url: str) -> httpx.URL:
    url = httpx.URL(base_url.rstrip("/"))
    if url.raw_path.decode("ascii") != API_PREFIX or url.userinfo or url.fragment:
        message = f"exchange URL must end in {API_PREFIX}, without user, query or fragment"
        raise ValueError(message)
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback_host(url.host)):
        message = "exchange URL must be https; http is for a loopback address only"
        raise ValueError(message)
    return url
