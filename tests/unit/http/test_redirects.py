"""What becomes of a call that is redirected: nothing is done twice, and nothing is silently left out."""

from __future__ import annotations

import gzip
import tracemalloc
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import ApiRefusedError, ApiUnavailableError, OAuth2Error
from airflow_oauth_provider.http import answers, auth
from tests.support.clock import Clock
from tests.support.servers import Reply, free_port
from tests.support.sessions import Api, session_on


@pytest.fixture(autouse=True)
def _no_waiting(clock: Clock) -> None:
    clock.skip_sleeps()


def to(target: str, status: int = 302, body: bytes = b"", **headers: str) -> Reply:
    return Reply(status, body, {"Location": target, **headers})


@pytest.mark.parametrize("status", [301, 302, 303])
@pytest.mark.parametrize("behind", [Reply(429), Reply(425)])
@pytest.mark.parametrize("check", [True, False])
def test_a_post_that_was_done_is_not_sent_again_for_what_its_redirect_leads_to(
    status: int, behind: Reply, check: bool
) -> None:
    with Api(to("/v1/orders/17", status), behind) as api:
        session = session_on(api)
        if check:
            with pytest.raises(ApiUnavailableError):
                session.call("POST", "orders", json={"id": 1})
        else:
            assert session.post("orders", json={"id": 1}).status_code == behind.status
        assert [seen.method for seen in api.seen] == ["POST", "GET"]


def test_nor_where_it_leads_to_nobody() -> None:
    with Api(to(nowhere := f"http://127.0.0.1:{free_port()}/x", 303)) as api:
        with pytest.raises(ApiUnavailableError, match="failed"):
            session_on(api, allowed_hosts=(nowhere.removesuffix("/x"),)).call("POST", "orders", json={})
        assert len(api.seen) == 1


@pytest.mark.parametrize("status", [307, 308])
def test_what_another_server_has_not_done_is_sent_again(status: int) -> None:
    with Api(to("/v1/b", status), Reply(429), to("/v1/b", status)) as api:
        assert session_on(api).call("POST", "a", json={"id": 1}).attempts == 2
        assert [(seen.method, seen.body) for seen in api.seen] == [("POST", b'{"id": 1}')] * 4


def test_a_call_that_may_be_done_twice_is_sent_again_whatever_redirects() -> None:
    with Api(to("/v1/b", 303), Reply(503), to("/v1/b", 303)) as api:
        assert session_on(api).call("POST", "a", json={}, idempotent=True).attempts == 2


@pytest.mark.parametrize(
    ("method", "status", "options", "lost"),
    [
        ("DELETE", 302, {}, "the method DELETE"),
        ("PUT", 302, {"data": b"x"}, "the method PUT"),
        ("PATCH", 302, {"json": {}}, "the method PATCH"),
        ("PUT", 301, {"data": b"x"}, "the body"),
        ("PATCH", 301, {"json": {}}, "the body"),
        ("GET", 301, {"json": {"open": True}}, "the body"),
        ("GET", 302, {"data": b"x"}, "the body"),
    ],
)
def test_a_redirect_that_would_lose_what_is_asked_for_is_not_followed(
    method: str, status: int, options: dict[str, Any], lost: str
) -> None:
    with Api(to("/v1/orders/1/?key=made-up-key", status)) as api:
        with pytest.raises(ApiRefusedError, match=rf"{status}.*{lost} would be lost. Call \S+/v1/orders/1/ itself"):
            session_on(api).call(method, "orders/1", **options)
        assert len(api.seen) == 1


@pytest.mark.parametrize(("method", "status"), [("DELETE", 301), ("GET", 302), ("HEAD", 302), ("PUT", 303)])
def test_where_nothing_is_lost_it_is_followed(method: str, status: int) -> None:
    with Api(to("/v1/b", status)) as api:
        session_on(api).call(method, "a")
        assert len(api.seen) == 2


@pytest.mark.parametrize("status", [301, 302])
def test_a_search_by_post_is_not_followed_without_what_it_searches_for(status: int) -> None:
    def page(_: Any) -> None:
        """Take it for one."""

    with Api(to("/v1/search/", status)) as api:
        with pytest.raises(ApiRefusedError, match="the method POST would be lost"):
            session_on(api).call("POST", "search", json={"open": True}, receive=page, idempotent=True)
        assert len(api.seen) == 1


@pytest.mark.parametrize("target", ["http://[::1", "\xff\xfe", "https://[made-up]/"])
def test_what_is_no_url_is_the_servers_mistake(target: str) -> None:
    with Api(to(target)) as api, pytest.raises(OAuth2Error) as caught:
        session_on(api).call("GET", "x")
    assert "cannot be sent" not in str(caught.value)
    assert "redirects" in str(caught.value)


@pytest.mark.parametrize("allow", [True, False])
def test_the_body_of_a_redirect_is_read_for_whoever_wants_it_alone(
    allow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    shortly = auth.read_shortly

    def noted(response: Any) -> None:
        read.append(response)
        shortly(response)

    monkeypatch.setattr("airflow_oauth_provider.http.session.read_shortly", noted)
    bomb = gzip.compress(bytes(1 << 25))
    with Api(to("/v1/b", 302, bomb, **{"Content-Encoding": "gzip"})) as api:
        answer = session_on(api).call("GET", "a", allow_redirects=allow).response
    if allow:
        assert answer.status_code == 200
        assert [len(old.content) <= 2 * auth._FEW_BYTES for old in answer.history] == [True]
        assert len(read) == 1
    else:
        assert (answer.status_code, len(answer.content)) == (302, 1 << 25)


def test_of_an_error_no_more_is_read_than_is_shown() -> None:
    bomb = gzip.compress(bytes(1 << 28))
    tracemalloc.start()
    try:
        with Api(Reply(400, bomb, {"Content-Encoding": "gzip"})) as api:
            tracemalloc.reset_peak()
            with pytest.raises(ApiRefusedError, match="answered 400"):
                session_on(api).call("GET", "a")
            assert tracemalloc.get_traced_memory()[1] < 1 << 26
    finally:
        tracemalloc.stop()


def test_an_error_that_drips_is_raised_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_PATIENCE_S", 0.0)
    with Api(Reply(404, b"made-up" * 1000, drip_s=0.5)) as api, pytest.raises(ApiRefusedError, match="answered 404"):
        session_on(api).call("GET", "a", timeout=(60, 60))


def test_of_an_error_that_breaks_off_what_came_is_shown() -> None:
    reply = Reply(raw=b"HTTP/1.1 404 Nope\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nno such order")
    with Api(reply) as api, pytest.raises(ApiRefusedError, match="answered 404 Nope: no such order"):
        session_on(api).call("GET", "a")
