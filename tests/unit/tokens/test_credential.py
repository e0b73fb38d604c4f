"""Whose token may be shared with whom, where no secret says it; and what each client's entries are sealed by."""

from __future__ import annotations

import base64
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import AssertionUnavailableError
from airflow_oauth_provider.oauth2.keys import read_private_key
from airflow_oauth_provider.oauth2.settings import (
    AnswerDialect,
    AssertionSource,
    ClientSettings,
    KeyPair,
    Transport,
)
from airflow_oauth_provider.tokens.cache_key import CacheKeys, cache_keys
from airflow_oauth_provider.tokens.credential import credential_of
from airflow_oauth_provider.tokens.seal import seals_for
from tests.support.keys import certificate, jwk, made_key, pem
from tests.support.made_up import SECRET, client_settings

STORE_KEYS = ("made-up store key",)
NO_SECRET: dict[str, Any] = {"client_secret": "", "auth_method": "none"}
PAIR = KeyPair(pem(made_key("P-256")), certificate(made_key("P-256")))
OTHER_PAIR = KeyPair(pem(made_key("P-384")), certificate(made_key("P-384")))
SIGNING: dict[str, Any] = {"client_secret": "", "auth_method": "private_key_jwt", "signing_key": PAIR}

# For each field of a client a value that no other test gives it, and None where it may be shared all the same.
CHANGES: dict[str, dict[str, Any] | None] = {
    "token_endpoint": {"token_endpoint": "https://login.example.com/another"},
    "client_id": {"client_id": "another-app"},
    "client_secret": {"client_secret": SECRET + "x"},
    "auth_method": {"auth_method": "client_secret_post"},
    "basic_encoding": {"basic_encoding": "raw"},
    "signing_key": {"signing_key": OTHER_PAIR},
    "key_id": {"key_id": "k2"},
    "signing_algorithm": {"signing_algorithm": "HS512"},
    "assertion_audience": {"assertion_audience": "endpoint"},
    "assertion_typ": {"assertion_typ": "JWT"},
    "assertion_claims": {"assertion_claims": '{"a":1}'},
    "assertion_source": {"assertion_source": AssertionSource(variable="MADE_UP_ASSERTION")},
    "grant": {"grant": "urn:made-up:grant"},
    "subject": {"subject": "somebody"},
    "issuer": {"issuer": "https://issuer.example.com"},
    "discover": {"discover": True, "issuer": "https://login.example.com/oauth2/token"},
    "scope": {"scope": "another"},
    "audience": {"audience": "another"},
    "resources": {"resources": ("https://api.example.com/a",)},
    "authorization_details": {"authorization_details": '[{"type":"a"}]'},
    "dpop": {"dpop": "preferred"},
    "dpop_algorithm": {"dpop": "true", "dpop_algorithm": "EdDSA"},
    "extra_params": {"extra_params": (("tenant", "acme"),)},
    "secret_params": {"secret_params": (("pin", "1234"),)},
    "answer": {"answer": AnswerDialect(base_url_member="instance_url")},
    # Where a token is ended, and when it is replaced, is of no concern to whoever else uses it.
    "revocation_endpoint": None,
    "leeway_s": None,
    "transport": {"transport": Transport(client_certificate=PAIR)},
}


def keys(**changes: Any) -> CacheKeys:
    settings = client_settings(**changes)
    credential = credential_of(settings)
    return cache_keys(settings, credential, seals_for(settings, credential, STORE_KEYS)[0].fingerprint)


def jwt(**claims: Any) -> str:
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, claims, 0)
    )


@pytest.mark.statement(51)
def test_each_field_of_a_client_has_been_thought_of() -> None:
    assert {field.name for field in dataclasses.fields(ClientSettings)} == CHANGES.keys()


@pytest.mark.statement(51)
def test_whatever_a_client_says_it_never_shares_with_one_that_says_something_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MADE_UP_ASSERTION", jwt(sub="somebody"))
    changes = [change for change in CHANGES.values() if change is not None]
    assert len({keys(**change).request for change in [{}, *changes]}) == len(changes) + 1


@pytest.mark.statement(51)
@pytest.mark.parametrize("change", [{"revocation_endpoint": "https://login.example.com/revoke"}, {"leeway_s": 5.0}])
def test_what_does_not_concern_the_token_parts_nobody(change: dict[str, Any]) -> None:
    assert keys(**change) == keys()


@pytest.mark.statement(33)
def test_tokens_of_two_certificates_are_never_shared_even_of_one_key() -> None:
    renewed = KeyPair(PAIR.private_key, certificate(made_key("P-256"), days=99))
    bound = {"client_secret": "", "auth_method": "tls_client_auth"}
    first, second = (keys(**bound, transport=Transport(client_certificate=pair)) for pair in (PAIR, renewed))
    assert first.request != second.request


@pytest.mark.statement(55)
def test_a_client_whose_certificate_is_put_right_is_tried_at_once() -> None:
    renewed = KeyPair(PAIR.private_key, certificate(made_key("P-256"), days=99))
    pairs = (KeyPair(PAIR.private_key), PAIR, renewed)
    assert len({keys(**{**SIGNING, "signing_key": pair}).credential for pair in pairs}) == 3


@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-384", "P-521", "Ed25519"])
def test_a_key_as_pem_and_as_jwk_is_one_credential_and_opens_what_the_other_sealed(kind: str) -> None:
    key = made_key(kind)
    texts = (pem(key), json.dumps(jwk(key)))
    settings = [
        client_settings(**{**SIGNING, "signing_key": KeyPair(read_private_key(text, passphrase=None, field="k").pem)})
        for text in texts
    ]
    one, other = (seals_for(one, credential_of(one))[0] for one in settings)
    assert cache_keys(settings[0], credential_of(settings[0]), one.fingerprint) == cache_keys(
        settings[1], credential_of(settings[1]), other.fingerprint
    )
    assert other.open("token", "name", one.close("token", "name", b"made up")) == b"made up"


@pytest.mark.parametrize(
    ("change", "guessable"),
    [
        ({"client_secret": "short"}, True),
        ({"client_secret": "s" * 32}, False),
        (SIGNING, False),
        ({**NO_SECRET, "transport": Transport(client_certificate=PAIR)}, False),
        ({**NO_SECRET, "secret_params": (("subject_token", "x"),)}, True),
        ({**NO_SECRET, "secret_params": (("password", "made-up-" * 2), ("another_password", "made-up-" * 3))}, True),
        ({**NO_SECRET, "secret_params": (("subject_token", "made-up-" * 4),)}, False),
    ],
)
def test_what_lasts_seals_the_entries_and_a_short_text_is_stretched(change: dict[str, Any], guessable: bool) -> None:
    credential = credential_of(client_settings(**change))
    assert credential.material
    assert credential.guessable is guessable


def test_the_material_of_a_credential_is_not_shown() -> None:
    for change in ({}, SIGNING):
        credential = credential_of(client_settings(**change))
        assert repr(credential.material) not in repr(credential)
        assert SECRET not in repr(credential)


def test_without_anything_lasting_a_key_of_the_store_seals_or_nothing_does() -> None:
    settings = client_settings(**NO_SECRET)
    credential = credential_of(settings)
    assert credential.material == b""
    with pytest.raises(ValueError, match="nothing to make a key of"):
        seals_for(settings, credential)
    one, same, other = (seals_for(settings, credential, own_key=key)[0] for key in (b"k" * 32, b"k" * 32, b"o" * 32))
    sealed = one.close("token", "name", b"made up")
    assert same.open("token", "name", sealed) == b"made up"
    assert other.open("token", "name", sealed) is None
    assert seals_for(settings, credential, STORE_KEYS)[0].open("token", "name", sealed) is None


@pytest.mark.statement(31)
def test_an_assertion_that_is_renewed_is_the_same_identity_and_another_subject_is_another(tmp_path: Path) -> None:
    path = tmp_path / "assertion"
    source = AssertionSource(file=str(path), folders=(str(tmp_path),))

    def identity(assertion: str) -> str:
        path.write_text(assertion)
        return keys(client_secret="", auth_method="workload_identity", assertion_source=source).request

    base = {"iss": "https://cluster.example", "sub": "system:serviceaccount:airflow:worker", "aud": ["api"]}
    same = [identity(jwt(**base, iat=iat, exp=iat + 3600, jti=str(iat))) for iat in (1, 2)]
    others = [identity(jwt(**{**base, name: "another"})) for name in base]
    opaque = [identity(assertion) for assertion in ("made-up-opaque-1", "made-up-opaque-2")]
    assert len(set(same)) == 1
    assert len({*same, *others, *opaque}) == 6


@pytest.mark.statement(31)
def test_nobody_knows_whose_token_to_look_for_without_the_platforms_assertion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MADE_UP_ASSERTION", raising=False)
    settings = client_settings(**NO_SECRET, assertion_source=AssertionSource(variable="MADE_UP_ASSERTION"))
    with pytest.raises(AssertionUnavailableError):
        credential_of(settings)
