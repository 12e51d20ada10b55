"""The process's metrics and the one place they are served; whoever counts declares his metric here."""

import ssl
from collections.abc import Callable, Sequence
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    make_wsgi_app,
    start_http_server,
)

from kernel.https import serve_wsgi

REGISTRY: Final = CollectorRegistry()
"""Our own: the library's default one would also publish what any import happens to register."""

LATENCY_SECONDS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
"""From one millisecond, under which nothing here differs, to the default deadline of a call."""

ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)


def counter(name: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
    """Declare a counter; `name` ends in `_total`. Keep `.labels(…)` results: looking one up costs 8 µs."""
    return Counter(name, meaning, labels, registry=REGISTRY)


def gauge(name: str, meaning: str, labels: Sequence[str] = ()) -> Gauge:
    """Declare a gauge."""
    return Gauge(name, meaning, labels, registry=REGISTRY)


def histogram(
    name: str, meaning: str, labels: Sequence[str] = (), buckets: Sequence[float] = LATENCY_SECONDS
) -> Histogram:
    """Declare a histogram, in seconds unless `name` ends in another unit."""
    return Histogram(name, meaning, labels, buckets=buckets, registry=REGISTRY)


def serve_metrics(host: str = "127.0.0.1", port: int = 0, context: Callable[[], ssl.SSLContext] | None = None) -> int:
    """Serve `/metrics` from a daemon thread and return the port; 0 lets the system choose.

    `context` is asked at every connection for the TLS to serve it with; without it plaintext is served.

    Raises:
        OSError: the address is taken or not ours.
    """
    if context is None:
        server, _ = start_http_server(port, host, registry=REGISTRY)
        return int(server.server_port)
    return serve_wsgi(host, port, make_wsgi_app(REGISTRY), context)
