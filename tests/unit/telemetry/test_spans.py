"""What a trace shows of calls and token requests, and what it never shows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.trace import StatusCode

from airflow_oauth_provider.exceptions import ApiUnavailableError, InvalidClientError, OAuth2Error, OriginError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.pull.pagination import Offset
from airflow_oauth_provider.telemetry import Telemetry
from tests.support.made_up import SECRET
from tests.support.paged_api import Numbers
from tests.support.servers import OAuthServer, Reply


def test_a_call_and_its_token_request_are_spans_of_the_task(
    hook: OAuth2Hook, server: OAuthServer, provider: TracerProvider, spans: Callable[[], tuple[ReadableSpan, ...]]
) -> None:
    with provider.get_tracer("airflow").start_as_current_span("task") as task:
        hook.request("GET", "orders?key=made-up-query")
    token_request, call, _ = spans()

    assert call.name == "oauth2.api_call"
    assert call.attributes == {
        "airflow.oauth2.conn_id": "shop",
        "airflow.oauth2.attempts": 1,
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "url.full": f"{server.url}/api/orders",
    }
    assert token_request.name == "oauth2.token_request"
    assert token_request.attributes == {
        "airflow.oauth2.conn_id": "shop",
        "http.request.method": "POST",
        "url.full": f"{server.url}/token",
    }
    assert [parent_id(token_request), parent_id(call)] == [call.context.span_id, task.get_span_context().span_id]


def test_pages_that_come_side_by_side_are_spans_of_the_task(
    hook: OAuth2Hook, server: OAuthServer, provider: TracerProvider, spans: Callable[[], tuple[ReadableSpan, ...]]
) -> None:
    server.api_reply = Numbers(total=30, size=3)
    with provider.get_tracer("airflow").start_as_current_span("task") as task:
        records = list(hook.records("orders", pagination=Offset(3, total_path="total"), records="items", concurrency=4))
    calls = [span for span in spans() if span.name == "oauth2.api_call"]

    assert len(records) == 30
    assert len(calls) == 10
    assert {parent_id(call) for call in calls} == {task.get_span_context().span_id}


def test_a_failed_call_shows_what_it_was_but_no_message(
    hook: OAuth2Hook, server: OAuthServer, spans: Callable[[], tuple[ReadableSpan, ...]]
) -> None:
    server.api_reply = lambda _: Reply(503, f"echo {SECRET}")
    with pytest.raises(ApiUnavailableError):
        hook.request("GET", "orders")
    *_, call = spans()

    assert call.attributes is not None
    assert call.attributes["error.type"] == "ApiUnavailableError"
    assert call.attributes["http.response.status_code"] == 503
    assert call.attributes["airflow.oauth2.attempts"] == 5
    assert (call.status.status_code, call.status.description, call.events) == (StatusCode.ERROR, None, ())


def test_a_call_without_a_token_has_no_status_of_the_api(
    hook: OAuth2Hook, server: OAuthServer, spans: Callable[[], tuple[ReadableSpan, ...]]
) -> None:
    server.token_reply = lambda _: Reply(401, {"error": "invalid_client"})
    with pytest.raises(InvalidClientError):
        hook.request("GET", "orders")
    token_request, call = (dict(span.attributes or {}) for span in spans())

    assert token_request["http.response.status_code"] == 401
    assert "http.response.status_code" not in call
    assert call["error.type"] == token_request["error.type"] == "InvalidClientError"


def test_a_task_that_is_stopped_ends_its_spans(spans: Callable[[], tuple[ReadableSpan, ...]]) -> None:
    def stopped() -> None:
        with Telemetry("shop").span("oauth2.api_call"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    (call,) = spans()
    assert call.attributes == {"airflow.oauth2.conn_id": "shop", "error.type": "KeyboardInterrupt"}


def test_no_span_shows_a_user_a_query_or_a_fragment(
    hook: OAuth2Hook, server: OAuthServer, spans: Callable[[], tuple[ReadableSpan, ...]]
) -> None:
    authority = f"127.0.0.1:{server.port}"
    for endpoint in ("a?key=made-up-secret", "b#made-up-secret", "c?x#made-up-secret", "é?made-up-secret"):
        hook.request("GET", endpoint)
    for url in (f"http://user:made-up-secret@{authority}/api", f"http://user:made-up-secret@{authority}/é"):
        with pytest.raises(OriginError) as caught:
            hook.request("GET", url)
        assert "made-up-secret" not in str(caught.value)

    assert len(spans()) == 5
    assert "made-up-secret" not in str([dict(span.attributes or {}) for span in spans()])


@pytest.mark.parametrize("before", [0, 255, 285, 400])
def test_a_token_that_an_api_leads_into_a_url_shows_in_no_span_not_even_its_beginning(
    hook: OAuth2Hook, server: OAuthServer, spans: Callable[[], tuple[ReadableSpan, ...]], before: int
) -> None:
    token = hook.get_token().value
    hook.request("GET", f"orders/{'x' * before}{token}")
    server.api_reply = lambda _: Reply(404)
    with pytest.raises(OAuth2Error) as caught:
        hook.request("GET", f"orders/{'x' * before}{token}")

    shown = str([dict(span.attributes or {}) for span in spans()]) + str(caught.value)
    assert token[:8] not in shown
    assert "/api/orders/" in shown


def parent_id(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None
