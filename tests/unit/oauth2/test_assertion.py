from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt
from jwskate import Jwk, SignedJwt

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.oauth2.assertion import (
    audience_of,
    claims_of,
    client_assertion,
    further_claims,
    grant_assertion,
)
from airflow_oauth_provider.oauth2.jws import SECRET_ALGORITHMS, sign
from airflow_oauth_provider.oauth2.keys import ALGORITHMS, certificate_thumbprint
from airflow_oauth_provider.oauth2.settings import JWT_BEARER, ClientSettings, KeyPair
from airflow_oauth_provider.oauth2.token_request import build_token_request
from tests.support.keys import certificate, everything_in, jwk, made_key, pem
from tests.support.made_up import CLIENT_ID, SECRET, TOKEN_URL, attempt, client_settings

ISSUER = "https://login.example.com"
NOW = 1_800_000_000.9


def key_settings(kind: str = "P-256", **changes: Any) -> ClientSettings:
    """Return settings of a client that proves itself by a key."""
    known = {"client_secret": "", "auth_method": "private_key_jwt", "signing_key": KeyPair(pem(made_key(kind)))}
    return client_settings(**{**known, **changes})


def secret_settings(**changes: Any) -> ClientSettings:
    return client_settings(auth_method="client_secret_jwt", **changes)


def verified(assertion: str, key: Any) -> joserfc_jwt.Token:
    return joserfc_jwt.decode(assertion, key, [name for names in ALGORITHMS.values() for name in names])


def of_key(settings: ClientSettings, kind: str = "P-256") -> joserfc_jwt.Token:
    return verified(client_assertion(settings, attempt(now=NOW)), joserfc_jwk.import_key(jwk(made_key(kind))))


def of_grant(settings: ClientSettings, kind: str = "P-256") -> joserfc_jwt.Token:
    return verified(grant_assertion(settings, attempt(now=NOW)), joserfc_jwk.import_key(jwk(made_key(kind))))


# The client's assertion ---------------------------------------------------------------------------------------------


@pytest.mark.statement(25)
@pytest.mark.parametrize("settings", [key_settings(), secret_settings()])
def test_the_request_names_the_type_of_its_assertion_exactly(settings: ClientSettings) -> None:
    form = parse_qs(build_token_request(settings, attempt()).body.decode())
    assert form["client_assertion_type"] == ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    assert len(form["client_assertion"]) == 1
    assert "client_secret" not in form


@pytest.mark.statement(26)
@pytest.mark.statement(27)
def test_an_assertion_holds_what_rfc_7523_wants_and_nothing_else() -> None:
    token = of_key(key_settings(issuer=ISSUER))
    assert token.header == {"typ": "client-authentication+jwt", "alg": "ES256"}
    assert token.claims == {
        "iss": CLIENT_ID,
        "sub": CLIENT_ID,
        "aud": ISSUER,
        "iat": 1_800_000_000,
        "nbf": 1_799_999_990,
        "exp": 1_800_000_060,
        "jti": "made-up-id",
    }


@pytest.mark.statement(26)
@pytest.mark.parametrize("algorithm", [None, *SECRET_ALGORITHMS])
def test_a_secret_signs_the_same_claims(algorithm: str | None) -> None:
    settings = secret_settings(issuer=ISSUER, signing_algorithm=algorithm)
    assertion = client_assertion(settings, attempt(now=NOW))
    token = joserfc_jwt.decode(assertion, joserfc_jwk.OctKey.import_key(SECRET), [algorithm or "HS256"])
    assert token.header == {"typ": "client-authentication+jwt", "alg": algorithm or "HS256"}
    assert token.claims == of_key(key_settings(issuer=ISSUER)).claims


@pytest.mark.statement(30)
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated:joserfc.errors.SecurityWarning")  # RFC 9864
@pytest.mark.parametrize(("kind", "algorithm"), [(kind, name) for kind, names in ALGORITHMS.items() for name in names])
def test_an_assertion_of_each_algorithm_passes_another_librarys_validator(kind: str, algorithm: str) -> None:
    settings = key_settings(kind, issuer=ISSUER, signing_algorithm=algorithm)
    assertion = client_assertion(settings, attempt())
    assert verified(assertion, joserfc_jwk.import_key(jwk(made_key(kind)))).header["alg"] == algorithm
    if algorithm != "Ed25519":  # which that one does not know by its new name
        public = Jwk(jwk(made_key(kind))).public_jwk()
        SignedJwt(assertion).validate(public, alg=algorithm, issuer=CLIENT_ID, audience=ISSUER, sub=CLIENT_ID)


@pytest.mark.statement(27)
@pytest.mark.parametrize(
    ("issuer", "named", "expected"),
    [
        (None, None, TOKEN_URL),
        (ISSUER, None, ISSUER),
        (ISSUER, "issuer", ISSUER),
        (ISSUER, "endpoint", TOKEN_URL),
        (None, "endpoint", TOKEN_URL),
        (ISSUER, "https://login.example.com/made-up", "https://login.example.com/made-up"),
        (None, "made-up-audience", "made-up-audience"),
    ],
)
def test_the_audience_is_one_value_the_issuer_where_it_is_known(
    issuer: str | None, named: str | None, expected: str
) -> None:
    settings = key_settings(issuer=issuer, assertion_audience=named)
    assert audience_of(settings) == expected
    assert of_key(settings).claims["aud"] == expected


@pytest.mark.statement(27)
@pytest.mark.parametrize("make", [client_assertion, grant_assertion])
def test_an_issuer_that_nothing_names_cannot_be_the_audience(make: Any) -> None:
    with pytest.raises(SettingsError, match="assertion_audience is the issuer, which nothing names: set issuer"):
        make(key_settings(assertion_audience="issuer"), attempt())


@pytest.mark.statement(27)
@pytest.mark.parametrize(("typ", "expected"), [("JWT", {"typ": "JWT"}), ("", {})])
def test_the_type_of_the_header_can_be_chosen(typ: str, expected: dict[str, str]) -> None:
    assert of_key(key_settings(assertion_typ=typ)).header == {**expected, "alg": "ES256"}


@pytest.mark.statement(28)
def test_each_attempt_has_an_id_of_its_own() -> None:
    """And so has each assertion of one request: a server takes an id once."""
    ids = [
        id_of(make(key_settings(), attempt(unique_id=name)))
        for make in (client_assertion, grant_assertion)
        for name in ("a", "b", "c")
    ]
    assert len(set(ids)) == 6


def id_of(assertion: str) -> Any:
    return verified(assertion, joserfc_jwk.import_key(jwk(made_key("P-256")))).claims["jti"]


@pytest.mark.statement(29)
@pytest.mark.parametrize("make", [of_key, of_grant])
def test_the_header_names_key_and_certificate_where_they_are_given(make: Any) -> None:
    chain = certificate(made_key("P-256")) + certificate(made_key("P-384"))
    pair = KeyPair(pem(made_key("P-256")), chain)
    header = make(key_settings(key_id="made-up-kid", signing_key=pair)).header
    assert header["kid"] == "made-up-kid"
    assert header["x5t#S256"] == certificate_thumbprint(certificate_of(chain))
    assert not {"kid", "x5t#S256"} & set(make(key_settings()).header)


def certificate_of(chain: str) -> str:
    return chain.partition("-----END")[0] + "-----END CERTIFICATE-----\n"


@pytest.mark.statement(29)
def test_a_secret_names_its_key_id_and_nothing_of_a_key_beside_it() -> None:
    pair = KeyPair(pem(made_key("P-256")), certificate(made_key("P-256")))
    for beside, named in ((None, {"kid": "made-up-kid"}), (pair, {})):
        settings = secret_settings(key_id="made-up-kid", signing_key=beside)
        token = joserfc_jwt.decode(client_assertion(settings, attempt()), joserfc_jwk.OctKey.import_key(SECRET))
        assert token.header == {"typ": "client-authentication+jwt", "alg": "HS256", **named}


def test_the_platforms_assertion_is_sent_as_it_is() -> None:
    settings = client_settings(auth_method="workload_identity", client_secret="")
    assert client_assertion(settings, attempt(assertion="the.platforms.own")) == "the.platforms.own"
    with pytest.raises(SettingsError, match="assertion_file or assertion_env"):
        client_assertion(settings, attempt(assertion=None))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (key_settings(signing_key=None), "private_key_jwt needs a key to sign with: private_key or key_file"),
        (
            key_settings(signing_algorithm="RS256"),
            "signing_algorithm: RS256 does not go with a key of kind P-256, which signs by ES256",
        ),
        (secret_settings(signing_algorithm="RS256"), "is one of HS256, HS384, HS512"),
        (secret_settings(client_secret=""), "needs the client secret, in the connection's password"),
    ],
)
def test_what_cannot_sign_is_said_without_any_secret(settings: ClientSettings, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        client_assertion(settings, attempt())
    shown = everything_in(caught.value)
    assert [secret for secret in settings.secrets() if secret in shown or secret.splitlines()[-2:][0] in shown] == []


# The grant's assertion ----------------------------------------------------------------------------------------------


def test_a_grants_assertion_goes_to_the_token_endpoint_for_its_subject() -> None:
    token = of_grant(key_settings(grant=JWT_BEARER, auth_method="none", subject="made-up user", issuer=ISSUER))
    assert token.header == {"typ": "JWT", "alg": "ES256"}
    assert token.claims == {
        "iss": CLIENT_ID,
        "sub": "made-up user",
        "aud": TOKEN_URL,
        "iat": 1_800_000_000,
        "nbf": 1_799_999_990,
        "exp": 1_800_000_060,
        "jti": "made-up-id-grant",
    }
    assert of_grant(key_settings()).claims["sub"] == CLIENT_ID


@pytest.mark.statement(27)
@pytest.mark.parametrize(
    ("named", "expected"), [("issuer", ISSUER), ("endpoint", TOKEN_URL), ("made-up.example.com", "made-up.example.com")]
)
def test_a_grants_audience_is_its_own(named: str, expected: str) -> None:
    assert of_grant(key_settings(issuer=ISSUER, assertion_audience=named)).claims["aud"] == expected


def test_a_grants_assertion_holds_further_claims() -> None:
    token = of_grant(key_settings(assertion_claims='{"scope": "signature impersonation", "made_up": {"level": 1}}'))
    assert token.claims["scope"] == "signature impersonation"
    assert token.claims["made_up"] == {"level": 1}
    assert token.claims["iss"] == CLIENT_ID
    assert "scope" not in of_key(key_settings(assertion_claims='{"scope": "signature"}')).claims


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "exp", "iat", "nbf", "jti"])
def test_no_further_claim_replaces_one_that_is_made(claim: str) -> None:
    with pytest.raises(SettingsError, match=f"assertion_claims cannot set {claim}: "):
        grant_assertion(key_settings(assertion_claims=json.dumps({claim: "made-up", "other": 1})), attempt())


@pytest.mark.parametrize("text", ["[]", "made-up", "1", '{"a": NaN}', '{"a": 1', '{"a":' * 20_000])
def test_further_claims_that_are_no_json_object_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="assertion_claims is not a JSON object") as caught:
        further_claims(text)
    assert caught.value.__context__ is None
    assert further_claims(None) == further_claims("") == further_claims("{}") == {}


def test_a_grant_without_a_key_sends_the_platforms_assertion() -> None:
    settings = client_settings(grant=JWT_BEARER, auth_method="none")
    assert grant_assertion(settings, attempt(assertion="the.platforms.own")) == "the.platforms.own"
    with pytest.raises(SettingsError, match="assertion_file or assertion_env, or a key"):
        grant_assertion(settings, attempt(assertion=None))


# What an assertion says ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("audience", ["api://made-up", ["api://made-up", "another"]])
def test_an_assertions_issuer_subject_and_audience_are_read(audience: Any) -> None:
    claims = {"iss": "https://made-up.example.com", "sub": "system:serviceaccount:made:up", "aud": audience}
    assert claims_of(sign({}, {**claims, "exp": 1}, key=SECRET, algorithm="HS256")) == claims
    assert claims_of(sign({}, {"exp": 1}, key=SECRET, algorithm="HS256")) == {}


@pytest.mark.parametrize(
    "text", ["", "opaque", "a.b", "a.b.c", "..", "a.W10.c", "a.☃.c", "a.e30=.c.d", "a.gIA.c", "a.\ud800.c"]
)
def test_what_is_no_jwt_says_nothing(text: str) -> None:
    assert claims_of(text) == {}
