"""Where metrics and spans go, and what becomes of a task when that goes wrong."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider

from airflow_oauth_provider import telemetry as telemetry_module
from airflow_oauth_provider.exceptions import InvalidClientError, OAuth2Error
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from tests.support.processes import wait_until
from tests.support.requirements import require
from tests.support.servers import OAuthServer, Reply
from tests.support.telemetry import Collector, Metric, StatsD

PROJECT = Path(__file__).parents[3]
ODD_CONN_ID = "shop ünï,a=b|c:d#e\n" + "x" * 200
ODD_TAG = "shop__n__a_b_c_d_e_" + "x" * 81


# Off ------------------------------------------------------------------------------------------------------------------


def test_nothing_is_imported_while_metrics_and_traces_are_off() -> None:
    code = """
import sys
from airflow.providers.common.compat.sdk import conf
from airflow_oauth_provider.telemetry import Telemetry
conf.getboolean("metrics", "statsd_on")
before = set(sys.modules)
telemetry = Telemetry("shop")
telemetry.count("pages")
telemetry.time("lease_wait", 1.0)
with telemetry.span("oauth2.api_call") as span:
    assert span is None
print("added:", *(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "added:"


def test_a_switch_that_cannot_be_read_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "perhaps")
    assert telemetry_module._is_on("metrics", "statsd_on") is False


# Real backends --------------------------------------------------------------------------------------------------------


def emit(environment: dict[str, str]) -> str:
    """Count, time and trace in a process of its own, for a connection with an odd id; return what it logged."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW__", "OTEL_"))}
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.emitting", ODD_CONN_ID],
        cwd=PROJECT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert "survived" in done.stdout
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("kind", ["STATSD_INFLUXDB_ENABLED", "STATSD_DATADOG_ENABLED"])
def test_a_statsd_server_gets_names_and_tags_that_no_connection_id_breaks(kind: str) -> None:
    library = "datadog" if "DATADOG" in kind else "statsd"
    require(find_spec(library) is not None, f"the library {library}")
    on = "STATSD_ON" if library == "statsd" else kind
    with StatsD() as statsd:
        emit({**statsd.settings, f"AIRFLOW__METRICS__{on}": "True", f"AIRFLOW__METRICS__{kind}": "True"})
        wait_until(lambda: len(statsd.metrics()) >= 4)
        found = statsd.metrics()

    tags = {"conn_id": ODD_TAG, "outcome": "unavailable"}
    assert found == [Metric("token_requests", 1, tags), Metric("token_request_duration", 250, tags)] * 2


@pytest.mark.skipif(not find_spec("airflow.sdk"), reason="not applicable: Airflow 2 keeps its tracer to itself")
def test_a_collector_gets_metrics_and_spans() -> None:
    with Collector() as collector:
        emit(
            {
                **collector.settings,
                "AIRFLOW__METRICS__OTEL_ON": "True",
                "AIRFLOW__METRICS__OTEL_HOST": "127.0.0.1",
                "AIRFLOW__METRICS__OTEL_PORT": str(collector.port),
                "AIRFLOW__TRACES__OTEL_ON": "True",
            }
        )
        found, spans = collector.metrics(), collector.spans("oauth2.token_request")

    assert {(metric.name, metric.tags["conn_id"]) for metric in found} == {
        ("token_requests", ODD_TAG),
        ("token_request_duration", ODD_TAG),
    }
    assert next(metric.value for metric in found if metric.name == "token_requests") == 2
    assert [span.attributes["airflow.oauth2.conn_id"] for span in spans] == [ODD_TAG] * 2


@pytest.mark.parametrize(
    ("settings", "lost"),
    [
        ({"AIRFLOW__METRICS__STATSD_ON": "True", "AIRFLOW__METRICS__STATSD_PORT": "no port"}, 1),
        ({"AIRFLOW__METRICS__STATSD_ON": "True", "AIRFLOW__METRICS__METRICS_BLOCK_LIST": "oauth2"}, 0),
    ],
)
def test_metrics_that_are_set_up_wrongly_or_blocked_harm_nobody(settings: dict[str, str], lost: int) -> None:
    with StatsD() as statsd:
        said = emit({**statsd.settings, **settings})
        statsd.send("airflow.oauth2.last:1|c")
        wait_until(statsd.metrics)
        assert statsd.metrics() == [Metric("last", 1, {})]
    assert said.count("Metrics or spans are lost") == lost


# Backends that fail ---------------------------------------------------------------------------------------------------


class Broken(SpanProcessor):
    """Fails whenever it is asked for anything."""

    def __init__(self, at: str) -> None:
        setattr(self, at, self._fail)

    def _fail(self, *_: Any, **__: Any) -> None:
        raise OSError("made-up failure of a backend")


def test_a_backend_of_metrics_that_raises_costs_a_task_one_line_of_its_log(
    hook: OAuth2Hook, metrics: list[Metric], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it raises the second time."""
    from airflow.providers.common.compat.sdk import Stats

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("made-up failure of another kind")

    monkeypatch.setattr(Stats, "incr", Broken("on_end")._fail)
    monkeypatch.setattr(Stats, "timing", fail)
    monkeypatch.setattr(telemetry_module, "_said", [])
    with caplog.at_level(logging.WARNING):
        assert hook.request("GET", "orders").status_code == 200

    lines = [record.message for record in caplog.records if record.name.startswith("airflow_oauth_provider")]
    assert lines == ["Metrics or spans are lost: their backend raises OSError."]


@pytest.mark.parametrize("at", ["on_start", "on_end"])
def test_a_backend_of_traces_that_raises_fails_nobodys_call(
    hook: OAuth2Hook, provider: TracerProvider, server: OAuthServer, at: str
) -> None:
    provider.add_span_processor(Broken(at))
    calls_fail_only_by_themselves(hook, server)


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize("method", ["set_attribute", "set_attributes", "set_status"])
def test_a_span_that_raises_fails_nobodys_call_and_hides_nobodys_error(
    hook: OAuth2Hook, server: OAuthServer, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    asked: list[str] = []

    def fail(*_: Any, **__: Any) -> None:
        asked.append(method)
        raise OSError("made-up failure of a span")

    monkeypatch.setattr(Span, method, fail)
    calls_fail_only_by_themselves(hook, server)

    server.token_reply = lambda _: Reply(401, {"error": "invalid_client"})
    hook.forget_token()
    with pytest.raises(InvalidClientError):
        OAuth2Hook("shop").get_token()
    assert asked


def calls_fail_only_by_themselves(hook: OAuth2Hook, server: OAuthServer) -> None:
    assert hook.request("GET", "orders").status_code == 200

    server.api_reply = lambda _: Reply(404)
    with pytest.raises(OAuth2Error, match="404"):
        hook.request("GET", "orders")
