from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.oauth2.keys import (
    ALGORITHMS,
    key_thumbprint,
    private_key_der,
    read_private_key,
    signing_algorithm,
)
from tests.support.keys import PASSPHRASE, TRADITIONAL, certificate, der, everything_in, forms, jwk, made_key, pem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DISTORTIONS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "blanks for newlines": lambda text: text.replace("\n", " "),
    "newlines gone": lambda text: text.replace("\n", ""),
    "newlines written out": lambda text: text.replace("\n", "\\n"),
    "newlines written out twice": lambda text: text.replace("\n", "\\\\n"),
    "Windows' newlines": lambda text: text.replace("\n", "\r\n"),
    "Windows' newlines written out": lambda text: text.replace("\n", "\\r\\n"),
    "indented": lambda text: "\n\n" + "".join(f"    {line}\n" for line in text.splitlines()),
    "quoted": lambda text: f'"{text}"',
}
# DES-EDE3-CBC, as `openssl ec -des3` writes it; its IV is half as long as that of AES.
TRIPLE_DES = """\
-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: DES-EDE3-CBC,50A363947E2917AD

t9czSmjUFJPEk19Gub+6ca0ffv/7Jh0Y5emeVKoVZCZtNmcoybkZ82gw4xHx0m8L
9LsQX1oz5ksbjRi4BMsdJrWk8/TRQb3thRHnGZ2j0kbNsa5eBDXD+l2gT8E6raWA
Mv2Iq5Fkv005Kw/Fm1P6ZDkrc9GIG4LbKtQzOKtEvKY=
-----END EC PRIVATE KEY-----
"""


def read(text: str, passphrase: str | None = None, field: str = "private_key") -> tuple[bytes, str | None]:
    found, key_id, _ = read_private_key(text, passphrase=passphrase, field=field)
    return private_key_der(found), key_id


def refusal(text: str, passphrase: str | None = None, field: str = "private_key") -> str:
    with pytest.raises(SettingsError) as caught:
        read_private_key(text, passphrase=passphrase, field=field)
    assert field in str(caught.value)
    return str(caught.value)


@pytest.mark.statement(30)
@pytest.mark.parametrize("kind", sorted(ALGORITHMS))
def test_a_key_is_the_same_in_every_form(kind: str) -> None:
    key = made_key(kind)
    read_keys = {name: read(text, passphrase)[0] for name, text, passphrase in forms(key)}
    assert read_keys == dict.fromkeys(read_keys, der(key))
    assert len(read_keys) == (4 if kind == "Ed25519" else 6)


@pytest.mark.statement(30)
@pytest.mark.parametrize("distortion", sorted(DISTORTIONS))
@pytest.mark.parametrize("kind", ["RSA", "P-256", "Ed25519"])
def test_a_pem_is_read_whatever_became_of_its_newlines(kind: str, distortion: str) -> None:
    key, distort = made_key(kind), DISTORTIONS[distortion]
    pems = [(text, passphrase) for _, text, passphrase in forms(key) if text.startswith("-----")]
    assert {read(distort(text), passphrase)[0] for text, passphrase in pems} == {der(key)}


@pytest.mark.parametrize("distortion", sorted(DISTORTIONS))
def test_a_pem_of_triple_des_is_read_whatever_became_of_its_newlines(distortion: str) -> None:
    found, _ = read(DISTORTIONS[distortion](TRIPLE_DES), "made-up")
    assert found == read(TRIPLE_DES, "made-up")[0]


def test_what_openssl_puts_around_a_key_is_passed_over() -> None:
    key = made_key("P-256")
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    attributes = "Bag Attributes\n    friendlyName: made-up\nKey Attributes: <No Attributes>\n"
    for around in (parameters, attributes, certificate(key)):
        assert read(around + pem(key, TRADITIONAL))[0] == der(key)


def test_a_key_inside_of_a_vendors_json_file_is_found() -> None:
    key = made_key("RSA")
    assert read(json.dumps({"type": "service_account", "private_key": pem(key)}))[0] == der(key)


@pytest.mark.statement(29)
def test_a_jwk_names_its_key_id() -> None:
    key = made_key("P-256")
    for text in (json.dumps(jwk(key, kid="made-up-kid")), json.dumps({"keys": [jwk(key, kid="made-up-kid")]})):
        assert read(text)[1] == "made-up-kid"
    assert read(json.dumps({name: value for name, value in jwk(key).items() if name != "kid"}))[1] is None
    assert read(pem(key))[1] is None


def test_an_rsa_jwk_needs_no_primes() -> None:
    key = made_key("RSA")
    members = {name: value for name, value in jwk(key).items() if name in ("kty", "n", "e", "d")}
    found = read_private_key(json.dumps(members), passphrase=None, field="signing_algorithm").pem
    assert key_thumbprint(found) == key_thumbprint(pem(key))


@pytest.mark.parametrize("field", ["private_key", "tls_private_key", "tls_key_file", "key_file"])
def test_a_passphrase_that_is_missing_wrong_or_too_much_is_said_by_its_fields_name(field: str) -> None:
    key = made_key("P-256")
    needed = f"{'tls_' if field.startswith('tls_') else ''}private_key_passphrase"
    for form in (pem(key, passphrase=PASSPHRASE), pem(key, TRADITIONAL, PASSPHRASE)):
        assert f"is encrypted, and {needed} is empty" in refusal(form, field=field)
        assert f"is encrypted, and {needed} is empty" in refusal(form, "", field=field)
        assert f"cannot be decrypted: {needed} is wrong" in refusal(form, "another", field=field)
    for form in (pem(key), pem(key, TRADITIONAL), json.dumps(jwk(key))):
        assert f"is not encrypted: {needed} must be empty" in refusal(form, PASSPHRASE, field=field)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "neither a private key as PEM nor one JWK"),
        ("/etc/keys/client.pem", "neither a private key as PEM nor one JWK"),
        ("[1]", "neither a private key as PEM nor one JWK"),
        ('{"keys": []}', "neither a private key as PEM nor one JWK"),
        ('{"keys": "made-up"}', "neither a private key as PEM nor one JWK"),
        ("[" * 60_000, "neither a private key as PEM nor one JWK"),
        ("x" * 65_537, "more than 64 KiB"),
        ('{"kty": "RSA", "n": "%s", "e": "AQAB", "d": "AQAB"}' % ("A" * 3000), "do not make a key"),
        ('{"kty": "EC", "use": "enc", "d": "AQAB"}', "is not for signing"),
        ('{"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "%s"}' % ("A" * 3000), "do not make a key"),
        ('{"kty": "RSA", "n": "AQAB", "e": "%s", "d": "AQAB"}' % ("A" * 3000), "do not make a key"),
        ('{"kty": "EC", "key_ops": ["verify"], "d": "AQAB"}', "is not for signing"),
        ('{"kty": "EC", "key_ops": 5, "d": "AQAB"}', "is not for signing"),
        ('{"kty": "EC", "key_ops": "sign", "d": "AQAB"}', "is not for signing"),
        ('{"kty": "oct", "k": "bWFkZS11cA"}', "no asymmetric key"),
        ('{"kty": ["RSA"]}', "no asymmetric key"),
        ('{"kty": "RSA", "n": "AQAB", "e": "AQAB"}', "a public key"),
        ('{"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": null}', "do not make a key"),
        ('{"kty": "EC", "crv": "P-256", "d": "AQAB"}', "do not make a key"),
        ("-----BEGIN PUBLIC KEY-----\nAQAB\n-----END PUBLIC KEY-----", "a PEM, but no private key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAQAB\n-----END OPENSSH PRIVATE KEY-----", "ssh-keygen -p -m PKCS8"),
        ("-----BEGIN PRIVATE KEY-----\nAQAB\n-----END PRIVATE KEY-----", "damaged"),
    ],
)
def test_what_is_no_private_key_is_said(text: str, said: str) -> None:
    assert said in refusal(text)


def test_more_than_one_key_is_refused() -> None:
    assert "more than one private key" in refusal(pem(made_key("P-256")) + pem(made_key("P-384")))
    assert "nor one JWK" in refusal(json.dumps({"keys": [jwk(made_key("P-256")), jwk(made_key("P-384"))]}))


def test_a_jwk_whose_halves_belong_to_two_keys_is_refused() -> None:
    first, second = jwk(made_key("P-256")), jwk(made_key("P-256", 1))
    assert "do not make a key" in refusal(json.dumps({**first, "d": second["d"]}))


@pytest.mark.statement(30)
@pytest.mark.filterwarnings("ignore:Key size should be:joserfc.errors.SecurityWarning")  # which writes the JWK
@pytest.mark.parametrize("kind", ["RSA of 1024 bits", "secp256k1", "Ed448", "X25519"])
def test_a_key_that_is_too_short_or_of_another_kind_is_refused(kind: str) -> None:
    key = made_key(kind)
    assert "RSA of 2048 bits and more, P-256, P-384, P-521 or Ed25519 is needed" in refusal(pem(key))
    said = refusal(json.dumps(jwk(key)))
    assert ("do not make a key" if kind == "X25519" else "RSA of 2048 bits and more") in said


@pytest.mark.statement(30)
@pytest.mark.parametrize(
    ("kind", "usual"),
    [("RSA", "RS256"), ("P-256", "ES256"), ("P-384", "ES384"), ("P-521", "ES512"), ("Ed25519", "EdDSA")],
)
def test_a_key_signs_by_the_usual_algorithm_of_its_kind_or_by_the_one_that_is_asked_for(kind: str, usual: str) -> None:
    key = pem(made_key(kind))
    assert signing_algorithm(key, None, field="signing_algorithm") == usual
    for wanted in sum(ALGORITHMS.values(), ("HS256", "none", "ES256K", "made-up")):
        if wanted in ALGORITHMS[kind]:
            assert signing_algorithm(key, wanted, field="signing_algorithm") == wanted
        else:
            with pytest.raises(
                SettingsError, match=f"signing_algorithm: {wanted} does not go with a key of kind {kind}"
            ):
                signing_algorithm(key, wanted, field="signing_algorithm")


def test_a_short_key_signs_by_no_algorithm() -> None:
    with pytest.raises(SettingsError, match="RSA of 2048 bits and more"):
        signing_algorithm(pem(made_key("RSA of 1024 bits")), "RS256", field="signing_algorithm")


# What an error gives away -------------------------------------------------------------------------------------------


def damaged(text: str) -> list[str]:
    middle = len(text) // 2
    return [
        text[:middle],
        text[:middle] + text[middle + 8 :],
        text[:middle] + "!\ud800" + text[middle:],
        text.replace("-----END", "----END"),
        text.replace('"kty"', '"kyt"').replace("BEGIN", "BEGIN MADE UP"),
        text.replace("}", "", 1).replace("-----BEGIN", "----BEGIN"),
    ]


def errors_of(text: str, passphrases: set[str | None]) -> Iterator[tuple[str | None, SettingsError]]:
    for passphrase in passphrases:
        for tried in (text, *damaged(text)):
            try:
                read_private_key(tried, passphrase=passphrase, field="private_key")
            except SettingsError as error:
                yield passphrase, error


@pytest.mark.parametrize("kind", ["RSA", "P-256", "Ed25519"])
def test_no_error_holds_a_part_of_a_key_or_its_passphrase(kind: str) -> None:
    for _, text, passphrase in forms(made_key(kind)):
        secrets = re.findall(r"[A-Za-z0-9+/_-]{12,}", text.partition("-----\n")[2] or text)
        errors = list(errors_of(text, {passphrase, "a wrong one", "\ud800 no text", None}))
        assert len(errors) >= 10
        for given, error in errors:
            shown = everything_in(error)
            assert [secret for secret in secrets if secret[:12] in shown or secret[-12:] in shown] == []
            assert given is None or given not in shown
            assert error.__context__ is None
