"""A connection that names the issuer alone: what it is told that is not believed, and where it is not led."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support import worker
from tests.support.servers import OAuthServer, Reply, Server

if TYPE_CHECKING:
    from tests.support.processes import Nursery

Environment = Callable[..., dict[str, str]]


@pytest.fixture
def elsewhere() -> Iterator[Server]:
    """Return a server that nobody is to be led to."""
    with Server(lambda _: Reply(200, {"access_token": "stolen", "token_type": "Bearer"})) as running:
        yield running


@pytest.mark.statement(37)
def test_a_document_of_another_issuer_is_refused_before_the_client_shows_itself(
    nursery: Nursery, server: OAuthServer, elsewhere: Server, discovering: Environment
) -> None:
    evil = {"issuer": elsewhere.url, "token_endpoint": f"{elsewhere.url}/token"}
    server.metadata_reply = lambda _: Reply(200, evil)

    outcome = nursery.run_one(worker.get_token, discovering())

    assert outcome.error == "ServerMetadataError"
    assert outcome.facts["permanent"]
    assert f"'{elsewhere.url}' and not of '{server.url}'" in outcome.message
    assert elsewhere.seen == server.token_requests == []


@pytest.mark.statement(38)
def test_what_the_server_does_not_support_is_said_before_a_secret_is_sent(
    nursery: Nursery, server: OAuthServer, discovering: Environment
) -> None:
    listed = {"token_endpoint_auth_methods_supported": ["private_key_jwt", "tls_client_auth"]}
    server.metadata_reply = lambda _: Reply(200, server.metadata(**listed))

    outcome = nursery.run_one(worker.get_token, discovering())

    assert outcome.error == "SettingsError"
    assert "auth_method: client_secret_basic is not among" in outcome.message
    assert "private_key_jwt, tls_client_auth" in outcome.message
    assert server.token_requests == []


def test_an_endpoint_at_an_origin_that_the_platform_does_not_list_gets_nothing(
    nursery: Nursery, server: OAuthServer, elsewhere: Server, discovering: Environment
) -> None:
    server.metadata_reply = lambda _: Reply(200, server.metadata(token_endpoint=f"{elsewhere.url}/token"))

    outcome = nursery.run_one(worker.get_token, discovering(server.url))

    assert outcome.error == "SettingsError"
    assert f"{elsewhere.url} is not among [oauth2] allowed_token_endpoints" in outcome.message
    assert elsewhere.seen == []


def test_an_issuer_that_the_platform_does_not_list_is_not_even_asked(
    nursery: Nursery, server: OAuthServer, discovering: Environment
) -> None:
    outcome = nursery.run_one(worker.get_token, discovering("https://login.example.com"))

    assert outcome.error == "SettingsError"
    assert "is not among [oauth2] allowed_token_endpoints" in outcome.message
    assert server.seen == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(
    nursery: Nursery, server: OAuthServer, elsewhere: Server, discovering: Environment, status: int
) -> None:
    server.metadata_reply = lambda seen: Reply(status, "", {"Location": f"{elsewhere.url}{seen.path}"})

    outcome = nursery.run_one(worker.get_token, discovering())

    assert outcome.error == "ServerMetadataError"
    assert f"redirects to {elsewhere.url}" in outcome.message
    assert len(server.metadata_requests) == 2
    assert elsewhere.seen == server.token_requests == []


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(404, "nothing here"), ("ServerMetadataError", "HTTP 404")),
        (Reply(200, "<html>Log in</html>", {"Content-Type": "text/html"}), ("TokenResponseError", "not a JSON object")),
        (Reply(200, ""), ("TokenResponseError", "not a JSON object")),
        (Reply(200, "[" * 500_000), ("TokenResponseError", "not a JSON object")),
        (Reply(200, '{"issuer":' * 50_000), ("TokenResponseError", "not a JSON object")),
        (Reply(200, b" " * (2**20 + 1)), ("TokenResponseError", "more than 1 MiB")),
        (
            Reply(200, b"\x1f\x8b garbage", {"Content-Encoding": "gzip"}),
            ("TokenEndpointUnavailableError", "compression"),
        ),
        (Reply(200, {"message": "no such tenant"}), ("ServerMetadataError", "names no issuer")),
        (Reply(503, "", {"Retry-After": "3000"}), ("TokenEndpointUnavailableError", "HTTP 503")),
    ],
    ids=["none", "html", "empty", "deep list", "deep object", "huge", "broken gzip", "other json", "busy"],
)
def test_what_is_no_document_is_one_clear_error(
    nursery: Nursery, server: OAuthServer, discovering: Environment, reply: Reply, expected: tuple[str, str]
) -> None:
    error, said = expected
    server.metadata_reply = lambda _: reply

    outcome = nursery.run_one(worker.press_test, discovering())

    assert not outcome.value[0]
    assert said in outcome.value[1]
    assert "/.well-known/oauth-authorization-server" in outcome.value[1]
    assert server.token_requests == []
    assert nursery.run_one(worker.get_token, discovering()).error == error


def test_what_keeps_one_process_from_the_document_is_remembered_by_all(
    nursery: Nursery, server: OAuthServer, discovering: Environment
) -> None:
    server.metadata_reply = lambda _: Reply(404, "nothing here")

    outcomes = nursery.run(12, worker.get_token, discovering())

    assert {outcome.error for outcome in outcomes} == {"ServerMetadataError"}
    assert len(server.metadata_requests) == 2
