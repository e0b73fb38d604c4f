from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import jwt
import pytest

from airflow_oauth_provider.oauth2.client_auth import AUTH_METHODS, basic_credentials
from airflow_oauth_provider.oauth2.settings import JWT_BEARER, TOKEN_EXCHANGE
from airflow_oauth_provider.oauth2.token_request import (
    TokenRequest,
    build_revocation_request,
    build_token_request,
    wire_parameters,
)
from tests.support.made_up import CLIENT_ID, SECRET, TOKEN_URL, access_token, attempt, client_settings, key_pair

RAR = '[{"type":"payment","amount":{"currency":"EUR","value":"1.00"}}]'
CREDENTIALS = (("client_id", "x"), ("client_secret", "x"), ("client_assertion", "x"), ("client_assertion_type", "x"))
REVOCATION_URL = "https://login.example.com/oauth2/revoke"


def built(**changes: Any) -> TokenRequest:
    return build_token_request(client_settings(**{"signing_key": key_pair(), **changes}), attempt())


def decoded(request: TokenRequest) -> list[tuple[str, str]]:
    return parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)


def form(**changes: Any) -> list[tuple[str, str]]:
    return decoded(built(**changes))


@pytest.mark.statement(7)
def test_a_minimal_request_asks_for_client_credentials_and_nothing_else() -> None:
    assert form() == [("grant_type", "client_credentials")]


@pytest.mark.statement(4)
def test_a_token_is_asked_for_by_post() -> None:
    assert built().method == "POST"


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
    assert form(scope=empty, audience=empty, authorization_details=empty, extra_params=(("tenant", empty),)) == form()


@pytest.mark.statement(5)
@pytest.mark.parametrize("method", sorted(AUTH_METHODS))
@pytest.mark.parametrize("grant", ["client_credentials", JWT_BEARER, TOKEN_EXCHANGE])
def test_no_parameter_is_sent_twice(method: str, grant: str) -> None:
    names = [
        name
        for name, _ in form(
            auth_method=method,
            grant=grant,
            scope="a",
            audience="b",
            authorization_details=RAR,
            extra_params=(
                *(("grant_type", "urn:x"), ("scope", "b"), ("audience", "c"), ("subject_token_type", "d")),
                *(("authorization_details", "[]"), ("b", "c")),
            ),
            secret_params=(("assertion", "f"), ("subject_token", "g"), ("b", "d")),
        )
    ]
    assert len(names) == len(set(names))


@pytest.mark.statement(5)
@pytest.mark.statement(35)
def test_each_resource_is_a_parameter_of_its_own() -> None:
    resources = ("https://api.example.com/orders", "urn:example:stock")
    assert form(resources=resources) == [*form(), *(("resource", uri) for uri in resources)]


@pytest.mark.statement(5)
def test_a_token_exchange_may_be_for_several_audiences_and_everything_else_for_one() -> None:
    assert [value for name, value in form(grant=TOKEN_EXCHANGE, audience="a b") if name == "audience"] == ["a", "b"]
    assert [value for name, value in form(audience="a b") if name == "audience"] == ["a b"]


def test_authorization_details_are_sent_as_they_were_written() -> None:
    assert dict(form(authorization_details=RAR))["authorization_details"] == RAR


def test_the_grant_type_may_be_overridden_for_a_vendors_dialect() -> None:
    assert form(extra_params=(("grant_type", "urn:vendor:dialect"),)) == [("grant_type", "urn:vendor:dialect")]


def test_a_jwt_bearer_grant_holds_an_assertion_for_the_subject() -> None:
    members = dict(form(grant=JWT_BEARER, auth_method="none", subject="someone@example.com", scope="a"))
    assert set(members) == {"grant_type", "assertion", "scope"}
    assert members["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    claims = jwt.decode(members["assertion"], options={"verify_signature": False})
    assert (claims["iss"], claims["sub"], claims["aud"]) == (CLIENT_ID, "someone@example.com", TOKEN_URL)


def test_a_jwt_bearer_grant_without_a_key_holds_the_platforms_assertion() -> None:
    assert dict(form(grant=JWT_BEARER, signing_key=None))["assertion"] == "made.up.assertion"


def test_a_token_exchange_holds_the_platforms_assertion_as_a_jwt() -> None:
    assert form(grant=TOKEN_EXCHANGE) == [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("subject_token", "made.up.assertion"),
    ]


def test_a_token_exchange_holds_what_the_connection_says_instead() -> None:
    saml = "urn:ietf:params:oauth:token-type:saml2"
    members = dict(
        form(
            grant=TOKEN_EXCHANGE,
            extra_params=(("subject_token_type", saml),),
            secret_params=(("subject_token", "made-up-saml"),),
        )
    )
    assert (members["subject_token_type"], members["subject_token"]) == (saml, "made-up-saml")


@pytest.mark.statement(3)
def test_basic_leaves_the_body_and_post_leaves_the_header_without_credentials() -> None:
    basic, post = built(), built(auth_method="client_secret_post")
    assert basic.headers["Authorization"] == f"Basic {basic_credentials(client_settings())}"
    assert b"client_" not in basic.body.replace(b"client_credentials", b"")
    assert "Authorization" not in post.headers
    assert dict(decoded(post)) == {
        "grant_type": "client_credentials",
        "client_id": CLIENT_ID,
        "client_secret": SECRET,
    }


@pytest.mark.statement(3)
@pytest.mark.parametrize("method", sorted(AUTH_METHODS))
@pytest.mark.parametrize("field", ["extra_params", "secret_params"])
def test_parameters_of_the_connection_add_no_second_authentication(method: str, field: str) -> None:
    plain, tried = built(auth_method=method), built(auth_method=method, **{field: CREDENTIALS})
    assert tried.headers == plain.headers
    assert [name for name, _ in decoded(tried)] == [name for name, _ in decoded(plain)]
    assert ("client_id", "x") not in decoded(tried)


@pytest.mark.statement(32)
@pytest.mark.parametrize("method", ["tls_client_auth", "self_signed_tls_client_auth"])
def test_a_client_with_a_certificate_says_its_id_in_the_body(method: str) -> None:
    request = built(auth_method=method)
    assert decoded(request) == [("grant_type", "client_credentials"), ("client_id", CLIENT_ID)]
    assert "Authorization" not in request.headers


@pytest.mark.statement(2)
@pytest.mark.parametrize("method", sorted(AUTH_METHODS))
def test_the_url_is_the_token_url_and_nothing_more(method: str) -> None:
    assert built(auth_method=method).url == TOKEN_URL


def test_a_form_is_sent_and_json_is_asked_for() -> None:
    headers = built().headers
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert headers["Accept"] == "application/json"


def test_a_proof_goes_with_the_request_that_has_one() -> None:
    assert "DPoP" not in built().headers
    request = build_token_request(client_settings(), attempt(proof="made.up.proof"))
    assert request.headers["DPoP"] == "made.up.proof"
    assert request.headers["Authorization"] == f"Basic {basic_credentials(client_settings())}"


@pytest.mark.parametrize("method", sorted(AUTH_METHODS))
@pytest.mark.parametrize("grant", ["client_credentials", JWT_BEARER, TOKEN_EXCHANGE])
def test_what_is_wanted_holds_neither_credentials_nor_what_changes(method: str, grant: str) -> None:
    settings = client_settings(auth_method=method, grant=grant, scope="a", signing_key=key_pair())
    assert {name for name, _ in wire_parameters(settings)} <= {"grant_type", "scope", "subject_token_type"}
    wanted = set(wire_parameters(settings))
    assert wanted <= set(decoded(build_token_request(settings, attempt())))


@pytest.mark.statement(51)
@pytest.mark.parametrize(
    "changes",
    [
        {"grant": JWT_BEARER},
        {"scope": "b"},
        {"audience": "b"},
        {"resources": ("urn:b",)},
        {"resources": ("urn:a", "urn:b")},
        {"authorization_details": RAR},
        {"extra_params": (("tenant", "b"),)},
        {"secret_params": (("subject_token", "b"),)},
    ],
    ids=str,
)
def test_whoever_wants_something_else_has_other_parameters(changes: dict[str, Any]) -> None:
    assert wire_parameters(client_settings(**changes)) != wire_parameters(client_settings())


@pytest.mark.parametrize("method", sorted(AUTH_METHODS))
def test_a_revocation_proves_the_client_in_the_same_way(method: str) -> None:
    settings = client_settings(auth_method=method, signing_key=key_pair(), scope="a", resources=("urn:a",))
    token = access_token("made-up-token")
    request = build_revocation_request(settings, REVOCATION_URL, token, attempt(proof="made.up.proof"))
    assert (request.url, request.method) == (REVOCATION_URL, "POST")
    members = dict(decoded(request))
    assert (members.pop("token"), members.pop("token_type_hint")) == ("made-up-token", "access_token")
    authentication = AUTH_METHODS[method](settings, attempt())
    assert set(members) == {name for name, _ in authentication.form}
    assert {**request.headers, **authentication.headers} == request.headers
    assert "DPoP" not in request.headers


def test_the_repr_of_a_request_shows_neither_headers_nor_body() -> None:
    shown = repr(built(auth_method="client_secret_post"))
    assert TOKEN_URL in shown
    assert SECRET not in shown
    assert "client_secret" not in shown
