from __future__ import annotations

import gzip
import io
import random
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import requests_mock as mocking

from airflow_oauth_provider.exceptions import (
    ApiRefusedError,
    ApiUnavailableError,
    InvalidClientError,
    OriginError,
    SettingsError,
)
from airflow_oauth_provider.http.session import ApiSession
from airflow_oauth_provider.oauth2.settings import Transport
from tests.support.clock import Clock
from tests.support.made_up import API_URL, api_settings
from tests.support.servers import Reply, Server
from tests.support.sessions import Api, session_on
from tests.support.token_sources import Processes


def mocked(session: ApiSession, requests_mock: Any) -> ApiSession:
    """Let *session* send to the mock: its connections belong to the process, which the mock does not replace."""
    for scheme in ("https://", "http://"):
        session.mount(scheme, requests_mock._adapter)
    return session


@pytest.fixture
def session(requests_mock: mocking.Mocker) -> ApiSession:
    requests_mock.register_uri(mocking.ANY, mocking.ANY, json={"ok": True})
    return mocked(ApiSession(api_settings(), Processes().start()), requests_mock)


@pytest.mark.parametrize(
    ("base", "endpoint", "url"),
    [
        ("https://api.example.com/v1", "orders", "https://api.example.com/v1/orders"),
        ("https://api.example.com/v1", "/orders", "https://api.example.com/v1/orders"),
        ("https://api.example.com/v1/", "//orders", "https://api.example.com/v1/orders"),
        ("https://api.example.com", "orders/", "https://api.example.com/orders/"),
        ("https://api.example.com/v1", None, "https://api.example.com/v1"),
        ("https://api.example.com/v1", "", "https://api.example.com/v1"),
        ("https://api.example.com/v1", "?page=2", "https://api.example.com/v1?page=2"),
        (
            "https://api.example.com/v1",
            "orders?next=https://x.example/",
            "https://api.example.com/v1/orders?next=https://x.example/",
        ),
        ("https://api.example.com/v1", "https://api.example.com/v2/x", "https://api.example.com/v2/x"),
        ("https://api.example.com/v1", "//evil.example/x", "https://api.example.com/v1/evil.example/x"),
    ],
)
def test_an_endpoint_is_appended_with_exactly_one_slash_and_an_absolute_url_is_taken_as_it_is(
    base: str, endpoint: str | None, url: str
) -> None:
    assert ApiSession(api_settings(base_url=base), Processes().start()).url_for(endpoint) == url


@pytest.mark.statement(17)
@pytest.mark.statement(18)
@pytest.mark.statement(19)
def test_the_token_goes_into_the_header_once_and_nowhere_else(session: ApiSession) -> None:
    response = session.call("GET", "orders", params={"page": "2"}).response
    sent = response.request
    assert sent.headers["Authorization"] == "Bearer token-1"
    assert sent.url == f"{API_URL}/orders?page=2"
    assert sent.body is None


def test_configured_headers_are_sent_and_the_callers_beat_them(requests_mock: mocking.Mocker) -> None:
    settings = api_settings(
        headers=(("X-Version", "3"), ("Accept", "text/csv")), secret_headers=(("X-Api-Key", "made-up"),)
    )
    session = ApiSession(settings, Processes().start())
    mocked(session, requests_mock)
    requests_mock.get(f"{API_URL}/x", text="a")
    sent = session.call("GET", "x", headers={"x-version": "4", "X-Mine": "1"}).response.request.headers
    assert (sent["X-Version"], sent["Accept"], sent["X-Api-Key"], sent["X-Mine"]) == ("4", "text/csv", "made-up", "1")
    assert sent["User-Agent"].startswith("airflow-oauth-provider/")


def test_json_is_asked_for_by_default(session: ApiSession) -> None:
    assert session.get("x").request.headers["Accept"] == "application/json"


@pytest.mark.statement(24)
@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "https://evil.example\\@api.example.com/",
        "https://api.example.com\\@evil.example/",
        "https://api.example.com@evil.example/",
        "http://api.example.com/v1/x",
        "HTTPS://EVIL.EXAMPLE/",
        "https://api.example.com:8443/",
        "ftp://api.example.com/",
        "https://api.example.com\t.evil.example/",
    ],
)
def test_nothing_at_all_is_sent_to_another_origin(session: ApiSession, requests_mock: mocking.Mocker, url: str) -> None:
    for call in (session.call, session.request):
        with pytest.raises(OriginError, match="nothing was sent"):
            call("GET", url)
    with pytest.raises(OriginError):
        session.send(requests.Request("GET", "https://evil.example/").prepare())
    assert requests_mock.call_count == 0


def test_a_further_origin_that_the_connection_names_gets_the_token(requests_mock: mocking.Mocker) -> None:
    session = ApiSession(api_settings(allowed_hosts=("files.example.com",)), Processes().start())
    mocked(session, requests_mock)
    requests_mock.get("https://files.example.com/big", text="a")
    assert session.get("https://files.example.com/big").request.headers["Authorization"] == "Bearer token-1"


@pytest.mark.parametrize(
    "kwargs",
    [
        {"auth": ("user", "pw")},
        {"headers": {"Authorization": "Bearer mine"}},
        {"headers": {"authorization": "Bearer mine"}},
        {"headers": {"DPoP": "mine"}},
        {"headers": {"Proxy-Authorization": "mine"}},
    ],
)
def test_a_call_cannot_bring_credentials_of_its_own(session: ApiSession, kwargs: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="the connection's token authorizes"):
        session.call("GET", "x", **kwargs)
    with pytest.raises(SettingsError):
        session.get("x", **kwargs)


@pytest.mark.parametrize("method", ["", "GET X", "GET\r\nX: y", None, 7])
def test_a_method_that_is_none_is_our_error(session: ApiSession, method: Any) -> None:
    with pytest.raises(SettingsError, match="not an HTTP method"):
        session.call(method, "x")


def test_characters_that_cannot_be_sent_are_not_blamed_on_the_url() -> None:
    with Api() as api, pytest.raises(SettingsError, match="a header has characters that cannot be sent") as caught:
        session_on(api).call("POST", "x", headers={"X-A": "€"})
    assert "URL" not in str(caught.value)
    assert not api.seen


def test_headers_that_are_no_mapping_are_our_error(session: ApiSession) -> None:
    with pytest.raises(SettingsError, match="headers is a list"):
        session.call("GET", "x", headers=[("X-A", "1")])


def test_a_body_that_can_be_read_once_is_not_redirected() -> None:
    def lines() -> Iterator[bytes]:
        yield b"a line"

    redirect = Reply(raw=b"HTTP/1.1 307 Moved\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")
    with Server(lambda _: redirect) as api:
        with pytest.raises(ApiRefusedError, match="body can be read only once"):
            session_on(api).call("PUT", "x", data=lines())
        assert len(api.seen) == 1


def test_a_plain_sessions_methods_work_and_return_any_answer(
    session: ApiSession, requests_mock: mocking.Mocker
) -> None:
    requests_mock.register_uri(mocking.ANY, f"{API_URL}/gone", status_code=410, text="gone")
    assert session.get("gone").status_code == 410
    assert session.post("gone", json={"a": 1}).request.body == b'{"a": 1}'
    assert session.request(b"PUT", b"gone", {"q": "1"}, b"data").request.url == f"{API_URL}/gone?q=1"
    with pytest.raises(ApiRefusedError, match="410"):
        session.call("GET", "gone")


def test_positional_arguments_mean_what_they_mean_to_requests(session: ApiSession) -> None:
    sent = session.request("POST", "x", {"q": "1"}, {"form": "a b"}, {"X-Mine": "1"}, None, None, None, 5).request
    assert (sent.url, sent.body, sent.headers["X-Mine"]) == (f"{API_URL}/x?q=1", "form=a+b", "1")


def test_timeouts_of_the_connection_apply_unless_the_call_has_its_own(requests_mock: mocking.Mocker) -> None:
    session = ApiSession(api_settings(transport=Transport(3, 7)), Processes().start())
    mocked(session, requests_mock)
    requests_mock.get(f"{API_URL}/x", text="a")
    session.get("x")
    session.get("x", timeout=99)
    session.get("x", timeout=(1, 2))
    assert [sent.timeout for sent in requests_mock.request_history] == [(3, 7), 99, (1, 2)]


@pytest.mark.statement(6)
@pytest.mark.parametrize("verify", [True, False, "/made/up/bundle.pem"])
def test_an_explicit_verify_beats_the_environment(
    requests_mock: mocking.Mocker, monkeypatch: pytest.MonkeyPatch, verify: bool | str
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/environment.pem")
    session = ApiSession(api_settings(transport=Transport(verify=verify)), Processes().start())
    mocked(session, requests_mock)
    requests_mock.get(f"{API_URL}/x", text="a")
    session.get("x")
    session.get("x", verify="/call.pem")
    assert [sent.verify for sent in requests_mock.request_history] == [verify, "/call.pem"]


def test_proxies_of_the_call_beat_those_of_the_connection_and_those_the_environments(
    session: ApiSession, requests_mock: mocking.Mocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://environment.example.com:1")
    configured = ApiSession(
        api_settings(transport=Transport(proxies=(("https", "http://ours:2"),))), Processes().start()
    )
    mocked(configured, requests_mock)
    session.get("x")
    configured.get("x")
    configured.get("x", proxies={"https": "http://call:3"})
    used = [sent.proxies.get("https") for sent in requests_mock.request_history]
    assert used == ["http://environment.example.com:1", "http://ours:2", "http://call:3"]


def test_a_redirect_to_a_host_of_no_proxy_does_not_go_through_the_proxy(
    requests_mock: mocking.Mocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com:1")
    monkeypatch.setenv("NO_PROXY", "files.example.com")
    session = ApiSession(api_settings(allowed_hosts=("files.example.com",)), Processes().start())
    mocked(session, requests_mock)
    requests_mock.get(f"{API_URL}/x", status_code=302, headers={"Location": "https://files.example.com/x"})
    requests_mock.get("https://files.example.com/x", text="a")
    session.get("x")
    used = [sent.proxies.get("https") for sent in requests_mock.request_history]
    assert used == ["http://proxy.example.com:1", None]


def test_netrc_is_never_read(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login made-up password made-up")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with Api() as api:
        session_on(api).get("x")
        assert api.tokens == ["token-1"]


def test_redirects_inside_the_allowed_origins_are_followed_with_the_token() -> None:
    with Api() as files, Api(Reply(302, b"", {"Location": f"{files.url}/big"})) as api:
        session = session_on(api, allowed_hosts=(files.url,))
        assert session.call("GET", "x").response.json() == {"ok": True}
        assert (api.tokens, files.tokens) == (["token-1"], ["token-1"])


@pytest.mark.statement(24)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_a_foreign_origin_is_an_error_and_the_origin_gets_nothing(status: int) -> None:
    with Server(lambda _: Reply(401)) as foreign, Api(Reply(status, b"", {"Location": f"{foreign.url}/x"})) as api:
        session = session_on(api, headers=(("X-Configured", "1"),))
        with pytest.raises(OriginError, match="nothing was sent"):
            session.call("PUT", "x", data=b"body")
        assert foreign.connections == 0


def test_more_than_five_redirects_are_an_error() -> None:
    with Api(*[Reply(302, b"", {"Location": "/again"})] * 6) as api:
        with pytest.raises(ApiRefusedError, match="redirected too often"):
            session_on(api).call("GET", "x")
        assert len(api.seen) == 6


def test_without_redirects_the_redirect_itself_is_the_answer() -> None:
    with Api(Reply(302, b"", {"Location": "/a"})) as api:
        assert session_on(api).get("x", allow_redirects=False).status_code == 302


def test_connections_belong_to_the_process_and_outlive_a_session() -> None:
    with Api() as api:
        for _ in range(3):
            with session_on(api) as session:
                session.get("x")
        assert api.connections == 1


def test_a_missing_token_is_the_error_of_the_token_endpoint_and_nothing_is_sent() -> None:
    processes = Processes()
    processes.endpoint.script = [InvalidClientError("invalid_client: no")]
    with Api() as api:
        with pytest.raises(InvalidClientError):
            session_on(api, processes).call("GET", "x")
        assert api.seen == []


def test_no_secret_stands_in_the_repr_of_session_and_auth(session: ApiSession) -> None:
    session.get("x")
    for shown in (repr(session), str(session), repr(session.auth), repr(session.redactor())):
        assert "token-1" not in shown


def test_an_error_holds_no_request_and_has_no_cause_that_does() -> None:
    with Api(*[Reply(raw=b"")] * 5) as api, pytest.raises(ApiUnavailableError) as caught:
        session_on(api).call("POST", "x", data=io.BytesIO(b"body"))
    error: Any = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    assert not [
        value for value in vars(error).values() if isinstance(value, requests.PreparedRequest | requests.Response)
    ]


@pytest.mark.parametrize("framing", ["Content-Length", "Connection: close"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_half_of_a_compressed_body_is_asked_for_again(clock: Clock, framing: str, encoding: str) -> None:
    clock.skip_sleeps()
    text = random.Random(7).randbytes(20_000).hex()
    whole = gzip.compress(text.encode()) if encoding == "gzip" else zlib.compress(text.encode())
    half = whole[: len(whole) // 2]
    length = f"Content-Length: {len(half)}\r\n" if framing == "Content-Length" else ""
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\n{length}Connection: close\r\n\r\n"
    cut, good = Reply(raw=head.encode() + half), Reply(200, whole, {"Content-Encoding": encoding})
    with Api(cut, cut, good) as api:
        answer = session_on(api).call("GET", "x")
        assert (answer.attempts, answer.response.text) == (3, text)
    with Api(*[cut] * 9) as api, pytest.raises(ApiUnavailableError, match="broke off"):
        session_on(api).call("GET", "x")
    with Api(cut) as api:
        assert session_on(api).get("x", stream=True).raw.read(decode_content=False) == half, "that is the caller's"


@pytest.mark.parametrize(("method", "status", "body"), [("HEAD", 200, b""), ("GET", 204, b""), ("GET", 404, b"half")])
def test_an_answer_without_a_body_may_name_an_encoding(method: str, status: int, body: bytes) -> None:
    with Api(Reply(status, body, {"Content-Encoding": "gzip"})) as api:
        if status == 404:
            with pytest.raises(ApiRefusedError):
                session_on(api).call(method, "x")
        else:
            assert session_on(api).call(method, "x").response.content == b""


def test_a_large_compressed_body_is_there_at_once_as_in_requests() -> None:
    content = bytes(9 << 20)
    with Api(Reply(200, gzip.compress(content), {"Content-Encoding": "gzip"})) as api:
        assert session_on(api).get("x").content == content
