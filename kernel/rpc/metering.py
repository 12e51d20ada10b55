"""Counts and times the calls of every method; the interceptor keeps one meter per method.

Metric names are those that gRPC's other Prometheus interceptors use, so that common dashboards fit. The numbers
are plain ones of the event loop's thread, put into Prometheus's form when somebody asks: the library's own
counters take a lock five times per call, which cost 25 µs of a call's CPU here.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import Final

from grpc import StatusCode
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from kernel.telemetry import LATENCY_SECONDS, REGISTRY

_EDGES: Final = [*(repr(edge) for edge in LATENCY_SECONDS), "+Inf"]


class Meter:
    """The numbers of one method, given as "/package.Service/Method"."""

    __slots__ = ("_buckets", "_codes", "_in_flight", "_labels", "_seconds")

    def __init__(self, full_method: str) -> None:
        _, service, method = full_method.split("/")
        self._labels = [service, method]
        self._in_flight = 0
        self._codes: Counter[StatusCode] = Counter()
        self._buckets = [0] * len(_EDGES)
        self._seconds = 0.0

    def begin(self) -> None:
        """Count a call in."""
        self._in_flight += 1

    def end(self, code: StatusCode, seconds: float) -> None:
        """Count it out, with its status and duration."""
        self._in_flight -= 1
        self._codes[code] += 1
        self._buckets[bisect_left(LATENCY_SECONDS, seconds)] += 1
        self._seconds += seconds

    def add_to(self, handled: CounterMetricFamily, seconds: HistogramMetricFamily, flying: GaugeMetricFamily) -> None:
        """Add this method's samples."""
        for code, count in list(self._codes.items()):
            handled.add_metric([*self._labels, code.name], count)
        total, buckets = 0, []
        for edge, count in zip(_EDGES, self._buckets, strict=True):
            total += count
            buckets.append((edge, float(total)))
        seconds.add_metric(self._labels, buckets, self._seconds)
        flying.add_metric(self._labels, self._in_flight)


class _Calls(Collector):
    """All meters of the process; a method served again, as by a server started anew, goes on counting."""

    def __init__(self) -> None:
        self._meters: dict[str, Meter] = {}

    def meter(self, full_method: str) -> Meter:
        return self._meters.setdefault(full_method, Meter(full_method))

    def collect(self) -> Iterator[Metric]:
        names = ["grpc_service", "grpc_method"]
        handled = CounterMetricFamily("grpc_server_handled", "Calls answered, by status.", labels=[*names, "grpc_code"])
        seconds = HistogramMetricFamily("grpc_server_handling_seconds", "From request to answer.", labels=names)
        flying = GaugeMetricFamily("grpc_server_in_flight", "Calls being served, streams included.", labels=names)
        for meter in list(self._meters.values()):
            meter.add_to(handled, seconds, flying)
        yield from (handled, seconds, flying)


_calls: Final = _Calls()
REGISTRY.register(_calls)

meter_of = _calls.meter
