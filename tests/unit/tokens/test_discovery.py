"""Endpoints by the issuer's metadata: where they are looked for, and where they may lead."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import requests_mock as mocking

from airflow_oauth_provider.exceptions import (
    CertificateError,
    ServerMetadataError,
    SettingsError,
    TokenEndpointUnavailableError,
    TokenResponseError,
)
from airflow_oauth_provider.oauth2.settings import Transport
from tests.support.clock import Clock
from tests.support.discovery import ISSUER, OAUTH, OPENID, TOKEN_ENDPOINT, Fleet, document, resolve
from tests.support.made_up import SECRET


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


# Asking --------------------------------------------------------------------------------------------------------------


@pytest.mark.statement(36)
def test_the_oauth_document_is_enough(fleet: Fleet, requests_mock: mocking.Mocker) -> None:
    requests_mock.get(OAUTH, json=document())
    assert resolve(fleet.start()) == TOKEN_ENDPOINT
    assert [request.url for request in requests_mock.request_history] == [OAUTH]


def test_nothing_of_the_client_goes_with_the_request(fleet: Fleet, requests_mock: mocking.Mocker) -> None:
    requests_mock.get(OAUTH, status_code=404)
    requests_mock.get(OPENID, json=document())
    resolve(fleet.start(scope="made-up-scope", extra_params=(("tenant", "made-up-tenant"),)))
    assert len(requests_mock.request_history) == 2
    for request in requests_mock.request_history:
        assert request.method == "GET"
        assert not request.body
        assert not {"Authorization", "Cookie", "DPoP"} & set(request.headers)
        sent = f"{request.url} {dict(request.headers)}"
        assert not [part for part in (SECRET, "made-up-app", "made-up-scope", "made-up-tenant") if part in sent]


@pytest.mark.statement(36)
@pytest.mark.parametrize(
    "first",
    [
        {"status_code": 404},
        {"status_code": 403},
        {"status_code": 302, "headers": {"Location": OPENID}},
        {"text": "<html>Log in</html>"},
        {"text": ""},
        {"text": "[" * 100_000},
        {"content": b" " * (2**20 + 1)},
        {"json": {"message": "no such tenant"}},
        {"json": {"issuer": "https://login.example.com", "token_endpoint": "https://login.example.com/token"}},
    ],
    ids=["404", "403", "redirect", "html", "empty", "deep", "huge", "other json", "other issuer"],
)
def test_openid_connect_is_the_second_try(fleet: Fleet, requests_mock: mocking.Mocker, first: dict[str, Any]) -> None:
    requests_mock.get(OAUTH, **first)
    requests_mock.get(OPENID, json=document())
    assert resolve(fleet.start()) == TOKEN_ENDPOINT
    assert [request.url for request in requests_mock.request_history] == [OAUTH, OPENID]


@pytest.mark.parametrize(
    ("first", "asked"),
    [
        ({"status_code": 500}, 2),
        ({"status_code": 503}, 1),
        ({"status_code": 429}, 1),
        ({"exc": requests.ConnectionError}, 1),
    ],
)
def test_a_server_that_is_down_is_not_taken_for_one_without_a_document(
    fleet: Fleet, requests_mock: mocking.Mocker, first: dict[str, Any], asked: int
) -> None:
    requests_mock.get(OAUTH, **first)
    requests_mock.get(OPENID, status_code=404)
    with pytest.raises(TokenEndpointUnavailableError):
        fleet.start().resolve(30.0)
    assert requests_mock.call_count == asked


@pytest.mark.statement(36)
def test_the_second_place_is_tried_where_the_first_one_is_out_of_order(
    fleet: Fleet, requests_mock: mocking.Mocker
) -> None:
    requests_mock.get(OAUTH, status_code=500)
    requests_mock.get(OPENID, json=document())
    assert resolve(fleet.start()) == document()["token_endpoint"]


def test_where_there_is_no_document_both_places_are_named(fleet: Fleet, requests_mock: mocking.Mocker) -> None:
    requests_mock.get(OAUTH, status_code=404)
    requests_mock.get(OPENID, status_code=404)
    with pytest.raises(ServerMetadataError) as caught:
        fleet.start().resolve(30.0)
    assert OAUTH in str(caught.value)
    assert OPENID in str(caught.value)
    assert "Check Token URL, which holds the issuer" in str(caught.value)


def test_a_document_that_cannot_be_read_may_be_readable_another_time(
    fleet: Fleet, requests_mock: mocking.Mocker
) -> None:
    requests_mock.get(OAUTH, status_code=404)
    requests_mock.get(OPENID, text='{"issuer": "https://login')
    with pytest.raises(TokenResponseError, match=r"HTTP 404.*not a JSON object"):
        fleet.start().resolve(30.0)


@pytest.mark.statement(37)
def test_a_document_of_another_issuer_is_refused(fleet: Fleet, requests_mock: mocking.Mocker) -> None:
    for url in (OAUTH, OPENID):
        requests_mock.get(url, json=document(issuer="https://evil.example"))
    with pytest.raises(ServerMetadataError, match=f"'https://evil.example' and not of '{ISSUER}'"):
        fleet.start().resolve(30.0)


def test_a_certificate_that_is_not_to_be_trusted_ends_it(fleet: Fleet, requests_mock: mocking.Mocker) -> None:
    import ssl

    problem = ssl.SSLCertVerificationError(1, "verify failed")
    problem.verify_message = "self-signed certificate"
    requests_mock.get(OAUTH, exc=requests.exceptions.SSLError(problem))
    with pytest.raises(CertificateError, match="self-signed certificate"):
        fleet.start().resolve(30.0)


# Where it leads ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("/tenant/token", "not a URL"),
        ("login.example.com/token", "not a URL"),
        ("ftp://login.example.com/token", "not a URL"),
        ("file:///etc/passwd", "not a URL"),
        ("https://user:pass@login.example.com/token", "not a URL"),
        ("https://evil.example\\@login.example.com/token", "not a URL"),
        ("https://login.example.com/token\r\nX-Evil: 1", "no URI"),
        (" https://login.example.com/token", "no URI"),
        ("https://login.example.com/\u2028\x9b31m\u202e", "no URI"),
        ("https://login.example.com/\ud800", "no URI"),
        ("https://login.example.com/" + "a" * 2000, "no URI"),
        ("https://login.example.com/token#part", "has a fragment"),
        ("https://login.example.com/token#", "has a fragment"),
        ("http://login.example.com/token", "is plain http"),
        ("http://127.0.0.1:8080/token", "is on this machine"),
        ("https://localhost/token", "is on this machine"),
        ("https://[::1]/token", "is on this machine"),
        ("https://0.0.0.0/token", "is on this machine"),
        ("https://127.1/token", "is on this machine"),
        ("https://localhost./token", "is on this machine"),
        ("https://[::ffff:127.0.0.1]/token", "is on this machine"),
    ],
)
def test_an_endpoint_to_which_no_credentials_may_go_is_refused(
    fleet: Fleet, requests_mock: mocking.Mocker, endpoint: str, said: str
) -> None:
    requests_mock.get(OAUTH, json=document(token_endpoint=endpoint))
    with pytest.raises(SettingsError, match=f"token_endpoint in the metadata of {ISSUER}.*{said}"):
        fleet.start().resolve(30.0)


def test_plain_http_passes_where_the_connection_says_so(fleet: Fleet, requests_mock: mocking.Mocker) -> None:
    requests_mock.get(OAUTH, json=document(token_endpoint="http://login.example.com/token"))
    assert resolve(fleet.start(transport=Transport(allow_http=True))) == "http://login.example.com/token"


def test_an_issuer_on_this_machine_may_name_endpoints_here(fleet: Fleet, requests_mock: mocking.Mocker) -> None:
    here = {"issuer": "http://127.0.0.1:8080", "token_endpoint": "http://localhost:8081/token"}
    requests_mock.get("http://127.0.0.1:8080/.well-known/oauth-authorization-server", json=here)
    assert resolve(fleet.start(issuer="http://127.0.0.1:8080")) == "http://localhost:8081/token"


def test_without_an_allow_list_the_issuer_decides_where_its_endpoint_is(
    fleet: Fleet, requests_mock: mocking.Mocker
) -> None:
    requests_mock.get(OAUTH, json=document(token_endpoint="https://oauth2.example.net/token"))
    assert resolve(fleet.start()) == "https://oauth2.example.net/token"


def test_the_allow_list_holds_for_what_the_document_names(fleet: Fleet, requests_mock: mocking.Mocker) -> None:
    requests_mock.get(OAUTH, json=document(token_endpoint="https://oauth2.example.net/token"))
    with pytest.raises(SettingsError, match=r"https://oauth2\.example\.net is not among \[oauth2\] allowed_token_end"):
        fleet.start("https://login.example.com").resolve(30.0)
    assert resolve(fleet.start("login.example.com", "oauth2.example.net")) == "https://oauth2.example.net/token"


@pytest.mark.statement(5)
def test_a_parameter_does_not_stand_in_the_url_that_a_document_names_and_in_the_request(
    fleet: Fleet, requests_mock: mocking.Mocker
) -> None:
    requests_mock.get(OAUTH, json=document(token_endpoint=f"{TOKEN_ENDPOINT}?p=x&scope=admin"))
    with pytest.raises(SettingsError, match=r"token_endpoint in the metadata .* has scope in its query"):
        resolve(fleet.start(scope="read"))
    assert resolve(Fleet().start()).endswith("?p=x&scope=admin")


def test_nobody_on_the_way_passes_for_an_allowed_endpoint_that_a_document_names(
    fleet: Fleet, requests_mock: mocking.Mocker
) -> None:
    here, url = "http://127.0.0.1:8080", "http://127.0.0.1:8080/.well-known/oauth-authorization-server"
    requests_mock.get(url, json={"issuer": here, "token_endpoint": TOKEN_ENDPOINT})
    unverified = Transport(verify=False, proxies=(("https", "http://proxy.example:3128"),))
    with pytest.raises(SettingsError, match="verify is false"):
        fleet.start(here, "https://login.example.com", issuer=here, transport=unverified).resolve(30.0)
    requests_mock.get(url, json={"issuer": here, "token_endpoint": f"{here}/token"})
    assert resolve(Fleet().start(here, "https://login.example.com", issuer=here, transport=unverified))


def test_the_allow_list_can_name_this_machine(fleet: Fleet, requests_mock: mocking.Mocker) -> None:
    requests_mock.get(OAUTH, json=document(token_endpoint="https://localhost/token"))
    assert resolve(fleet.start("https://login.example.com", "https://localhost")) == "https://localhost/token"


def test_the_allow_list_holds_for_what_another_process_has_stored(
    fleet: Fleet, requests_mock: mocking.Mocker, clock: Clock
) -> None:
    requests_mock.get(OAUTH, json=document(token_endpoint="https://oauth2.example.net/token"))
    fleet.start().resolve(30.0)
    with pytest.raises(SettingsError, match="is not among"):
        fleet.start("https://login.example.com").resolve(30.0)


def test_a_revocation_endpoint_that_may_not_be_used_keeps_nobody_from_a_token(
    fleet: Fleet, requests_mock: mocking.Mocker, caplog: pytest.LogCaptureFixture
) -> None:
    requests_mock.get(OAUTH, json=document(revocation_endpoint="https://evil.example/revoke"))
    settings = fleet.start("https://login.example.com").resolve(30.0)
    assert settings.token_endpoint == TOKEN_ENDPOINT
    assert settings.revocation_endpoint is None
    assert "https://evil.example is not among" in caplog.text
    assert "Tokens cannot be revoked." in caplog.text


@pytest.mark.statement(38)
def test_what_the_document_does_not_support_is_said_before_anything_is_sent(
    fleet: Fleet, requests_mock: mocking.Mocker
) -> None:
    requests_mock.get(OAUTH, json=document(token_endpoint_auth_methods_supported=["private_key_jwt"]))
    with pytest.raises(SettingsError, match="auth_method: client_secret_basic is not among"):
        fleet.start().resolve(30.0)
    assert requests_mock.call_count == 1


def test_what_may_be_supported_all_the_same_is_said_once_a_process(
    fleet: Fleet, requests_mock: mocking.Mocker, caplog: pytest.LogCaptureFixture
) -> None:
    requests_mock.get(OAUTH, json=document(grant_types_supported=["authorization_code"]))
    discovery = fleet.start()
    for _ in range(3):
        discovery.resolve(30.0)
    assert caplog.text.count("grant_type: client_credentials is not among") == 1
