"""Metrics and spans as they are handed to Airflow and to OpenTelemetry."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from airflow_oauth_provider import telemetry as telemetry_module
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from tests.support.clock import Clock
from tests.support.servers import OAuthServer
from tests.support.telemetry import Metric


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> list[Metric]:
    """Return what goes to Airflow's Stats."""
    from airflow.providers.common.compat.sdk import Stats

    seen: list[Metric] = []

    def incr(name: str, count: int, tags: dict[str, str]) -> None:
        seen.append(Metric(name, count, tags))

    def timing(name: str, dt: float, tags: dict[str, str]) -> None:
        seen.append(Metric(name, dt, tags))

    monkeypatch.setattr(Stats, "incr", incr)
    monkeypatch.setattr(Stats, "timing", timing)
    monkeypatch.setattr(telemetry_module, "_metrics_on", lambda: True)
    return seen


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> TracerProvider:
    """Return OpenTelemetry as Airflow would have set it up."""
    provider = TracerProvider()
    monkeypatch.setattr("opentelemetry.trace.get_tracer", provider.get_tracer)
    monkeypatch.setattr(telemetry_module, "_traces_on", lambda: True)
    return provider


@pytest.fixture
def spans(provider: TracerProvider) -> Callable[[], tuple[ReadableSpan, ...]]:
    """Return what tells the spans that have ended."""
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter.get_finished_spans


@pytest.fixture
def hook(server: OAuthServer, clock: Clock) -> OAuth2Hook:
    clock.skip_sleeps()
    return OAuth2Hook("shop")
