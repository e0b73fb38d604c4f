from __future__ import annotations

import base64
import copy
import json
import pickle
import time
from collections.abc import Callable
from typing import Any

import pytest
from requests_oauth2client.dpop import validate_dpop_proof

from airflow_oauth_provider.exceptions import SettingsError, TokenExposureError
from airflow_oauth_provider.oauth2.dpop import ProofKey, target_uri, token_hash
from airflow_oauth_provider.oauth2.jwk import jwk_thumbprint
from tests.support.dpop_api import ALGORITHMS, BadProofError, ProofChecker
from tests.support.made_up import access_token

# RFC 9449: figures 2 and 3, figure 7 (which holds a hash of its token), and §6.1.
RFC_PROOF = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo"
    "RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJq"
    "dGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0Ijox"
    "NTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
)
RFC_API_PROOF = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo"
    "RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJq"
    "dGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNv"
    "dXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRq"
    "zhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
)
RFC_TOKEN = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
RFC_HASH = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
RFC_THUMBPRINT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

URL = "https://api.example.com/v1/orders"


@pytest.fixture(scope="module")
def key() -> ProofKey:
    return ProofKey.generate("ES256")


def header_and_claims(proof: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, claims = (json.loads(base64.urlsafe_b64decode(f"{part}==")) for part in proof.split(".")[:2])
    return header, claims


def proof_of(key: ProofKey, method: str = "GET", url: str = URL, **claims: Any) -> str:
    return key.proof(method, url, **{"now": time.time(), "unique_id": "made-up-id", **claims})


# Vectors --------------------------------------------------------------------------------------------------------------


@pytest.mark.statement(39)
@pytest.mark.statement(40)
def test_proofs_have_the_members_of_those_in_the_rfc_and_no_other(key: ProofKey) -> None:
    for example, ours in ((RFC_PROOF, proof_of(key)), (RFC_API_PROOF, proof_of(key, access_token=RFC_TOKEN))):
        (header, claims), (our_header, our_claims) = header_and_claims(example), header_and_claims(ours)
        assert set(our_header) == set(header)
        assert set(our_header["jwk"]) == set(header["jwk"])
        assert {**our_header, "jwk": None} == {**header, "jwk": None}
        assert {name: type(value) for name, value in our_claims.items()} == {
            name: type(value) for name, value in claims.items()
        }


@pytest.mark.statement(41)
def test_the_hash_of_the_token_is_the_one_of_the_rfc(key: ProofKey) -> None:
    assert token_hash(RFC_TOKEN) == RFC_HASH == header_and_claims(RFC_API_PROOF)[1]["ath"]
    assert header_and_claims(proof_of(key, access_token=RFC_TOKEN))[1]["ath"] == RFC_HASH


def test_the_thumbprint_of_the_key_is_the_one_of_the_rfc(key: ProofKey) -> None:
    assert jwk_thumbprint(header_and_claims(RFC_PROOF)[0]["jwk"]) == RFC_THUMBPRINT
    assert key.thumbprint == jwk_thumbprint(header_and_claims(proof_of(key))[0]["jwk"])


def test_what_checks_proofs_in_these_tests_takes_those_of_the_rfc_once() -> None:
    checker = ProofChecker()
    checker.check(RFC_PROOF, "POST", "https://server.example.com/token", now=1562262616)
    resource = "https://resource.example.org/protectedresource"
    assert checker.check(RFC_API_PROOF, "GET", resource, now=1562262618, token=RFC_TOKEN)["jkt"] == RFC_THUMBPRINT
    with pytest.raises(BadProofError, match="jti"):
        checker.check(RFC_API_PROOF, "GET", resource, now=1562262618, token=RFC_TOKEN)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"method": "PUT"}, "htm"),
        ({"url": "https://resource.example.org/another"}, "htu"),
        ({"now": 1562262718}, "iat"),
        ({"token": "another"}, "ath"),
        ({"proof": RFC_API_PROOF[:-3] + "AAA"}, "signature"),
        ({"proof": RFC_PROOF.split(".", maxsplit=1)[0]}, "form"),
        ({"proof": ""}, "form"),
    ],
)
def test_what_checks_proofs_in_these_tests_refuses_others(changes: dict[str, Any], why: str) -> None:
    known = {
        "proof": RFC_API_PROOF,
        "method": "GET",
        "url": "https://resource.example.org/protectedresource",
        "now": 1562262618,
        "token": RFC_TOKEN,
    }
    with pytest.raises(BadProofError, match=why):
        ProofChecker().check(**{**known, **changes})


# Proofs ---------------------------------------------------------------------------------------------------------------


@pytest.mark.statement(39)
@pytest.mark.statement(40)
@pytest.mark.statement(41)
@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name not in ("RS384", "RS512", "PS384", "PS512")])
def test_proofs_of_every_algorithm_pass_two_other_implementations(algorithm: str) -> None:
    key = ProofKey.generate(algorithm)
    proof = key.proof("POST", f"{URL}?page=2#x", now=time.time(), unique_id="a", nonce="b", access_token=RFC_TOKEN)

    claims = ProofChecker().check(proof, "POST", URL, now=time.time(), token=RFC_TOKEN)

    assert (claims["jti"], claims["nonce"], claims["jkt"]) == ("a", "b", key.thumbprint)
    if algorithm != "Ed25519":  # a name that is too new for it
        checked = validate_dpop_proof(proof, htm="POST", htu=URL, ath=RFC_HASH, nonce="b", algs=[algorithm])
        assert checked.headers["jwk"].keys() == key.public_jwk.keys()


@pytest.mark.statement(39)
@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
def test_no_private_member_of_the_key_stands_in_a_proof(algorithm: str) -> None:
    key = ProofKey.generate(algorithm)
    header, _ = header_and_claims(proof_of(key))
    assert header["jwk"] == key.public_jwk
    assert not {"d", "p", "q", "dp", "dq", "qi", "key_ops", "alg"} & set(header["jwk"])
    assert header["alg"] == algorithm


@pytest.mark.statement(40)
@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://api.example.com/v1/orders?page=2&x=?#top", "https://api.example.com/v1/orders"),
        ("https://api.example.com/v1/orders#top?x", "https://api.example.com/v1/orders"),
        ("https://api.example.com", "https://api.example.com/"),
        ("https://api.example.com?a=b", "https://api.example.com/"),
        ("HTTPS://API.Example.COM/V1/Orders", "https://api.example.com/V1/Orders"),
        ("https://api.example.com:443/a", "https://api.example.com/a"),
        ("http://127.0.0.1:80/a", "http://127.0.0.1/a"),
        ("https://api.example.com:/a", "https://api.example.com/a"),
        ("https://api.example.com:80/a", "https://api.example.com:80/a"),
        ("http://api.example.com:443/a", "http://api.example.com:443/a"),
        ("https://api.example.com:8443/a/", "https://api.example.com:8443/a/"),
        ("https://[::1]:443/a", "https://[::1]/a"),
        ("https://[::443]/a", "https://[::443]/a"),
        ("https://api.example.com/a%20b/%C3%A9;v=1", "https://api.example.com/a%20b/%C3%A9;v=1"),
        ("https://api.example.com/a//b/../c", "https://api.example.com/a//b/../c"),
    ],
)
def test_the_target_is_the_url_without_query_and_fragment(key: ProofKey, url: str, target: str) -> None:
    assert target_uri(url) == target
    assert header_and_claims(proof_of(key, url=url))[1]["htu"] == target


@pytest.mark.statement(40)
def test_the_method_id_and_time_are_those_of_the_request(key: ProofKey) -> None:
    _, claims = header_and_claims(key.proof("PATCH", URL, now=1_790_000_000.9, unique_id="one"))
    assert claims == {"jti": "one", "htm": "PATCH", "htu": URL, "iat": 1_790_000_000}


@pytest.mark.statement(43)
def test_a_nonce_stands_in_the_proof_as_it_came(key: ProofKey) -> None:
    nonce = "eyJ7S_zG.eyJH0-Z.HX4w-7v,/+=~!#"
    assert header_and_claims(proof_of(key, nonce=nonce))[1]["nonce"] == nonce
    assert "nonce" not in header_and_claims(proof_of(key))[1]


# The key --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "EdDSA", "Ed25519", "RS256", "PS384"])
def test_a_key_comes_back_from_the_store_as_it_was(algorithm: str) -> None:
    key = ProofKey.generate(algorithm)

    again = ProofKey.from_jwk(json.loads(json.dumps(key.private_jwk())))

    assert again == key
    assert hash(again) == hash(key)
    assert (again.algorithm, again.thumbprint) == (algorithm, key.thumbprint)
    ProofChecker().check(proof_of(again), "GET", URL, now=time.time())


def test_keys_whose_numbers_begin_with_zeros_come_back_too() -> None:
    keys = [ProofKey.generate("ES256") for _ in range(400)]
    assert [ProofKey.from_jwk(key.private_jwk()) for key in keys] == keys


@pytest.mark.parametrize(
    "damage",
    [
        lambda jwk: {},
        lambda jwk: {**jwk, "d": "AAAA"},
        lambda jwk: {**jwk, "d": 5},
        lambda jwk: {**jwk, "crv": "P-384"},
        lambda jwk: {**jwk, "kty": "oct"},
        lambda jwk: {**jwk, "alg": "RS256"},
        lambda jwk: {**jwk, "alg": ["ES256"]},
        lambda jwk: {name: value for name, value in jwk.items() if name != "d"},
        lambda jwk: [jwk],
        lambda jwk: "text",
        lambda jwk: None,
    ],
)
def test_what_is_no_key_is_a_value_error_that_shows_nothing_of_it(
    key: ProofKey, damage: Callable[[dict[str, Any]], Any]
) -> None:
    with pytest.raises(ValueError, match="cannot be read") as caught:
        ProofKey.from_jwk(damage(key.private_jwk()))
    assert key.private_jwk()["d"] not in repr(caught.value.__context__) + str(caught.value)


@pytest.mark.parametrize("algorithm", ["", "HS256", "none", "ES256K", "RS1", "es256", "x" * 1000])
def test_an_algorithm_without_a_key_is_a_setting_that_is_wrong(algorithm: str) -> None:
    with pytest.raises(SettingsError, match="dpop_algorithm") as caught:
        ProofKey.generate(algorithm)
    assert len(str(caught.value)) < 200


def test_every_key_is_another_one() -> None:
    assert len({ProofKey.generate("ES256").thumbprint for _ in range(20)}) == 20


def test_the_repr_shows_six_characters_of_the_thumbprint(key: ProofKey) -> None:
    assert repr(key) == f"ProofKey(algorithm='ES256', thumbprint={key.thumbprint[:6]}…)"
    token = access_token(token_type="DPoP", proof_key=key)
    assert repr(token).endswith(f"fingerprint={token.fingerprint}, bound to {key!r})")
    assert key.private_jwk()["d"] not in repr(token) + f"{key}"
    assert "PRIVATE" not in repr(token) + f"{key}"


@pytest.mark.parametrize(
    "leak", [pickle.dumps, copy.deepcopy, lambda key: key.serialize(), lambda key: pickle.dumps({"key": [key]})]
)
def test_a_key_does_not_leave_its_process(key: ProofKey, leak: Callable[[Any], Any]) -> None:
    with pytest.raises(TokenExposureError):
        leak(key)


def test_a_bound_token_is_another_one_than_the_same_text_without_a_key(key: ProofKey) -> None:
    known: dict[str, Any] = {"token_type": "DPoP", "scope": None, "issued_at": 1.0, "expires_at": 2.0}
    bound = access_token("a", **known, proof_key=key)
    assert bound == access_token("a", **known, proof_key=ProofKey.from_jwk(key.private_jwk()))
    assert bound != access_token("a", **known)
    assert bound != access_token("a", **known, proof_key=ProofKey.generate("ES256"))
    assert hash(bound) == hash(access_token("a", **known, proof_key=key))


@pytest.mark.statement(46)
def test_the_scheme_is_dpop_for_a_bound_token_alone(key: ProofKey) -> None:
    assert access_token(token_type="DPoP", proof_key=key).scheme == "DPoP"
    assert access_token(token_type="bearer").scheme == "Bearer"
