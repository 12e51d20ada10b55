"""Serves a small WSGI application over TLS from a daemon thread; `kernel.telemetry` shows the metrics with it.

The context is asked for at every connection, so that a replaced certificate is served to the next one. The handshake
happens in the connection's own thread: a caller that stalls in it holds up nobody else, and not for long.
"""

import socket
import ssl
import threading
from collections.abc import Callable
from socketserver import ThreadingMixIn
from typing import Final, TypeAlias
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import WSGIApplication

from kernel import logs

CONNECTION_SECONDS: Final = 10.0
"""How long one read or write, the handshake included, may take."""
CONNECTIONS_MAX: Final = 16
"""Beyond it a connection is closed unanswered: whoever reads metrics comes again."""

Context = Callable[[], ssl.SSLContext]
Request: TypeAlias = "socket.socket | tuple[bytes, socket.socket]"


def serve_wsgi(host: str, port: int, app: WSGIApplication, context: Context) -> int:
    """Serve `app` over TLS and return the port; 0 lets the system choose.

    Raises:
        OSError: the address is taken or not ours.
    """
    server = (_TlsServer6 if ":" in host else _TlsServer)(host, port, context)
    server.set_app(app)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server.server_port


class _TlsServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, host: str, port: int, context: Context) -> None:
        self._context = context
        self._room = threading.Semaphore(CONNECTIONS_MAX)
        super().__init__((host, port), _Quiet)

    def process_request(self, request: Request, client_address: tuple[str, int]) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Request, client_address: tuple[str, int]) -> None:
        assert isinstance(request, socket.socket)  # noqa: S101 - a stream has no datagrams
        try:
            request.settimeout(CONNECTION_SECONDS)
            # wrap_socket owns the connection from here on and closes it when the handshake fails.
            super().process_request_thread(self._context().wrap_socket(request, server_side=True), client_address)
        except OSError as error:
            logs.log("metrics_connection_failed", level=logs.DEBUG, why=type(error).__name__)
        finally:
            self._room.release()

    def handle_error(self, _request: Request, _client_address: tuple[str, int]) -> None:
        logs.log("metrics_connection_failed", level=logs.DEBUG, why="broken off")


class _TlsServer6(_TlsServer):
    address_family = socket.AF_INET6


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Write no line per request."""
