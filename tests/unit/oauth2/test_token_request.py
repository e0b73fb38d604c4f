from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import pytest

from airflow_oauth_provider.oauth2.client_auth import AUTH_METHODS, basic_credentials
from airflow_oauth_provider.oauth2.token_request import build_token_request, wire_parameters
from tests.support.made_up import CLIENT_ID, SECRET, TOKEN_URL, client_settings


def form(**changes: Any) -> list[tuple[str, str]]:
    body = build_token_request(client_settings(**changes)).body.decode("ascii")
    return parse_qsl(body, keep_blank_values=True, strict_parsing=True)


@pytest.mark.statement(7)
def test_a_minimal_request_asks_for_client_credentials_and_nothing_else() -> None:
    assert form() == [("grant_type", "client_credentials")]


def test_scope_audience_and_further_parameters_are_sent() -> None:
    assert form(
        scope="a b",
        audience="https://api.example.com",
        extra_params=(("tenant", "acme"),),
        secret_params=(("pin", "1"),),
    ) == [
        ("grant_type", "client_credentials"),
        ("scope", "a b"),
        ("audience", "https://api.example.com"),
        ("tenant", "acme"),
        ("pin", "1"),
    ]


@pytest.mark.statement(5)
@pytest.mark.parametrize("empty", ["", None])
def test_empty_parameters_are_omitted(empty: str | None) -> None:
    assert form(scope=empty, audience=empty, extra_params=(("tenant", empty),)) == form()


@pytest.mark.statement(5)
@pytest.mark.parametrize("method", sorted(AUTH_METHODS))
def test_no_parameter_is_sent_twice(method: str) -> None:
    names = [
        name for name, _ in form(auth_method=method, scope="a", extra_params=(("grant_type", "urn:x"), ("b", "c")))
    ]
    assert len(names) == len(set(names))


def test_the_grant_type_may_be_overridden_for_a_vendors_dialect() -> None:
    assert form(extra_params=(("grant_type", "urn:vendor:dialect"),)) == [("grant_type", "urn:vendor:dialect")]


@pytest.mark.statement(3)
def test_basic_leaves_the_body_and_post_leaves_the_header_without_credentials() -> None:
    basic = build_token_request(client_settings())
    post = build_token_request(client_settings(auth_method="client_secret_post"))
    assert basic.headers["Authorization"] == f"Basic {basic_credentials(client_settings())}"
    assert b"client_" not in basic.body.replace(b"client_credentials", b"")
    assert "Authorization" not in post.headers
    assert dict(parse_qsl(post.body.decode())) == {
        "grant_type": "client_credentials",
        "client_id": CLIENT_ID,
        "client_secret": SECRET,
    }


@pytest.mark.statement(2)
@pytest.mark.parametrize("method", sorted(AUTH_METHODS))
def test_the_url_is_the_token_url_and_nothing_more(method: str) -> None:
    assert build_token_request(client_settings(auth_method=method)).url == TOKEN_URL


def test_a_form_is_sent_and_json_is_asked_for() -> None:
    headers = build_token_request(client_settings()).headers
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert headers["Accept"] == "application/json"


def test_what_is_wanted_never_holds_the_credentials() -> None:
    settings = client_settings(auth_method="client_secret_post", scope="a")
    assert dict(wire_parameters(settings)) == {"grant_type": "client_credentials", "scope": "a"}


def test_the_repr_of_a_request_shows_neither_headers_nor_body() -> None:
    shown = repr(build_token_request(client_settings(auth_method="client_secret_post")))
    assert TOKEN_URL in shown
    assert SECRET not in shown
    assert "client_secret" not in shown
