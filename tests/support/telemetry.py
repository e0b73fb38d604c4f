"""Where metrics and spans go in tests: a StatsD server and a receiver of OpenTelemetry's protocol, on loopback."""

from __future__ import annotations

import gzip
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.servers import Reply, Seen, Server

OURS = "airflow.oauth2."


@dataclass(frozen=True)
class Metric:
    """
    One thing that was counted or timed.

    :param name: behind ``airflow.oauth2.``
    :param value: a count, or milliseconds
    """

    name: str
    value: float
    tags: dict[str, str]


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as a collector sees it; ids as hex."""

    name: str
    scope: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    failed: bool
    events: int


class StatsD:
    """
    A context manager that takes what StatsD clients send.

    >>> with StatsD() as statsd: ...  # statsd.settings for Airflow's environment, then statsd.metrics()
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self.lines: list[str] = []

    @property
    def settings(self) -> dict[str, str]:
        """How Airflow finds it."""
        port = str(self._socket.getsockname()[1])
        return {"AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1", "AIRFLOW__METRICS__STATSD_PORT": port}

    def metrics(self, name: str | None = None, **tags: str) -> list[Metric]:
        """Return this package's metrics: those called *name* that have all *tags*."""
        found = [_metric(line) for line in list(self.lines) if line.startswith(OURS)]
        return [metric for metric in found if name in (None, metric.name) and tags.items() <= metric.tags.items()]

    def total(self, name: str, **tags: str) -> float:
        return sum(metric.value for metric in self.metrics(name, **tags))

    def send(self, line: str) -> None:
        """Send *line* as a client would: what was sent before it is received before it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(line.encode(), self._socket.getsockname())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._socket.close()

    def _receive(self) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                self.lines += self._socket.recv(65536).decode().splitlines()


def _metric(line: str) -> Metric:
    """Read a line whose tags stand in the name (InfluxDB), at its end (Datadog), or nowhere."""
    head, _, rest = line.partition(":")
    name, *in_name = head.split(",")
    value, _, at_end = rest.partition("|#")
    tags = dict(tag.split("=", 1) for tag in in_name) | dict(tag.split(":", 1) for tag in at_end.split(",") if at_end)
    return Metric(name.removeprefix(OURS), float(value.partition("|")[0]), tags)


class Collector(Server):
    """Takes what is exported by OTLP over HTTP, as protobuf."""

    def __init__(self) -> None:
        super().__init__(lambda _: Reply(200, b"", {"Content-Type": "application/x-protobuf"}))

    @property
    def settings(self) -> dict[str, str]:
        """How OpenTelemetry finds it."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_TRACES_EXPORTER": "otlp_proto_http",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }

    def spans(self, name: str | None = None) -> list[ReceivedSpan]:
        """Return the spans of all programs that send here, or those called *name*."""
        found = []
        for body in self._bodies("/v1/traces"):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    found += [_span(span, scope.scope.name) for span in scope.spans if name in (None, span.name)]
        return found

    def metrics(self) -> list[Metric]:
        """Return this package's metrics; of a histogram its sum."""
        found = []
        for body in self._bodies("/v1/metrics"):
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in resource.scope_metrics:
                    found += [metric for one in scope.metrics if one.name.startswith(OURS) for metric in _points(one)]
        return found

    def _bodies(self, path: str) -> list[bytes]:
        return [_body(seen) for seen in list(self.seen) if seen.path == path]


def _body(seen: Seen) -> bytes:
    return gzip.decompress(seen.body) if seen.headers.get("content-encoding") == "gzip" else seen.body


def _span(span: Any, scope: str) -> ReceivedSpan:
    return ReceivedSpan(
        name=span.name,
        scope=scope,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=_attributes(span.attributes),
        failed=span.status.code == 2,
        events=len(span.events),
    )


def _points(metric: Any) -> list[Metric]:
    kind = metric.WhichOneof("data")
    return [
        Metric(metric.name.removeprefix(OURS), _value(point, kind), _attributes(point.attributes))
        for point in getattr(metric, kind).data_points
    ]


def _value(point: Any, kind: str) -> float:
    return float(point.sum) if "histogram" in kind else float(point.as_int or point.as_double)


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
