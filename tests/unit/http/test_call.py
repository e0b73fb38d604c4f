from __future__ import annotations

import io
import json
import logging
import ssl
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest
import requests

from airflow_oauth_provider.exceptions import (
    ApiRefusedError,
    ApiUnavailableError,
    CertificateError,
    OAuth2Error,
    SettingsError,
    TokenEndpointUnavailableError,
)
from airflow_oauth_provider.http.session import ApiSession
from tests.support.clock import Clock
from tests.support.made_up import SECRET, api_settings
from tests.support.servers import Reply, free_port
from tests.support.sessions import Api, session_at, session_on
from tests.support.token_sources import Processes

BROKEN = Reply(raw=b"")
TRUNCATED = Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort")
RETRIED = [408, 425, 429, 500, 502, 503, 504]


@pytest.fixture(autouse=True)
def _no_waiting(clock: Clock) -> None:
    clock.skip_sleeps()


@pytest.mark.parametrize("status", RETRIED)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_what_can_pass_is_tried_again(status: int, method: str) -> None:
    with Api(Reply(status), Reply(status)) as api:
        answer = session_on(api).call(method, "x")
        assert (answer.response.status_code, answer.attempts, len(api.seen)) == (200, 3, 3)


@pytest.mark.parametrize("reply", [BROKEN, TRUNCATED])
def test_a_call_that_broke_off_is_tried_again(reply: Reply) -> None:
    with Api(reply, reply) as api:
        assert session_on(api).call("GET", "x").attempts == 3


def test_there_are_at_most_five_attempts_and_the_last_error_is_raised_itself() -> None:
    with Api(*[Reply(503, f"no {n}") for n in range(9)]) as api:
        with pytest.raises(ApiUnavailableError, match=r"503.*no 4"):
            session_on(api).call("GET", "x")
        assert len(api.seen) == 5


def test_a_refused_connection_is_tried_again_even_for_a_post(clock: Clock) -> None:
    with pytest.raises(ApiUnavailableError, match="refused"):
        session_at(f"http://127.0.0.1:{free_port()}").call("POST", "x", data=b"body")
    assert len(clock.slept) == 4


@pytest.mark.parametrize("method", ["POST", "PATCH", "post"])
@pytest.mark.parametrize("reply", [BROKEN, TRUNCATED, *[Reply(s) for s in RETRIED if s not in (425, 429)]])
def test_a_post_that_may_have_done_something_is_not_repeated(method: str, reply: Reply) -> None:
    with Api(reply) as api:
        with pytest.raises(ApiUnavailableError):
            session_on(api).call(method, "x", json={})
        assert len(api.seen) == 1


@pytest.mark.parametrize("reply", [BROKEN, Reply(503), Reply(408)])
def test_a_post_is_repeated_when_the_caller_says_that_it_is_idempotent(reply: Reply) -> None:
    with Api(reply) as api:
        assert session_on(api).call("POST", "x", json={}, idempotent=True).attempts == 2


@pytest.mark.parametrize("status", [425, 429])
def test_a_post_that_was_not_processed_is_repeated(status: int) -> None:
    with Api(Reply(status)) as api:
        assert session_on(api).call("POST", "x", json={"a": 1}).attempts == 2
        assert [json.loads(seen.body) for seen in api.seen] == [{"a": 1}] * 2


def test_a_get_is_not_repeated_when_the_caller_says_that_it_does_harm() -> None:
    with Api(Reply(503)) as api, pytest.raises(ApiUnavailableError):
        session_on(api).call("GET", "x", idempotent=False)
    assert len(api.seen) == 1


@pytest.mark.statement(22)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 501, 505])
def test_another_answer_is_not_tried_again(status: int, clock: Clock) -> None:
    with Api(Reply(status)) as api:
        with pytest.raises(OAuth2Error) as caught:
            session_on(api).call("GET", "x")
        assert len(api.seen) == 1
    assert caught.value.status_code == status
    assert clock.slept == []


@pytest.mark.parametrize("date", [False, True])
def test_retry_after_is_obeyed(clock: Clock, date: bool) -> None:
    def busy(_: Any) -> Reply:
        return Reply(429, b"", {"Retry-After": formatdate(clock.time() + 40, usegmt=True) if date else "40"})

    with Api(busy) as api:
        answer = session_on(api).call("GET", "x")
    assert clock.slept == [pytest.approx(40, abs=2)]
    assert answer.attempts == 2
    assert answer.elapsed_s >= 38


def test_a_longer_retry_after_is_not_waited_for_and_comes_with_the_error(clock: Clock) -> None:
    with Api(Reply(503, b"", {"Retry-After": "61"})) as api, pytest.raises(ApiUnavailableError) as caught:
        session_on(api).call("GET", "x")
    assert caught.value.retry_after_s == 61
    assert clock.slept == []


@pytest.mark.parametrize("value", ["0", "Sun, 06 Nov 1994 08:49:37 GMT", "soon"])
def test_zero_and_the_past_mean_back_off(clock: Clock, value: str) -> None:
    with Api(Reply(503, b"", {"Retry-After": value})) as api:
        session_on(api).call("GET", "x")
    assert len(clock.slept) == 1
    assert 0 <= clock.slept[0] <= 1


def test_each_pause_is_one_log_line(caplog: pytest.LogCaptureFixture) -> None:
    with Api(Reply(503), BROKEN) as api, caplog.at_level(logging.INFO, logger="airflow_oauth_provider"):
        session_on(api).call("GET", "x", params={"key": "made-up-key"})
    lines = [r.getMessage() for r in caplog.records if r.name == "airflow_oauth_provider.http.call"]
    assert len(lines) == 2
    assert "503" in lines[0]
    assert all("failed; the next one comes in" in line for line in lines)
    assert not any("made-up-key" in line for line in lines)


def test_the_token_is_asked_for_anew_inside_every_attempt(clock: Clock) -> None:
    def expire(_: Any) -> Reply:
        clock.advance(20)
        return Reply(503)

    with Api(expire, expire) as api:
        session_on(api, Processes(lifetime_s=20)).call("GET", "x")
        assert api.tokens == ["token-1", "token-2", "token-3"]


def test_a_token_that_cannot_be_had_is_not_asked_for_again_and_again() -> None:
    processes = Processes()
    processes.endpoint.script = [TokenEndpointUnavailableError("down")]
    with Api() as api, pytest.raises(TokenEndpointUnavailableError):
        session_on(api, processes).call("GET", "x")
    assert len(processes.endpoint.asked) == 1


def test_a_body_that_can_be_read_once_is_not_repeated_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    def lines() -> Iterator[bytes]:
        yield b"a line"

    with caplog.at_level(logging.WARNING, logger="airflow_oauth_provider"), pytest.raises(ApiUnavailableError):
        session_at(f"http://127.0.0.1:{free_port()}").call("PUT", "x", data=lines())
    assert [r.getMessage() for r in caplog.records if "read only once" in r.getMessage()]


def test_a_file_is_sent_from_where_it_stood_in_every_attempt() -> None:
    file = io.BytesIO(b"skipped body")
    file.seek(8)
    with Api(Reply(503), Reply(503)) as api:
        session_on(api).call("PUT", "x", data=file)
        assert [seen.body for seen in api.seen] == [b"body"] * 3


def test_an_uploaded_file_is_whole_in_every_attempt() -> None:
    with Api(Reply(503)) as api:
        session_on(api).call("PUT", "x", files={"f": io.BytesIO(b"the file")})
        assert all(b"the file" in seen.body for seen in api.seen)
        assert len(api.seen) == 2


def test_a_plain_session_method_repeats_too_and_gives_the_last_answer() -> None:
    with Api(*[Reply(503, f"no {n}") for n in range(9)]) as api:
        response = session_on(api).get("x")
        assert (response.status_code, response.text) == (503, "no 4")
        assert len(api.seen) == 5


def test_an_unchecked_call_still_raises_when_there_is_no_answer() -> None:
    with Api(Reply(503), *[BROKEN] * 4) as api, pytest.raises(ApiUnavailableError, match="broke off"):
        session_on(api).call("GET", "x", check=False)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"headers": {"X-A": "1\r\nX-B: 2"}},
        {"headers": {"X-A": object()}},
        {"headers": {"X-A": "☃"}},
        {"json": {"a": object()}},
        {"json": {"a": float("nan")}},
        {"made_up_option": 1},
    ],
)
def test_a_request_that_cannot_be_sent_is_our_error_and_is_not_tried_again(kwargs: dict[str, Any]) -> None:
    with Api() as api:
        with pytest.raises(SettingsError, match="cannot be sent"):
            session_on(api).call("GET", "x", **kwargs)
        assert api.seen == []


def test_a_certificate_that_is_not_to_be_trusted_is_never_tried_again(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    problem = ssl.SSLCertVerificationError(1, "verify failed")
    problem.verify_message = "self-signed certificate"

    def refuse(*_: Any, **__: Any) -> requests.Response:
        raise requests.exceptions.SSLError(problem)

    with Api() as api:
        session = session_on(api)
        monkeypatch.setattr(requests.Session, "send", refuse)
        with pytest.raises(CertificateError, match=r"self-signed certificate.*CA bundle"):
            session.call("GET", "x")
    assert clock.slept == []


def test_an_error_never_holds_the_token_or_the_secret() -> None:
    def echo(seen: Any) -> Reply:
        return Reply(400, f"you sent {seen.headers['authorization']} and {SECRET}")

    with Api(echo) as api:
        session = ApiSession(api_settings(base_url=api.url), Processes().start(), secrets=(SECRET,))
        with pytest.raises(ApiRefusedError) as caught:
            session.call("GET", "x")
    assert "token-1" not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "you sent Bearer *** and ***" in str(caught.value)
