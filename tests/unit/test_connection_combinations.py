"""What can work together and what cannot: said with the names of the fields, before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.form import CONN_FIELDS
from airflow_oauth_provider.oauth2 import settings as values
from tests.support.connections import LISTED, certificate_text, key_text, platform, read
from tests.support.made_up import CLIENT_ID, SECRET

METHODS = CONN_FIELDS["auth_method"]["schema"]["enum"]
KEY = {"private_key": key_text()}
PAIR = {**KEY, "certificate": certificate_text()}
TLS_PAIR = {"tls_private_key": key_text(1), "tls_certificate": certificate_text(1)}
JWT_BEARER = {"grant_type": "jwt_bearer"}
EXCHANGE = {"grant_type": "token_exchange"}
TOKEN_FILE = {"assertion_file": "/var/run/secrets/tokens/token"}
TOKEN_ENV = {"assertion_env": "CI_TOKEN"}
SUBJECT_TOKEN = {"secret_params": {"subject_token": "made-up-subject-token"}}
PLATFORM = platform(Path("/var/run/secrets"), "CI_TOKEN", listed=(LISTED, "http://localhost"))


def method(name: str, **more: Any) -> dict[str, Any]:
    return {"auth_method": name, **more}


# What is filled in beside host and base_url; which fields the error names.
IMPOSSIBLE: list[tuple[str, dict[str, Any], dict[str, Any], list[str]]] = [
    # The secret
    ("no secret", method("client_secret_basic"), {"password": None}, ["field password", "client_secret_basic"]),
    ("blank secret", method("client_secret_post"), {"password": " "}, ["field password", "client_secret_post"]),
    ("no secret to sign by", method("client_secret_jwt"), {"password": ""}, ["field password", "client_secret_jwt"]),
    ("a key, and the method of a secret", KEY, {"password": ""}, ["field password", "private_key_jwt"]),
    ("a file, and the method of a secret", TOKEN_FILE, {"password": ""}, ["field password", "workload_identity"]),
    ("a grant, and the method of a secret", {**JWT_BEARER, **KEY, **method("client_secret_basic")}, {"password": ""},
     ["field password", "none"]),
    ("a key as the secret", {}, {"password": key_text()}, ["field password", "private_key"]),
    # The id
    ("nobody", method("private_key_jwt", **KEY), {"login": None}, ["field login"]),
    ("nobody at a gateway", method("none"), {"login": None}, ["field login"]),
    ("nobody issues", method("none", **JWT_BEARER, **KEY), {"login": None}, ["field login"]),
    ("a platform without a client", method("workload_identity", **TOKEN_FILE), {"login": None},
     ["field login", "AZURE_CLIENT_ID"]),
    ("a platform without a server", method("workload_identity", **TOKEN_FILE), {"host": None},
     ["field host", "AZURE_TENANT_ID", "AZURE_AUTHORITY_HOST"]),
    # Keys
    ("nothing to sign with", method("private_key_jwt"), {}, ["private_key_jwt", "private_key", "key_file"]),
    ("two keys", method("private_key_jwt", **KEY, key_file="/k"), {}, ["private_key", "key_file"]),
    ("two certificates", method("tls_client_auth", **PAIR, certificate_file="/c"), {}, ["certificate_file"]),
    ("two TLS keys", {**TLS_PAIR, "tls_key_file": "/k"}, {}, ["tls_private_key", "tls_key_file"]),
    ("two TLS certificates", {**TLS_PAIR, "tls_certificate_file": "/c"}, {}, ["tls_certificate_file"]),
    ("a certificate without a key", {"certificate": certificate_text()}, {}, ["certificate", "private_key"]),
    ("a file of one without a key", {"certificate_file": "/c"}, {}, ["certificate_file", "key_file"]),
    ("a TLS certificate without a key", {"tls_certificate": "x"}, {}, ["tls_certificate", "tls_private_key"]),
    ("a TLS key without a certificate", {"tls_private_key": key_text()}, {}, ["tls_private_key", "tls_certificate"]),
    ("a passphrase without a key", {"private_key_passphrase": "x"}, {}, ["private_key_passphrase", "private_key"]),
    ("a TLS passphrase without a key", {"tls_private_key_passphrase": "x"}, {}, ["tls_private_key_passphrase"]),
    ("a key that nobody uses", KEY, {}, ["private_key", "client_secret_basic", "certificate"]),
    ("a key for nothing", method("none", **KEY), {}, ["private_key", "none", "certificate"]),
    ("two pairs for one handshake", {**PAIR, **TLS_PAIR}, {}, ["private_key", "tls_private_key"]),
    ("no certificate to show", method("tls_client_auth"), {}, ["tls_client_auth", "certificate", "private_key"]),
    ("a key, and no certificate to show", method("self_signed_tls_client_auth", **KEY), {}, ["certificate"]),
    ("the pair signs, so nothing is shown", method("tls_client_auth", **JWT_BEARER, **PAIR), {},
     ["tls_certificate", "tls_private_key", "jwt_bearer"]),
    ("another key's certificate", method("private_key_jwt", **KEY, certificate=certificate_text(1)), {},
     ["certificate", "private_key"]),
    ("another TLS key's certificate", {**TLS_PAIR, "tls_certificate": certificate_text()}, {},
     ["tls_certificate", "tls_private_key"]),
    ("certificates without TLS", method("tls_client_auth", **PAIR), {"host": "http://localhost/token"},
     ["field host", "tls_client_auth"]),
    ("a certificate without TLS", method("private_key_jwt", **KEY, **TLS_PAIR), {"host": "http://localhost/token"},
     ["field host", "tls_certificate", "private_key_jwt"]),
    # The way to the server
    ("a server that anybody may pass for", {"verify": False}, {}, ["verify", "allowed_token_endpoints"]),
    ("a proxy that may pass for a server", {"allow_http": True, "proxies": {"http": "http://proxy.example"}}, {},
     ["allow_http", "proxies", "allowed_token_endpoints"]),
    # Algorithms
    ("an algorithm of RSA", method("private_key_jwt", **KEY, signing_algorithm="RS256"), {}, ["signing_algorithm"]),
    ("an algorithm of secrets", method("private_key_jwt", **KEY, signing_algorithm="HS256"), {}, ["signing_algorithm"]),
    ("an algorithm of keys", method("client_secret_jwt", signing_algorithm="ES256"), {},
     ["signing_algorithm", "client_secret_jwt", "HS256"]),
    ("one algorithm for two", method("client_secret_jwt", **JWT_BEARER, **KEY, signing_algorithm="ES256"), {},
     ["signing_algorithm", "client_secret_jwt", "jwt_bearer"]),
    # Assertions
    ("an audience that nothing names", method("private_key_jwt", **KEY, assertion_audience="issuer"), {},
     ["assertion_audience", "issuer", "discover"]),
    ("an audience with a slip of the pen", method("private_key_jwt", **KEY, assertion_audience="endpiont"), {},
     ["assertion_audience", "endpoint", "issuer"]),
    ("an assertion that nobody uses", TOKEN_FILE, {}, ["assertion_file", "workload_identity", "jwt_bearer"]),
    ("a variable that nobody uses", TOKEN_ENV, {}, ["assertion_env", "token_exchange"]),
    ("two assertions", method("workload_identity", **TOKEN_FILE, **TOKEN_ENV), {}, ["assertion_file", "assertion_env"]),
    ("no assertion of the platform", method("workload_identity"), {}, ["assertion_file", "assertion_env"]),
    # Grants
    ("a grant upon nothing", method("none", **JWT_BEARER), {}, ["jwt_bearer", "private_key", "assertion_file"]),
    ("a grant upon two assertions", method("none", **JWT_BEARER, **KEY, **TOKEN_FILE), {},
     ["private_key", "assertion_file"]),
    ("an exchange of nothing", EXCHANGE, {}, ["token_exchange", "assertion_file", "assertion_env", "subject_token"]),
    ("an exchange of two", {**EXCHANGE, **TOKEN_FILE, **SUBJECT_TOKEN}, {}, ["assertion_file", "subject_token"]),
    ("a subject of nothing", {"subject": "jo@example.com"}, {}, ["subject", "jwt_bearer"]),
    ("a subject that the platform names", method("none", **JWT_BEARER, **TOKEN_FILE, subject="jo"), {}, ["subject"]),
    ("claims of nothing", {"assertion_claims": {"scope": "a"}}, {}, ["assertion_claims", "jwt_bearer"]),
    ("claims of ours", method("none", **JWT_BEARER, **KEY, assertion_claims={"sub": "x"}), {},
     ["assertion_claims", "sub"]),
    ("a grant in the wrong place", {"extra_params": {"grant_type": values.JWT_BEARER}}, {},
     ["extra_params", "grant_type"]),
    ("a resource in two places", {"resource": "urn:a", "secret_params": {"resource": "urn:b"}}, {},
     ["resource", "secret_params"]),
    ("an actor of no type", {**EXCHANGE, "secret_params": {"subject_token": "x", "actor_token": "y"}}, {},
     ["actor_token", "actor_token_type", "extra_params"]),
    ("a type of no actor", {**EXCHANGE, **SUBJECT_TOKEN, "extra_params": {"actor_token_type": "urn:x"}}, {},
     ["actor_token_type", "secret_params"]),
    ("two grants", {**JWT_BEARER, **KEY, "extra_params": {"grant_type": "urn:vendor"}}, {},
     ["grant_type", "extra_params"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("extra", "standard", "named"), [case[1:] for case in IMPOSSIBLE], ids=[case[0] for case in IMPOSSIBLE]
)
def test_a_combination_that_cannot_work_is_an_error_that_names_its_fields(
    extra: dict[str, Any], standard: dict[str, Any], named: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_AUTHORITY_HOST", "AZURE_FEDERATED_TOKEN_FILE"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(SettingsError) as caught:
        read(extra, PLATFORM, **standard)
    message = str(caught.value)
    assert [name for name in named if name not in message] == []
    assert "\n" not in message
    assert len(message) < 400
    for secret in (SECRET, "made-up-subject-token", key_text().splitlines()[1], key_text(1).splitlines()[1]):
        assert secret not in message


def test_no_two_cases_of_the_table_have_one_name() -> None:
    assert len({case[0] for case in IMPOSSIBLE}) == len(IMPOSSIBLE)


@pytest.mark.parametrize(
    ("extra", "signs", "shown"),
    [
        ({}, False, None),
        (PAIR, False, 0),
        (TLS_PAIR, False, 1),
        (method("client_secret_post", **PAIR), False, 0),
        (method("client_secret_jwt", **PAIR), False, 0),
        (method("private_key_jwt", **KEY), True, None),
        (method("private_key_jwt", **PAIR), True, None),
        (method("private_key_jwt", **PAIR, **TLS_PAIR), True, 1),
        (method("tls_client_auth", **PAIR), False, 0),
        (method("tls_client_auth", **TLS_PAIR), False, 1),
        (method("self_signed_tls_client_auth", **PAIR), False, 0),
        (method("tls_client_auth", **JWT_BEARER, **KEY, **TLS_PAIR), True, 1),
        (method("workload_identity", **TOKEN_FILE, **PAIR), False, 0),
        (method("none"), False, None),
        (method("none", **PAIR), False, 0),
        (method("none", **JWT_BEARER, **KEY), True, None),
        (method("client_secret_jwt", **JWT_BEARER, **KEY), True, None),
        (method("private_key_jwt", **JWT_BEARER, **PAIR, **TLS_PAIR), True, 1),
    ],
)
def test_a_pair_signs_where_something_is_signed_and_is_else_shown_in_the_handshake(
    extra: dict[str, Any], signs: bool, shown: int | None
) -> None:
    settings = read(extra, PLATFORM)
    client, transport = settings.client, settings.client.transport
    if signs:
        assert client.signing_key == values.KeyPair(key_text(), extra.get("certificate"))
    else:
        assert client.signing_key is None
    expected = None if shown is None else values.KeyPair(key_text(shown), list((PAIR, TLS_PAIR)[shown].values())[1])
    assert transport.client_certificate == expected
    assert settings.api.transport == transport


@pytest.mark.parametrize("name", METHODS)
def test_every_method_of_the_form_works_and_sends_a_secret_only_where_it_is_one(name: str) -> None:
    proof = {"private_key_jwt": KEY, "workload_identity": TOKEN_FILE}
    pair = PAIR if "tls" in name else {}
    client = read(method(name, **proof.get(name, {}), **pair), PLATFORM).client
    assert client.auth_method == name
    # The form keeps the password of the method that was chosen before.
    assert client.client_secret == (SECRET if name in values.SECRET_METHODS else "")


def test_the_form_offers_every_method_grant_and_mode_that_there_is() -> None:
    assert set(METHODS) == {
        *values.SECRET_METHODS, *values.TLS_METHODS, values.PRIVATE_KEY_JWT, values.WORKLOAD_IDENTITY, values.NONE,
    }  # fmt: skip
    grants = CONN_FIELDS["grant_type"]["schema"]["enum"]
    more: dict[str, dict[str, Any]] = {"jwt_bearer": {**KEY, "auth_method": "none"}, "token_exchange": SUBJECT_TOKEN}
    found = [read({"grant_type": grant, **more.get(grant, {})}).client.grant for grant in grants]
    assert found == [values.CLIENT_CREDENTIALS, values.JWT_BEARER, values.TOKEN_EXCHANGE]
    assert CONN_FIELDS["dpop"]["schema"]["enum"] == [values.DPOP_REQUIRED, values.DPOP_PREFERRED]


@pytest.mark.parametrize(("password", "expected"), [("", "none"), (None, "none"), (SECRET, "client_secret_basic")])
def test_a_grant_by_assertion_needs_no_other_proof_where_there_is_no_secret(
    password: str | None, expected: str
) -> None:
    assert read({**JWT_BEARER, **KEY}, password=password).client.auth_method == expected


@pytest.mark.parametrize(
    "extra", [{**EXCHANGE, **SUBJECT_TOKEN}, {**EXCHANGE, **TOKEN_FILE}, {**JWT_BEARER, **TOKEN_FILE}]
)
def test_a_client_without_an_id_is_one_of_which_nothing_is_sent(extra: dict[str, Any]) -> None:
    assert read(method("none", **extra), PLATFORM, login=None).client.client_id == ""
    assert read(method("none", **extra), PLATFORM).client.client_id == CLIENT_ID


def test_a_platforms_client_id_is_taken_where_the_connection_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_CLIENT_ID", " client-of-the-pod ")
    extra = method("workload_identity", **TOKEN_FILE)
    assert read(extra, PLATFORM, login="").client.client_id == "client-of-the-pod"
    assert read(extra, PLATFORM).client.client_id == CLIENT_ID
    with pytest.raises(SettingsError, match="field login"):
        read(login="")
