"""Where a server's metadata are looked for, what is believed of them, and what they make of a connection."""

from __future__ import annotations

import json
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from airflow_oauth_provider.exceptions import (
    OAuth2Error,
    PermanentError,
    ServerMetadataError,
    TokenEndpointUnavailableError,
    TokenResponseError,
)
from airflow_oauth_provider.masking import Redactor
from airflow_oauth_provider.oauth2.metadata import ServerMetadata, parse_metadata, resolved, well_known_urls
from airflow_oauth_provider.oauth2.settings import KeyPair, Transport
from tests.support.made_up import SECRET, client_settings

ISSUER = "https://login.example.com/tenant"
URL = "https://login.example.com/.well-known/oauth-authorization-server/tenant"
DOCUMENT = {
    "issuer": ISSUER,
    "token_endpoint": "https://login.example.com/tenant/token",
    "revocation_endpoint": "https://login.example.com/tenant/revoke",
    "mtls_endpoint_aliases": {
        "token_endpoint": "https://mtls.example.com/tenant/token",
        "revocation_endpoint": "https://mtls.example.com/tenant/revoke",
    },
    "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
    "token_endpoint_auth_signing_alg_values_supported": ["PS256", "ES256"],
    "dpop_signing_alg_values_supported": ["ES256"],
    "grant_types_supported": ["client_credentials"],
    "scopes_supported": ["read"],
}


def parse(body: Any = DOCUMENT, *, issuer: str = ISSUER, status: int = 200, **headers: str) -> ServerMetadata:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = CaseInsensitiveDict({name.replace("_", "-"): value for name, value in headers.items()})
    redactor = Redactor([SECRET])
    return parse_metadata(issuer, redactor, url=URL, status=status, headers=named, body=content, now=1e9)


def document(**changes: Any) -> dict[str, Any]:
    """Return a document; a member that is None is left out."""
    return {name: value for name, value in {**DOCUMENT, **changes}.items() if value is not None}


@pytest.mark.statement(36)
@pytest.mark.parametrize(
    ("issuer", "oauth", "openid"),
    [
        ("https://a.example", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"),
        ("https://a.example/", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"),
        ("https://a.example/t", "/.well-known/oauth-authorization-server/t", "/t/.well-known/openid-configuration"),
        ("https://a.example/t/", "/.well-known/oauth-authorization-server/t", "/t/.well-known/openid-configuration"),
        (
            "https://a.example/t/v2.0",
            "/.well-known/oauth-authorization-server/t/v2.0",
            "/t/v2.0/.well-known/openid-configuration",
        ),
    ],
)
def test_the_well_known_path_goes_before_the_issuers_path_and_for_openid_connect_behind_it(
    issuer: str, oauth: str, openid: str
) -> None:
    assert well_known_urls(issuer) == (f"https://a.example{oauth}", f"https://a.example{openid}")


def test_a_port_stays_in_both() -> None:
    assert all(url.startswith("https://a.example:8443/") for url in well_known_urls("https://a.example:8443/t"))


def test_what_is_used_of_a_document_is_read() -> None:
    metadata = parse()
    assert metadata.token_endpoint == DOCUMENT["token_endpoint"]
    assert metadata.auth_methods == ("client_secret_basic", "private_key_jwt")
    assert metadata.signing_algorithms == ("PS256", "ES256")
    assert metadata.dpop_algorithms == ("ES256",)
    assert metadata.grant_types == ("client_credentials",)


@pytest.mark.parametrize("body", [DOCUMENT, {"issuer": ISSUER, "token_endpoint": "https://login.example.com/token"}])
def test_what_the_store_gives_back_is_what_was_put_in(body: dict[str, Any]) -> None:
    metadata = parse(body)
    assert ServerMetadata.from_members(json.loads(json.dumps(metadata.members()))) == metadata


@pytest.mark.statement(37)
@pytest.mark.parametrize(
    "named",
    [
        f"{ISSUER}/",
        "https://login.example.com/Tenant",
        "https://LOGIN.example.com/tenant",
        "https://login.example.com:443/tenant",
        "http://login.example.com/tenant",
        "https://evil.example",
    ],
)
def test_a_document_of_another_issuer_is_refused_however_alike_they_look(named: str) -> None:
    with pytest.raises(ServerMetadataError) as caught:
        parse(document(issuer=named))
    assert repr(named) in str(caught.value)
    assert repr(ISSUER) in str(caught.value)
    assert isinstance(caught.value, PermanentError)


@pytest.mark.statement(37)
def test_a_hostile_issuer_cannot_write_into_the_log_nor_echo_the_secret() -> None:
    with pytest.raises(ServerMetadataError) as caught:
        parse(document(issuer=f"https://evil.example/\n[2026-01-01] INFO {SECRET}{'x' * 5000}"))
    text = str(caught.value)
    assert "\n" not in text
    assert SECRET not in text
    assert len(text) < 700


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"issuer": None}, "names no issuer"),
        ({"issuer": ["https://login.example.com/tenant"]}, "names no issuer"),
        ({"token_endpoint": None}, "names no token_endpoint"),
        ({"token_endpoint": {"url": "https://login.example.com"}}, "names no token_endpoint"),
        ({"token_endpoint": ""}, "names no token_endpoint"),
    ],
)
def test_a_document_without_what_it_is_for_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ServerMetadataError, match=said):
        parse(document(**changes))


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>Log in</html>", b'{"issuer": ', b"[]", b"null", b'"text"', b"[" * 200_000, b'{"a":' * 200_000],
    ids=["empty", "html", "cut", "list", "null", "text", "deep list", "deep object"],
)
def test_what_is_not_a_json_object_may_be_another_time(body: bytes) -> None:
    with pytest.raises(TokenResponseError, match="not a JSON object"):
        parse(body)


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (204, ServerMetadataError),
        (400, ServerMetadataError),
        (401, ServerMetadataError),
        (403, ServerMetadataError),
        (404, ServerMetadataError),
        (408, TokenEndpointUnavailableError),
        (429, TokenEndpointUnavailableError),
        (500, TokenEndpointUnavailableError),
        (501, TokenEndpointUnavailableError),
        (503, TokenEndpointUnavailableError),
    ],
)
def test_the_status_tells_whether_there_is_no_document_or_none_now(status: int, error_class: type[OAuth2Error]) -> None:
    with pytest.raises(error_class, match=f"HTTP {status}") as caught:
        parse(status=status)
    assert caught.value.status_code == status


def test_a_server_that_wants_to_be_left_alone_is_heard() -> None:
    with pytest.raises(TokenEndpointUnavailableError) as caught:
        parse(status=503, Retry_After="17")
    assert caught.value.retry_after_s == 17


def test_a_redirect_names_where_it_leads() -> None:
    with pytest.raises(ServerMetadataError, match=r"redirects to https://evil\.example/\\nx, which is not followed"):
        parse(status=302, Location="https://evil.example/\nx")


@pytest.mark.parametrize("value", ["client_secret_basic", {"client_secret_basic": True}, 1, True])
def test_a_list_that_is_none_is_as_if_it_were_not_there(value: Any) -> None:
    assert parse(document(token_endpoint_auth_methods_supported=value)).auth_methods is None


def test_what_is_no_name_in_a_list_is_passed_over() -> None:
    listed: list[Any] = ["ES256", 1, None, ["RS256"]]
    assert parse(document(dpop_signing_alg_values_supported=listed)).dpop_algorithms == ("ES256",)


def test_the_endpoints_and_the_issuer_come_into_the_settings() -> None:
    settings = resolved(client_settings(token_endpoint="", issuer=ISSUER, discover=True), parse())
    assert settings.token_endpoint == DOCUMENT["token_endpoint"]
    assert settings.revocation_endpoint == DOCUMENT["revocation_endpoint"]
    assert settings.issuer == ISSUER


def test_a_revocation_endpoint_of_the_connection_stays() -> None:
    own = "https://login.example.com/own"
    assert resolved(client_settings(revocation_endpoint=own), parse()).revocation_endpoint == own


@pytest.mark.statement(34)
def test_who_shows_a_certificate_goes_where_it_is_asked_for() -> None:
    transport = Transport(client_certificate=KeyPair("made-up key", "made-up certificate"))
    settings = resolved(client_settings(transport=transport), parse())
    assert settings.token_endpoint == "https://mtls.example.com/tenant/token"
    assert settings.revocation_endpoint == "https://mtls.example.com/tenant/revoke"


@pytest.mark.statement(34)
@pytest.mark.parametrize("aliases", [None, {}, [], "https://mtls.example.com", {"token_endpoint": 1}])
def test_without_aliases_a_certificate_is_shown_at_the_usual_endpoints(aliases: Any) -> None:
    transport = Transport(client_certificate=KeyPair("made-up key", "made-up certificate"))
    settings = resolved(client_settings(transport=transport), parse(document(mtls_endpoint_aliases=aliases)))
    assert settings.token_endpoint == DOCUMENT["token_endpoint"]
    assert settings.revocation_endpoint == DOCUMENT["revocation_endpoint"]


@pytest.mark.parametrize(("listed", "dpop"), [(["ES256"], "preferred"), (["ES384"], ""), ([], ""), (None, "")], ids=str)
def test_preferred_proofs_are_made_for_a_server_that_says_it_takes_them(listed: list[str] | None, dpop: str) -> None:
    metadata = parse(document(dpop_signing_alg_values_supported=listed))
    assert resolved(client_settings(dpop="preferred"), metadata).dpop == dpop
