"""Who may see and do what on the page, and what it never gives away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from tests.support.made_up import SECRET
from tests.support.servers import Reply
from tests.unit.ui.conftest import store_connection

if TYPE_CHECKING:
    from tests.support.servers import OAuthServer
    from tests.unit.ui.conftest import Visited

FILES = ("", "page.css", "page.js", "row.js", "theme.js", "tokens")
ACTIONS = ("test/shop", "forget/shop")
OURS = {"X-Requested-With": "airflow-oauth2-tokens", "Sec-Fetch-Site": "same-origin"}


def rows(visited: Visited, role: str = "op") -> dict[str, dict[str, Any]]:
    answer = visited.visitor(role).get("tokens")
    assert answer.status_code == 200
    return {row["conn_id"]: row for row in answer.json()["connections"]}


# Permissions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "status"), [(None, 401), ("viewer", 403), ("user", 403), ("op", 200), ("admin", 200)])
def test_who_may_read_connections_in_airflow_sees_the_page(
    visited: Visited, server: OAuthServer, role: str | None, status: int
) -> None:
    store_connection("shop", server)
    visitor = visited.visitor(role)
    assert {path: visitor.get(path).status_code for path in FILES} == dict.fromkeys(FILES, status)


@pytest.mark.parametrize(("role", "status"), [(None, 401), ("viewer", 403), ("user", 403), ("op", 200)])
def test_who_may_edit_connections_in_airflow_may_test_and_forget(
    visited: Visited, server: OAuthServer, role: str | None, status: int
) -> None:
    store_connection("shop", server)
    visitor = visited.visitor(role)
    answers = {path: visitor.post(path, json={}, headers=OURS).status_code for path in ACTIONS}
    assert answers == dict.fromkeys(ACTIONS, status)
    assert len(server.token_requests) == (1 if status == 200 else 0)


@pytest.mark.parametrize("release", ["3.1", "now"])
def test_the_list_is_what_the_auth_manager_lets_one_read_and_edit(
    visited: Visited, server: OAuthServer, monkeypatch: pytest.MonkeyPatch, release: str
) -> None:
    from airflow.api_fastapi.auth.managers.base_auth_manager import BaseAuthManager

    if release == "3.1":
        monkeypatch.delattr(BaseAuthManager, "get_authorized_connections", raising=False)
    for conn_id in ("mine", "readable", "hidden"):
        store_connection(conn_id, server)
    permitted = {"GET": {"mine", "readable"}, "PUT": {"mine"}}

    def decide(*, method: str, details: Any = None, **_: Any) -> bool:
        return details is None or details.conn_id is None or details.conn_id in permitted.get(method, ())

    with mock.patch.object(type(visited.manager), "is_authorized_connection", side_effect=decide):
        visitor = visited.visitor("op")
        listed = {row["conn_id"]: row["may_edit"] for row in visitor.get("tokens").json()["connections"]}
        done = {conn_id: visitor.post(f"forget/{conn_id}", json={}, headers=OURS).status_code for conn_id in listed}
        hidden = visitor.post("test/hidden", json={}, headers=OURS).status_code

    assert listed == {"mine": True, "readable": False}
    assert done == {"mine": 200, "readable": 403}
    assert hidden == 403
    assert server.token_requests == []


def test_every_route_is_guarded(visited: Visited) -> None:
    from airflow_oauth_provider.ui.app import create_app

    routes: list[Any] = create_app().routes
    guards = {route.path: {guard.call.__qualname__ for guard in route.dependant.dependencies} for route in routes}
    assert {path for path, names in guards.items() if "requires_access_connection.<locals>.inner" not in names} == set()
    assert len(guards) == 5


def test_somebody_without_a_session_is_led_to_the_login_and_back(visited: Visited) -> None:
    answer = visited.visitor(None).get("", headers={"Accept": "text/html"})
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/api/v2/auth/login?next=%2Foauth2-tokens%2F"


def test_somebody_without_permission_is_told_in_a_sentence(visited: Visited) -> None:
    answer = visited.visitor("viewer").get("", headers={"Accept": "text/html"})
    assert answer.status_code == 403
    assert "You may not see connections" in answer.text
    assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]


# Other origins ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"X-Requested-With": "XMLHttpRequest", "Sec-Fetch-Site": "same-origin"},
        {**OURS, "Sec-Fetch-Site": "same-site"},
        {**OURS, "Sec-Fetch-Site": "cross-site"},
        {**OURS, "Sec-Fetch-Site": "none"},
        {"X-Requested-With": OURS["X-Requested-With"], "Origin": "http://evil.example"},
        {"X-Requested-With": OURS["X-Requested-With"], "Origin": "http://127.0.0.1:9"},
        {"X-Requested-With": OURS["X-Requested-With"], "Origin": "null"},
    ],
)
@pytest.mark.parametrize("path", ACTIONS)
def test_what_another_origin_sends_in_ones_name_is_refused(
    visited: Visited, server: OAuthServer, path: str, headers: dict[str, str]
) -> None:
    store_connection("shop", server)
    answer = visited.visitor("admin").post(path, json={}, headers=headers)
    assert answer.status_code == 403
    assert "another origin" in answer.json()["detail"]
    assert server.token_requests == []


@pytest.mark.parametrize("origin", [None, "its own", "https://public.example.com"])
def test_an_old_browser_or_one_behind_a_proxy_is_let_through(
    visited: Visited, server: OAuthServer, monkeypatch: pytest.MonkeyPatch, origin: str | None
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://public.example.com/airflow")
    store_connection("shop", server)
    sent = visited.url if origin == "its own" else origin
    headers = {"X-Requested-With": OURS["X-Requested-With"], **({"Origin": sent} if sent else {})}
    assert visited.visitor("op").post("forget/shop", json={}, headers=headers).status_code == 200


# What is shown ------------------------------------------------------------------------------------------------------


def test_looking_costs_no_token_request(visited: Visited, server: OAuthServer) -> None:
    store_connection("shop", server)
    for _ in range(3):
        assert rows(visited)["shop"]["state"] == "none"
    assert server.seen == []


def test_a_row_is_what_the_status_says_and_whether_one_may_act(visited: Visited, server: OAuthServer) -> None:
    store_connection("shop", server)
    token = OAuth2Hook("shop").get_token()

    row = rows(visited)["shop"]

    assert row["state"] == "valid"
    assert row["fingerprint"] == token.fingerprint
    assert row["expires_at"] == token.expires_at
    assert (row["requests_made"], row["requests_saved"]) == (1, 0)
    assert row["may_edit"] is True


def test_only_connections_of_our_type_are_listed(visited: Visited, server: OAuthServer) -> None:
    store_connection("shop", server)
    store_connection("warehouse", conn_type="postgres")
    assert list(rows(visited)) == ["shop"]
    answer = visited.visitor("admin").post("test/warehouse", json={}, headers=OURS)
    assert answer.status_code == 404


def test_one_connection_that_cannot_be_read_leaves_the_others_as_they_are(
    visited: Visited, server: OAuthServer
) -> None:
    store_connection("shop", server)
    store_connection("broken", password=SECRET, extra="{}")
    found = rows(visited)
    assert found["shop"]["state"] == "none"
    assert found["broken"]["state"] == "error"
    assert "base_url" in found["broken"]["error"]
    assert SECRET not in str(found)


def test_a_test_brings_a_new_token_and_says_what_came(visited: Visited, server: OAuthServer) -> None:
    store_connection("shop", server)
    OAuth2Hook("shop").get_token()
    answer = visited.visitor("op").post("test/shop", json={}, headers=OURS).json()
    assert answer["worked"] is True
    assert "Got a token that lives 3600 s" in answer["said"]
    assert answer["connection"]["requests_made"] == len(server.token_requests) == 2


def test_a_test_that_fails_says_why(visited: Visited, server: OAuthServer) -> None:
    store_connection("shop", server)
    server.token_reply = lambda _: Reply(401, {"error": "invalid_client"})
    answer = visited.visitor("op").post("test/shop", json={}, headers=OURS).json()
    assert answer["worked"] is False
    assert "Check Client ID and Client secret" in answer["said"]


def test_tests_are_off_where_airflow_has_them_off(
    visited: Visited, server: OAuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__TEST_CONNECTION", "Disabled")
    store_connection("shop", server)
    visitor = visited.visitor("admin")
    assert visitor.get("tokens").json()["tests_enabled"] is False
    answer = visitor.post("test/shop", json={}, headers=OURS)
    assert answer.status_code == 403
    assert "[core] test_connection" in answer.json()["detail"]
    assert server.token_requests == []


def test_forget_takes_the_token_and_the_refusal_away(visited: Visited, server: OAuthServer) -> None:
    store_connection("shop", server)
    first = OAuth2Hook("shop").get_token()
    answer = visited.visitor("op").post("forget/shop", json={}, headers=OURS).json()
    assert answer["worked"] is True
    assert answer["connection"]["state"] == "none"
    assert OAuth2Hook("shop").get_token() != first


def test_forget_of_a_connection_that_cannot_be_read_says_what_is_wrong(visited: Visited) -> None:
    store_connection("broken", extra="{}")
    answer = visited.visitor("op").post("forget/broken", json={}, headers=OURS).json()
    assert answer["worked"] is False
    assert "base_url" in answer["said"]


def test_forget_owns_up_to_a_store_that_does_not_answer(
    visited: Visited, server: OAuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__OAUTH2__TOKEN_STORE", "redis://127.0.0.1:9/0")
    store_connection("shop", server)
    answer = visited.visitor("op").post("forget/shop", json={}, headers=OURS).json()
    assert answer["worked"] is False
    assert "nothing was forgotten" in answer["said"]


def test_actions_are_in_the_audit_log(visited: Visited, server: OAuthServer) -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    store_connection("shop", server)
    for path in ACTIONS:
        visited.visitor("op").post(path, json={}, headers=OURS)
    with create_session() as session:
        logged = session.execute(select(Log.event, Log.owner).order_by(Log.id.desc()).limit(2)).all()
    assert sorted(map(tuple, logged)) == [("oauth2_token_forget", "made-up-op"), ("oauth2_token_test", "made-up-op")]


@pytest.mark.parametrize("conn_id", ["<script>alert(1)</script>", "a/b", 'x" onload="y', "ünï c%2Fde?#"])
def test_any_name_of_a_connection_is_a_name(visited: Visited, server: OAuthServer, conn_id: str) -> None:
    from urllib.parse import quote

    store_connection(conn_id, server)
    assert list(rows(visited)) == [conn_id]
    answer = visited.visitor("op").post(f"forget/{quote(conn_id, safe='')}", json={}, headers=OURS)
    assert answer.status_code == 200
    assert answer.json()["connection"]["conn_id"] == conn_id
    assert answer.headers["Content-Type"] == "application/json"


def test_nothing_that_is_sent_holds_a_secret_or_a_token(visited: Visited, server: OAuthServer) -> None:
    store_connection("shop", server, password=SECRET)
    store_connection("refused", server, password=SECRET, login="somebody-else")
    OAuth2Hook("shop").get_token()
    server.token_reply = lambda seen: Reply(401, {"error": "invalid_client", "error_description": f"no: {SECRET}"})
    visitor = visited.visitor("op")
    sent = [visitor.post("test/refused", json={}, headers=OURS).text]
    server.token_reply = None
    sent += [visitor.post("test/shop", json={}, headers=OURS).text, *(visitor.get(path).text for path in FILES)]
    assert len(server.tokens) == 2
    assert [value for value in (SECRET, *server.tokens) if any(value in text for text in sent)] == []


def test_each_answer_shields_the_page(visited: Visited) -> None:
    for role in (None, "viewer", "op"):
        for path in (*FILES, "nothing"):
            headers = visited.visitor(role).get(path).headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cache-Control"] == "no-store"
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            assert "unsafe" not in headers["Content-Security-Policy"]


def test_the_page_needs_nothing_from_elsewhere_and_has_nothing_inline(visited: Visited) -> None:
    import re

    visitor = visited.visitor("op")
    html = visitor.get("").text
    assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", html) == []
    for path in FILES[:-1]:
        text = visitor.get(path).text.replace("http://www.w3.org/", "")
        assert "://" not in text
        assert "innerHTML" not in text
