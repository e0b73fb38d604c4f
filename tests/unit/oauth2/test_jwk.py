from __future__ import annotations

import itertools
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwk as joserfc_jwk

from airflow_oauth_provider.oauth2.jwk import jwk_thumbprint, private_jwk, public_jwk
from airflow_oauth_provider.oauth2.keys import ALGORITHMS, key_thumbprint, load_key, read_private_key
from tests.support.keys import forms, jwk, made_key, pem

# RFC 7638 §3.1.
RFC_7638 = {
    "kty": "RSA",
    "n": (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3ok"
        "njhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu"
        "6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8a"
        "wapJzKnqDKgw"
    ),
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}
# RFC 8037, Appendix A.1 and A.3.
RFC_8037 = {
    "kty": "OKP",
    "crv": "Ed25519",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    assert jwk_thumbprint(RFC_7638) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_the_thumbprint_of_an_ed25519_key_is_that_of_rfc_8037() -> None:
    key = read_private_key(json.dumps(RFC_8037), passphrase=None, field="private_key").pem
    assert key_thumbprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("kind", sorted(ALGORITHMS))
def test_the_thumbprint_is_another_librarys_and_that_of_every_form(kind: str) -> None:
    key = made_key(kind)
    found = set()
    for _, text, passphrase in forms(key):
        read = read_private_key(text, passphrase=passphrase, field="private_key").pem
        found.add(key_thumbprint(read))
    assert found == {joserfc_jwk.import_key(jwk(key)).thumbprint()}


@pytest.mark.statement(39)
@pytest.mark.parametrize("kind", sorted(ALGORITHMS))
def test_a_public_jwk_holds_no_private_member_and_is_another_librarys(kind: str) -> None:
    key = load_key(pem(made_key(kind)))
    members = public_jwk(key)
    assert members == {name: value for name, value in jwk(key).items() if name in members}
    assert set(members) in ({"kty", "n", "e"}, {"kty", "crv", "x", "y"}, {"kty", "crv", "x"})
    private = private_jwk(key)
    assert set(private) - set(members) >= {"d"}
    assert private["d"] == jwk(key)["d"]


def test_numbers_keep_their_leading_zeros() -> None:
    # RFC 7518 §6.2.1.2: a coordinate has the curve's whole length; one in 256 begins with a zero.
    keys = (ec.derive_private_key(number, ec.SECP256R1()) for number in itertools.count(1))
    key = next(key for key in keys if key.public_key().public_numbers().x < 1 << 248)
    assert {name: len(private_jwk(key)[name]) for name in ("x", "y", "d")} == {"x": 43, "y": 43, "d": 43}
    read = read_private_key(json.dumps(private_jwk(key)), passphrase=None, field="private_key").pem
    assert read == pem(key)
