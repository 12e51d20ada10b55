"""Counts and times the calls of one method; the interceptor keeps one meter per method.

Metric names are those that gRPC's other Prometheus interceptors use, so that common dashboards fit.
"""

from typing import Final

from grpc import StatusCode
from prometheus_client import Counter

from kernel.telemetry import counter, gauge, histogram

_HANDLED: Final = counter(
    "grpc_server_handled_total",
    "Calls answered, by method and status code.",
    ["grpc_service", "grpc_method", "grpc_code"],
)
_SECONDS: Final = histogram(
    "grpc_server_handling_seconds", "Time from request to answer, by method.", ["grpc_service", "grpc_method"]
)
_IN_FLIGHT: Final = gauge("grpc_server_in_flight", "Calls being served now, streams included.")


class Meter:
    """The metrics of one method; label children are looked up once (8 µs each), not per call."""

    __slots__ = ("_codes", "_method", "_seconds", "_service")

    def __init__(self, full_method: str) -> None:
        """Take the method as gRPC names it: "/package.Service/Method"."""
        _, self._service, self._method = full_method.split("/")
        self._seconds = _SECONDS.labels(self._service, self._method)
        self._codes: dict[StatusCode, Counter] = {}

    def begin(self) -> None:
        """Count a call in."""
        _IN_FLIGHT.inc()

    def end(self, code: StatusCode, seconds: float) -> None:
        """Count it out, with its status and duration."""
        _IN_FLIGHT.dec()
        self._seconds.observe(seconds)
        child = self._codes.get(code)
        if child is None:
            child = self._codes[code] = _HANDLED.labels(self._service, self._method, code.name)
        child.inc()
