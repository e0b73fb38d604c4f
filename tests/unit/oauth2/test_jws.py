from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from joserfc import jwk as joserfc_jwk
from joserfc import jws as joserfc_jws
from joserfc import jwt as joserfc_jwt

from airflow_oauth_provider.oauth2.jws import SECRET_ALGORITHMS, sign, signature
from airflow_oauth_provider.oauth2.keys import ALGORITHMS, read_private_key
from tests.support.keys import jwk, made_key, pem
from tests.support.made_up import SECRET

# RFC 7515, Appendix A.1 to A.4: the key, what is signed, its signature.
JOE = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
A_1_KEY = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
A_1_SIGNED = f"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE}"
A_1_SIGNATURE = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
A_2_KEY = {
    "kty": "RSA",
    "n": (
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-"
        "pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2Ca"
        "pHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb5"
        "4h4FRWyuXpoQ"
    ),
    "e": "AQAB",
    "d": (
        "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-"
        "pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjud"
        "U2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1"
        "DhOVRuOopznQ"
    ),
}
A_2_SIGNED = f"eyJhbGciOiJSUzI1NiJ9.{JOE}"
A_2_SIGNATURE = (
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1d"
    "nZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwu"
    "sC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
)
A_3_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
}
A_3_SIGNED = f"eyJhbGciOiJFUzI1NiJ9.{JOE}"
A_4_KEY = {
    "kty": "EC",
    "crv": "P-521",
    "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
    "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
    "d": "AY5pb7A0UFiB3RELSD64fTLOSV_jazdF7fLYyuTw8lOfRhWg6Y6rUrPAxerEzgdRhajnu0ferB0d53vM9mE15j2C",
}
A_4_SIGNED = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA"
# RFC 8037, Appendix A.4.
ED25519_KEY = {
    "kty": "OKP",
    "crv": "Ed25519",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}
ED25519_SIGNED = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
ED25519_SIGNATURE = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
# RFC 7520 §4.4.
RFC_7520_KEY = "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"
RFC_7520_SIGNED = (
    "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZX"
    "NzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVld"
    "CwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4"
)
RFC_7520_SIGNATURE = "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0"

CLAIMS = {"iss": "made-up ☃ app", "aud": "https://login.example.com", "exp": 1_800_000_060, "nested": {"a": [1, None]}}
SECRET_MEMBERS = {"d", "p", "q", "dp", "dq", "qi"}
SIGNERS = [(kind, algorithm) for kind, algorithms in ALGORITHMS.items() for algorithm in algorithms]


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def as_pem(members: dict[str, Any]) -> str:
    return read_private_key(json.dumps(members), passphrase=None, field="private_key").pem


@pytest.mark.statement(30)
@pytest.mark.parametrize(
    ("key", "signed", "expected"),
    [
        pytest.param(decoded(A_1_KEY), A_1_SIGNED, A_1_SIGNATURE, id="RFC 7515 A.1"),
        pytest.param(as_pem(A_2_KEY), A_2_SIGNED, A_2_SIGNATURE, id="RFC 7515 A.2"),
        pytest.param(as_pem(ED25519_KEY), ED25519_SIGNED, ED25519_SIGNATURE, id="RFC 8037 A.4"),
        pytest.param(decoded(RFC_7520_KEY), RFC_7520_SIGNED, RFC_7520_SIGNATURE, id="RFC 7520 4.4"),
    ],
)
def test_a_signature_is_that_of_the_standards(key: str | bytes, signed: str, expected: str) -> None:
    algorithm = json.loads(decoded(signed.partition(".")[0]))["alg"]
    assert encoded(signature(signed.encode(), key=key, algorithm=algorithm)) == expected


@pytest.mark.statement(30)
@pytest.mark.parametrize(
    ("members", "signed", "length"),
    [
        pytest.param(A_3_KEY, A_3_SIGNED, 64, id="RFC 7515 A.3"),
        pytest.param(A_4_KEY, A_4_SIGNED, 132, id="RFC 7515 A.4"),
    ],
)
def test_a_signature_by_a_curve_verifies_with_the_key_of_the_standards(
    members: dict[str, Any], signed: str, length: int
) -> None:
    algorithm = json.loads(decoded(signed.partition(".")[0]))["alg"]
    made = signature(signed.encode(), key=as_pem(members), algorithm=algorithm)
    # RFC 7518 §3.4: both numbers in the curve's whole length, not DER.
    assert len(made) == length
    public = joserfc_jwk.import_key({name: value for name, value in members.items() if name != "d"})
    joserfc_jws.deserialize_compact(f"{signed}.{encoded(made)}", public, [algorithm])


@pytest.mark.statement(30)
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated:joserfc.errors.SecurityWarning")  # RFC 9864
@pytest.mark.parametrize(("kind", "algorithm"), SIGNERS)
def test_each_algorithm_is_verified_by_another_library(kind: str, algorithm: str) -> None:
    key = made_key(kind)
    signed = sign({"typ": "made-up+jwt", "kid": "made-up-kid"}, CLAIMS, key=pem(key), algorithm=algorithm)
    public = joserfc_jwk.import_key({name: value for name, value in jwk(key).items() if name not in SECRET_MEMBERS})
    token = joserfc_jwt.decode(signed, public, [algorithm])
    assert token.header == {"typ": "made-up+jwt", "kid": "made-up-kid", "alg": algorithm}
    assert token.claims == CLAIMS


@pytest.mark.statement(30)
@pytest.mark.parametrize("algorithm", SECRET_ALGORITHMS)
def test_each_algorithm_of_a_secret_is_verified_by_another_library(algorithm: str) -> None:
    signed = sign({"typ": "JWT"}, CLAIMS, key=SECRET, algorithm=algorithm)
    token = joserfc_jwt.decode(signed, joserfc_jwk.OctKey.import_key(SECRET), [algorithm])
    assert token.header == {"typ": "JWT", "alg": algorithm}
    assert token.claims == CLAIMS
    assert signed == sign({"typ": "JWT"}, CLAIMS, key=SECRET.encode(), algorithm=algorithm)


@pytest.mark.parametrize("secret", ["short", "-----BEGIN made up", "ssh-rsa made up", '{"kty": "oct"}', "ünï☃"])
def test_a_secret_signs_whatever_it_looks_like(secret: str) -> None:
    signed, _, made = sign({}, CLAIMS, key=secret, algorithm="HS256").rpartition(".")
    assert decoded(made) == signature(signed.encode(), key=secret.encode(), algorithm="HS256")


def test_the_header_names_the_algorithm_that_signed() -> None:
    signed = sign({"alg": "none"}, CLAIMS, key=SECRET, algorithm="HS256")
    assert json.loads(decoded(signed.partition(".")[0])) == {"alg": "HS256"}
