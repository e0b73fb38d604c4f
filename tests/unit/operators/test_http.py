from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
import requests
import tenacity
from airflow.providers.common.compat.sdk import DAG

from airflow_oauth_provider.exceptions import (
    ApiRefusedError,
    ApiUnavailableError,
    ResponseCheckError,
    ResponseFormatError,
    SettingsError,
)
from airflow_oauth_provider.operators.http import OAuth2HttpOperator
from tests.support.clock import Clock
from tests.support.made_up import SECRET
from tests.support.operator_runs import Run, TaskInstance, answers
from tests.support.servers import OAuthServer, Reply


def test_a_json_answer_arrives_as_objects(server: OAuthServer) -> None:
    assert Run(query={"page": "2"})() == {"path": "/api/orders", "query": {"page": "2"}}


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/problem+json; charset=utf-8", "text/json", "APPLICATION/JSON"]
)
def test_json_is_known_by_its_content_type(server: OAuthServer, content_type: str) -> None:
    answers(server, '{"a": ["é", null, 1.5]}', content_type)
    assert Run()() == {"a": ["é", None, 1.5]}


@pytest.mark.parametrize("content_type", ["text/csv", "application/xml", "text/html; charset=utf-8", ""])
def test_anything_else_arrives_as_text(server: OAuthServer, content_type: str) -> None:
    answers(server, '{"a": "grün"}'.encode(), content_type)
    assert Run()() == '{"a": "grün"}'


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("text/csv; charset=ISO-8859-1", b"gr\xfcn"), ("text/plain", b"gr\xfcn"), ("text/plain", "grün".encode())],
)
def test_a_charset_is_obeyed_and_utf_8_assumed_without_one(server: OAuthServer, content_type: str, body: bytes) -> None:
    answers(server, body, content_type)
    assert Run()() == "grün"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
def test_204_arrives_as_none(server: OAuthServer, content_type: str) -> None:
    answers(server, b"", content_type, 204)
    assert Run()() is None


def test_an_empty_json_answer_is_none(server: OAuthServer) -> None:
    answers(server, b"")
    assert Run()() is None


@pytest.mark.parametrize("body", ['{"a": 1', "<html>", "{'a': 1}", "[" * 100_000])
def test_json_that_is_none_is_an_error_that_shows_its_beginning(server: OAuthServer, body: str) -> None:
    answers(server, body + "\nforged " + SECRET)
    with pytest.raises(ResponseFormatError, match="application/json that is not JSON") as caught:
        Run()()
    assert caught.value.status_code == 200
    assert caught.value.__context__ is None
    assert SECRET not in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("length", [4095, 4096, 4097])
def test_text_of_any_length_is_read_whole(server: OAuthServer, length: int) -> None:
    server.api_reply = lambda _: Reply(200, b"\xe9" * length, {"Content-Type": "text/plain"})
    assert Run()() == "é" * length


def test_body_query_and_headers_are_sent(server: OAuthServer) -> None:
    Run(method="post", json={"a": 1}, query={"q": "x"}, headers={"X-Mine": "1"})()
    Run(method="PUT", data={"form": "a b"})()
    Run(method="PUT", data="text")()
    first, second, third = server.api_requests
    assert (first.method, json.loads(first.body), first.query, first.headers["x-mine"]) == (
        "POST",
        {"a": 1},
        [("q", "x")],
        "1",
    )
    assert second.body == b"form=a+b"
    assert third.body == b"text"


@pytest.mark.parametrize("empty", [{}, [], 0, False, ""])
def test_an_empty_json_body_is_a_body(server: OAuthServer, empty: Any) -> None:
    Run(method="POST", json=empty)()
    assert json.loads(server.api_requests[0].body) == empty


def test_request_info_holds_status_seconds_bytes_and_attempts(server: OAuthServer, clock: Clock) -> None:
    clock.skip_sleeps()
    replies = [Reply(503, b"", {"Retry-After": "7"}), Reply(200, "12345")]
    server.api_reply = lambda _: replies.pop(0)
    run = Run()
    run()
    info = run.ti.pushed["request_info"]
    assert info == {"status": 200, "elapsed_s": pytest.approx(7, abs=2), "bytes": 5, "attempts": 2}
    assert json.loads(json.dumps(info)) == info


def test_without_xcom_nothing_is_pushed_and_no_size_is_checked(server: OAuthServer) -> None:
    run = Run(do_xcom_push=False, max_xcom_bytes=1)
    run()
    assert run.ti.pushed == {}


def test_a_refused_call_fails_the_task(server: OAuthServer) -> None:
    answers(server, "nothing", "text/plain", 404)
    run = Run()
    with pytest.raises(ApiRefusedError, match="404"):
        run()
    assert run.ti.pushed == {}


@pytest.mark.parametrize("passes", [True, 1, "x"])
def test_response_check_lets_pass_what_is_true(server: OAuthServer, passes: Any) -> None:
    assert Run(response_check=lambda response: passes)() is not None


@pytest.mark.parametrize("fails", [False, None, 0, ""])
def test_response_check_that_is_false_fails_the_task_with_a_sentence(server: OAuthServer, fails: Any) -> None:
    with pytest.raises(ResponseCheckError, match=r"response_check returned false for GET .*/api/orders \(200\)\."):
        Run(response_check=lambda response: fails, query={"key": "made-up-key"})()


def test_callables_get_whatever_of_the_context_they_name(server: OAuthServer) -> None:
    def check(response: requests.Response, ds: str, **context: Any) -> bool:
        return response.ok and ds == "2026-01-02" and context["run_id"] == "run-1" and "ds" not in context

    def select(response: requests.Response, *, run_id: str) -> str:
        return f"{response.json()['path']} {run_id}"

    assert Run(response_check=check, response_filter=select)() == "/api/orders run-1"
    assert Run(response_filter=lambda response: response.status_code)() == 200


def test_response_filter_is_not_asked_when_the_check_failed(server: OAuthServer) -> None:
    asked: list[Any] = []
    with pytest.raises(ResponseCheckError):
        Run(response_check=lambda r: False, response_filter=asked.append)()
    assert asked == []


def test_a_filter_may_read_what_is_no_json(server: OAuthServer) -> None:
    answers(server, "not json")
    assert Run(response_filter=lambda response: response.text)() == "not json"


def test_retry_args_and_idempotent_are_passed_on(server: OAuthServer, clock: Clock) -> None:
    clock.skip_sleeps()
    server.api_reply = lambda _: Reply(503)
    for kwargs, attempts in (
        ({"retry_args": {"stop": tenacity.stop_after_attempt(2)}}, 2),
        ({"retry_args": {}}, 5),
        ({"method": "POST"}, 1),
        ({"method": "POST", "idempotent": True}, 5),
    ):
        before = len(server.api_requests)
        with pytest.raises(ApiUnavailableError):
            Run(**kwargs)()
        assert len(server.api_requests) - before == attempts


def test_a_call_has_one_body() -> None:
    with pytest.raises(SettingsError, match="json and data"):
        Run(json={}, data="x")


def test_the_response_is_logged_on_demand_without_secrets_and_cut(
    server: OAuthServer, log: pytest.LogCaptureFixture
) -> None:
    server.api_reply = lambda seen: Reply(200, f"you sent {seen.headers['authorization']}\nforged " + "x" * 20_000)
    Run()()
    assert not [r for r in log.records if "Body:" in r.getMessage()]
    Run(log_response=True)()
    (body,) = [r.getMessage() for r in log.records if "Body:" in r.getMessage()]
    assert body.startswith("Body: you sent Bearer ***\\nforged xxx")
    assert len(body) <= 10_010


def test_the_call_is_one_log_line_without_its_query(server: OAuthServer, log: pytest.LogCaptureFixture) -> None:
    Run(query={"key": "made-up-key"})()
    lines = [r.getMessage() for r in log.records if "answered" in r.getMessage()]
    assert len(lines) == 1
    assert "GET" in lines[0]
    assert "/api/orders answered 200 with" in lines[0]
    assert "made-up-key" not in log.text


def test_all_that_a_dag_author_would_template_is_templated(server: OAuthServer) -> None:
    with DAG("made_up", schedule=None) as dag:
        operator = OAuth2HttpOperator(
            task_id="orders",
            oauth2_conn_id="{{ 'shop' }}",
            endpoint="orders/{{ ds }}",
            method="{{ 'POST' }}",
            query={"day": "{{ ds }}"},
            json={"list": ["{{ ds }}"], "number": 1},
            headers={"X-Day": "{{ ds }}"},
        )
        other = OAuth2HttpOperator(task_id="other", data="{{ ds }}")
    context: Any = {"ds": "2026-01-02", "ti": TaskInstance(), "dag": dag}
    operator.render_template_fields(context)
    other.render_template_fields(context)
    assert other.data == "2026-01-02"
    operator.execute(context)
    (seen,) = server.api_requests
    assert (seen.method, seen.path) == ("POST", "/api/orders/2026-01-02")
    assert (seen.query, seen.headers["x-day"]) == ([("day", "2026-01-02")], "2026-01-02")
    assert json.loads(seen.body) == {"list": ["2026-01-02"], "number": 1}


def test_partial_and_expand_map_over_endpoints() -> None:
    with DAG("made_up", schedule=None):
        mapped = OAuth2HttpOperator.partial(task_id="orders", oauth2_conn_id="shop", query={"a": "b"}).expand(
            endpoint=["orders/1", "orders/2"]
        )
        as_kwargs = OAuth2HttpOperator.partial(task_id="more").expand_kwargs(
            [{"endpoint": "a", "json": {}}, {"data": "b"}]
        )
    assert {type(mapped).__name__, type(as_kwargs).__name__} == {"MappedOperator"}
    assert set(mapped.template_fields) >= {"endpoint", "query", "json", "data", "headers", "method", "oauth2_conn_id"}
    made: Any = mapped.unmap({"endpoint": "orders/1"})
    assert (made.endpoint, made.oauth2_conn_id, made.max_xcom_bytes) == ("orders/1", "shop", 1_048_576)


def test_making_an_operator_reads_no_connection_and_its_repr_shows_no_parameter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    operator = OAuth2HttpOperator(task_id="orders", oauth2_conn_id="missing", headers={"X-Key": "made-up-key"})
    assert "made-up-key" not in repr(operator)
    assert "orders" in repr(operator)


def test_all_parameters_are_keyword_only() -> None:
    kinds = {p.kind for name, p in inspect.signature(OAuth2HttpOperator.__init__).parameters.items() if name != "self"}
    assert kinds == {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}
