"""Metrics and spans as they leave the tasks of a real Airflow."""

from __future__ import annotations

from tests.support.made_up import SECRET
from tests.support.telemetry import ReceivedSpan
from tests.system.sweep import forms
from tests.system.telemetry.run import QUERY, TelemetryRun

# pull, repeated and six mapped ones
TASKS = 8


def spans(run: TelemetryRun, name: str, conn_id: str = "shop") -> list[ReceivedSpan]:
    return [span for span in run.collector.spans(name) if span.attributes.get("airflow.oauth2.conn_id") == conn_id]


def test_one_token_request_and_a_hit_of_the_store_for_every_other_task(telemetry_run: TelemetryRun) -> None:
    statsd = telemetry_run.statsd

    assert statsd.total("token_requests", conn_id="shop") == 1
    assert statsd.total("token_requests", conn_id="shop", outcome="granted") == 1
    assert len(statsd.metrics("token_request_duration", conn_id="shop", outcome="granted")) == 1
    assert statsd.total("store_hits", conn_id="shop", level="store") >= TASKS - 1
    assert statsd.total("store_hits", conn_id="shop", level="memory") >= 2


def test_requests_retries_pages_and_records_add_up(telemetry_run: TelemetryRun) -> None:
    statsd, shop = telemetry_run.statsd, telemetry_run.shop
    status = {"conn_id": "shop"}
    (wait,) = statsd.metrics("api_retry_wait", **status)

    assert statsd.total("pages", **status) == 3
    assert statsd.total("records", **status) == 7
    assert statsd.total("api_retries", **status) == 1
    assert wait.value == 1000
    assert statsd.total("api_requests", status="5xx", **status) == len(shop.asked("flaky")) - 1 == 1
    assert sum(statsd.total("api_requests", **tags) for tags in (status, {"conn_id": "shop__n__a_b"})) == len(
        [seen for seen in shop.api_requests if seen.path != "/api/status"]
    )


def test_refusals_are_counted_where_they_are_remembered_and_where_they_are_met(telemetry_run: TelemetryRun) -> None:
    statsd = telemetry_run.statsd
    for conn_id, outcome, about in (
        ("shop_wrong_secret", "refused", "credential"),
        ("shop_busy", "throttled", "client"),
    ):
        assert statsd.total("token_requests", conn_id=conn_id, outcome=outcome) == 1
        assert statsd.total("refusals_remembered", conn_id=conn_id, about=about) == 1
        assert statsd.total("refusals_met", conn_id=conn_id, about=about) == 1


def test_an_odd_connection_id_costs_no_metric(telemetry_run: TelemetryRun) -> None:
    assert telemetry_run.attempts["odd/-1"].state == "success"
    assert telemetry_run.statsd.total("token_requests", conn_id="shop__n__a_b") == 1
    assert "Invalid stat name" not in telemetry_run.log("odd")
    assert "Dropping invalid tag" not in telemetry_run.log("odd")


def test_a_test_in_the_form_is_counted_without_a_connection_id(telemetry_run: TelemetryRun) -> None:
    untagged = [metric for metric in telemetry_run.statsd.metrics() if "conn_id" not in metric.tags]
    names = [metric.name for metric in untagged]

    assert sorted(names) == ["api_requests", "store_hits", "token_request_duration", "token_requests"]
    assert {metric.tags["conn_id"] for metric in telemetry_run.statsd.metrics() if metric not in untagged} == {
        *("shop", "shop_busy", "shop_wrong_secret", "shop__n__a_b")
    }


def test_calls_and_token_requests_are_spans_within_those_of_their_tasks(telemetry_run: TelemetryRun) -> None:
    every = {span.span_id: span for span in telemetry_run.collector.spans()}
    calls, token_requests = (spans(telemetry_run, f"oauth2.{kind}") for kind in ("api_call", "token_request"))
    pages = [call for call in calls if call.attributes["url.full"].endswith("/api/numbers")]
    (flaky,) = [call for call in calls if call.attributes["url.full"].endswith("/api/flaky")]

    assert len(pages) == 3
    assert len(token_requests) == 1
    assert all(every[call.parent_id].name.startswith("worker.") for call in calls)
    assert {every[call.parent_id].name for call in pages} == {"worker.pull"}
    assert every[token_requests[0].parent_id].name == "oauth2.api_call"
    assert flaky.attributes["airflow.oauth2.attempts"] == 2
    assert flaky.attributes["http.response.status_code"] == 200
    assert not flaky.failed


def test_failed_calls_are_failed_spans_without_a_text(telemetry_run: TelemetryRun) -> None:
    failed = [span for span in telemetry_run.collector.spans() if span.failed and span.name.startswith("oauth2.")]
    assert {span.attributes["error.type"] for span in failed} == {
        *("ApiUnavailableError", "ApiRefusedError", "InvalidClientError", "TokenEndpointUnavailableError")
    }
    assert {span.events for span in failed} == {0}
    # Who gets no token never hears from the API.
    assert {span.attributes.get("http.response.status_code") for span in failed} == {401, 404, 429, None}


def test_no_metric_and_no_span_shows_a_secret_a_token_or_a_query(telemetry_run: TelemetryRun) -> None:
    ours = [line for line in telemetry_run.statsd.lines if "oauth2" in line]
    spans = [span for span in telemetry_run.collector.spans() if span.name.startswith("oauth2.")]
    sent = "\n".join([*ours, *map(str, spans)]).encode()

    assert len(ours) > 50
    assert len(spans) > 20
    for secret in (SECRET, QUERY, *telemetry_run.shop.tokens):
        assert not any(form in sent for form in forms(secret))
