"""A token is ended at the authorization server (RFC 7009)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_oauth_provider.exceptions import (
    OAuth2Error,
    SettingsError,
    TokenEndpointUnavailableError,
    TokenRefusedError,
)
from airflow_oauth_provider.tokens.endpoint import TokenEndpoint
from tests.support.made_up import CLIENT_ID, SECRET, access_token, client_settings
from tests.support.servers import OAuthServer, Reply, Server, free_port

TOKEN = access_token("made-up/token+to be revoked")


@pytest.fixture
def server() -> Iterator[OAuthServer]:
    with OAuthServer() as running:
        yield running


def endpoint(url: str, **changes: object) -> TokenEndpoint:
    return TokenEndpoint(client_settings(token_endpoint=f"{url}/token", revocation_endpoint=f"{url}/revoke", **changes))


@pytest.mark.statement(48)
def test_the_client_proves_itself_and_names_the_token_in_the_body_alone(server: OAuthServer) -> None:
    server.tokens[TOKEN.value] = TOKEN.expires_at
    endpoint(server.url).revoke(TOKEN, 30)
    assert server.tokens == {}
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.query) == ("POST", "/revoke", [])
    assert seen.basic() == (CLIENT_ID, SECRET)
    assert seen.form == [("token", TOKEN.value), ("token_type_hint", "access_token")]


def test_the_client_proves_itself_in_the_body_when_the_connection_says_so(server: OAuthServer) -> None:
    endpoint(server.url, auth_method="client_secret_post").revoke(TOKEN, 30)
    (seen,) = server.seen
    assert "authorization" not in seen.headers
    assert {"client_id": CLIENT_ID, "client_secret": SECRET}.items() <= dict(seen.form).items()


@pytest.mark.parametrize("status", [200, 204])
def test_whatever_says_that_it_is_done_is_no_error(status: int) -> None:
    with Server(lambda _: Reply(status)) as server:
        endpoint(server.url).revoke(TOKEN, 30)
        assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (400, TokenRefusedError),
        (401, TokenRefusedError),
        (302, TokenRefusedError),
        (429, TokenEndpointUnavailableError),
        (503, TokenEndpointUnavailableError),
    ],
)
def test_what_the_server_says_against_it_is_raised_without_a_secret(
    status: int, error_class: type[OAuth2Error]
) -> None:
    said = f"unsupported_token_type {TOKEN.value} {SECRET}\nAuthorization: forged line"
    headers = {"Location": "http://127.0.0.1:1/", "Retry-After": "7"}
    with Server(lambda _: Reply(status, said, headers)) as server:
        with pytest.raises(error_class, match=f"answered {status}: unsupported_token_type") as caught:
            endpoint(server.url).revoke(TOKEN, 30)
        assert str(caught.value).endswith(" Check revocation_url of the connection; the token is still stored.")
        assert len(server.seen) == 1
    assert (caught.value.status_code, caught.value.retry_after_s) == (status, 7)
    assert TOKEN.value not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there_is_named_as_what_it_is() -> None:
    with pytest.raises(TokenEndpointUnavailableError, match=r"revocation endpoint http://127\.0\.0\.1"):
        endpoint(f"http://127.0.0.1:{free_port()}").revoke(TOKEN, 30)


def test_a_connection_without_a_revocation_url_says_what_can_be_done() -> None:
    with pytest.raises(SettingsError, match=r"names no revocation_url.*can be forgotten"):
        TokenEndpoint(client_settings()).revoke(TOKEN, 30)
