"""Keys and certificates by all the ways in which a connection holds them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.oauth2.settings import KeyPair
from tests.support.connections import certificate_text, key_text, platform, read
from tests.support.keys import PASSPHRASE, everything_in, jwk, made_key
from tests.support.made_up import SECRET

CERTIFICATE = certificate_text()
# What single-line inputs, URIs and shells make of several lines.
MANGLED: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "in one line": lambda text: text.replace("\n", ""),
    "with blanks": lambda text: text.replace("\n", " "),
    "written out": lambda text: text.replace("\n", "\\n"),
    "from Windows": lambda text: text.replace("\n", "\r\n"),
}  # fmt: skip


def signing_key(extra: dict[str, Any], **more: Any) -> KeyPair:
    found = read({"auth_method": "private_key_jwt", **extra}, **more).client.signing_key
    assert found is not None
    return found


@pytest.mark.parametrize("how", sorted(MANGLED))
def test_a_pair_is_one_and_the_same_whatever_became_of_its_line_breaks(how: str) -> None:
    mangle = MANGLED[how]
    pair = signing_key({"private_key": mangle(key_text()), "certificate": mangle(CERTIFICATE)})
    assert pair == KeyPair(key_text(), CERTIFICATE)
    assert signing_key({"private_key": mangle(key_text())}) == KeyPair(key_text())


@pytest.mark.parametrize("written", [json.dumps, lambda members: members], ids=["text", "object"])
def test_a_jwk_may_be_text_or_an_object_and_its_name_of_the_key_counts_unless_another_is_set(written: Any) -> None:
    key = written(jwk(made_key("P-256", 0), kid="made-up-kid"))
    client = read({"auth_method": "private_key_jwt", "private_key": key}).client
    assert (client.signing_key, client.key_id) == (KeyPair(key_text()), "made-up-kid")
    assert read({"auth_method": "private_key_jwt", "private_key": key, "key_id": 17}).client.key_id == "17"


def test_a_jwk_that_names_its_algorithm_signs_by_that_and_by_no_other() -> None:
    key = jwk(made_key("RSA", 0), alg="PS256")
    extra = {"auth_method": "private_key_jwt", "private_key": key}
    assert read(extra).client.signing_algorithm == "PS256"
    assert read({**extra, "signing_algorithm": "RS512"}).client.signing_algorithm == "RS512"
    with pytest.raises(SettingsError, match="alg in the JWK: RSA-OAEP"):
        read({**extra, "private_key": {**key, "alg": "RSA-OAEP"}})


def test_half_a_character_in_a_jwk_is_an_error_of_its_field() -> None:
    key = json.dumps(jwk(made_key("P-256", 0), kid="\ud800"))
    with pytest.raises(SettingsError, match="kid in the JWK of private_key"):
        read({"auth_method": "private_key_jwt", "private_key": key})


@pytest.mark.parametrize("late", ["key", "crt"])
def test_a_pair_that_is_replaced_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    files = {name: tmp_path / f"client.{name}" for name in ("key", "crt")}
    new = {"key": key_text(1), "crt": certificate_text(1)}
    for name, path in files.items():
        path.write_text(key_text() if name == late == "key" else CERTIFICATE if name == late else new[name])
    extra = {"auth_method": "private_key_jwt", "key_file": str(files["key"]), "certificate_file": str(files["crt"])}
    pauses: list[float] = []

    def replaced_meanwhile(seconds: float) -> None:
        pauses.append(seconds)
        files[late].write_text(new[late])

    monkeypatch.setattr(time, "sleep", replaced_meanwhile)
    assert signing_key(extra, config=platform(tmp_path)) == KeyPair(new["key"], new["crt"])
    assert len(pauses) == 1
    assert pauses[0] > 0


WRITTEN_KEY, WRITTEN_JWK = key_text(), json.dumps(jwk(made_key("P-256", 0)))


@pytest.mark.parametrize(
    "extra",
    [
        {"headers": {"X-Key": WRITTEN_KEY}},
        {"extra_params": {"key": WRITTEN_KEY}},
        {"rar": [{"type": "a", "nested": [{"key": WRITTEN_KEY}]}]},
        {"key_id": WRITTEN_JWK},
        {"assertion_typ": WRITTEN_JWK},
        {"headers": {"X-Key": WRITTEN_JWK}},
        {"rar": [{"type": "a", "key": jwk(made_key("P-256", 0))}]},
        {"login": WRITTEN_KEY},
        {"login": WRITTEN_JWK},
    ],
    ids=lambda extra: next(iter(extra)),
)
def test_a_private_key_deeper_in_a_field_or_as_a_jwk_is_refused_and_not_shown(extra: dict[str, Any]) -> None:
    standard = {"login": extra["login"]} if "login" in extra else {}
    with pytest.raises(SettingsError, match="holds a private key") as caught:
        read({} if standard else extra, **standard)
    for secret in (WRITTEN_KEY.splitlines()[1], jwk(made_key("P-256", 0))["d"]):
        assert secret not in everything_in(caught.value)


@pytest.mark.parametrize("passphrase", [PASSPHRASE, " blanks around ", "1234"])
def test_an_encrypted_key_is_read_by_its_passphrase_exactly_as_it_was_written(passphrase: str) -> None:
    encrypted = key_text(passphrase=passphrase)
    for prefix in ("", "tls_"):
        fields = {f"{prefix}private_key": encrypted, f"{prefix}private_key_passphrase": passphrase}
        settings = read({**fields, f"{prefix}certificate": CERTIFICATE})
        assert settings.client.transport.client_certificate == KeyPair(key_text(), CERTIFICATE)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"private_key": key_text(passphrase=PASSPHRASE)}, "encrypted, and private_key_passphrase"),
        ({"private_key": key_text(passphrase=PASSPHRASE), "private_key_passphrase": "made-up-wrong"}, "is wrong"),
        ({"private_key": key_text(), "private_key_passphrase": "made-up-wrong"}, "private_key_passphrase must be"),
        ({"private_key": "made-up-wrong"}, "private_key holds neither"),
        ({"private_key": key_text()[:90]}, "private_key"),
        ({"private_key": key_text(kind="secp256k1")}, "private_key"),
        ({"private_key": ["a"]}, "private_key is a list"),
        ({"private_key": key_text(), "certificate": "made-up-wrong"}, "certificate holds no certificate"),
    ],
)
def test_a_key_that_cannot_be_read_is_an_error_without_a_part_of_it(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=named) as caught:
        signing_key(fields)
    shown = everything_in(caught.value)
    for secret in (
        SECRET,
        PASSPHRASE,
        "made-up-wrong",
        *(line for line in key_text().splitlines() if "---" not in line),
    ):
        assert secret not in shown


@pytest.mark.parametrize(
    "field", ["certificate", "key_file", "tls_certificate", "key_id", "signing_algorithm", "scope"]
)
def test_a_private_key_in_a_field_that_everybody_sees_is_refused_and_not_shown(field: str) -> None:
    combined = f"{CERTIFICATE}{key_text()}"
    for text in (combined, combined.replace("\n", " "), key_text(passphrase=PASSPHRASE)):
        with pytest.raises(SettingsError, match=f"{field} holds a private key.*private_key, which is masked") as caught:
            signing_key({"private_key": key_text(), field: text})
        assert key_text().splitlines()[1] not in everything_in(caught.value)


def test_a_passphrase_that_a_uri_may_have_changed_is_refused_without_showing_it() -> None:
    raw = json.dumps({"base_url": "https://api.example.com", "private_key": key_text()})[:-1]
    with pytest.raises(SettingsError, match=r"private_key_passphrase came as a number.*quotes") as caught:
        read(f'{raw}, "private_key_passphrase": 31415.5, "auth_method": "private_key_jwt"}}')
    assert "31415" not in everything_in(caught.value)


# Files --------------------------------------------------------------------------------------------------------------


def test_a_pair_may_lie_in_files_below_a_folder_that_the_platform_names(tmp_path: Path) -> None:
    (tmp_path / "client.key").write_text(key_text())
    (tmp_path / "client.pem").write_text(CERTIFICATE)
    (tmp_path / "both.pem").write_text(CERTIFICATE + key_text())
    files = {"key_file": str(tmp_path / "client.key"), "certificate_file": str(tmp_path / "client.pem")}
    both = dict.fromkeys(files, str(tmp_path / "both.pem"))
    for fields in (files, both, {"private_key": key_text(), "certificate_file": files["certificate_file"]}):
        assert signing_key(fields, config=platform(tmp_path)) == KeyPair(key_text(), CERTIFICATE)
    tls = {f"tls_{name}": path for name, path in files.items()}
    shown = read(tls, platform(tmp_path)).client.transport.client_certificate
    assert shown == KeyPair(key_text(), CERTIFICATE)


@pytest.mark.parametrize("field", ["key_file", "certificate_file", "tls_key_file", "tls_certificate_file"])
def test_a_file_is_read_only_where_the_platform_allows(field: str, tmp_path: Path) -> None:
    allowed, outside = tmp_path / "keys", tmp_path / "other.pem"
    allowed.mkdir()
    outside.write_text(key_text() + CERTIFICATE)
    (allowed / "link.pem").symlink_to(outside)
    prefix = "tls_" if field.startswith("tls_") else ""
    partner = f"{prefix}certificate" if "key" in field else f"{prefix}private_key"
    given = CERTIFICATE if "key" in field else key_text()
    for path in (outside, allowed / "link.pem", allowed / ".." / "other.pem"):
        for config in (platform(allowed), platform()):
            with pytest.raises(SettingsError, match=rf"{field}.*key_folders"):
                read({field: str(path), partner: given}, config)


def test_a_changed_file_counts_with_the_next_reading(tmp_path: Path) -> None:
    (tmp_path / "client.key").write_text(key_text())
    fields = {"key_file": str(tmp_path / "client.key")}
    assert signing_key(fields, config=platform(tmp_path)) == KeyPair(key_text())
    (tmp_path / "client.key").write_text(key_text(1))
    assert signing_key(fields, config=platform(tmp_path)) == KeyPair(key_text(1))


# What else is said of a key -----------------------------------------------------------------------------------------


@pytest.mark.statement(30)
@pytest.mark.parametrize(
    ("kind", "algorithms"),
    [
        ("RSA", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", None]),
        ("P-256", ["ES256", None]),
        ("P-384", ["ES384"]),
        ("P-521", ["ES512"]),
        ("Ed25519", ["EdDSA", "Ed25519", None]),
    ],
)
def test_every_algorithm_of_a_keys_kind_can_be_chosen(kind: str, algorithms: list[str | None]) -> None:
    for algorithm in algorithms:
        extra = {"private_key": key_text(kind=kind), "signing_algorithm": algorithm}
        assert read({"auth_method": "private_key_jwt", **extra}).client.signing_algorithm == algorithm


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512", None])
def test_a_secret_signs_by_every_algorithm_of_secrets(algorithm: str | None) -> None:
    client = read({"auth_method": "client_secret_jwt", "signing_algorithm": algorithm}).client
    assert (client.signing_algorithm, client.client_secret) == (algorithm, SECRET)


@pytest.mark.parametrize("field", ["secret_params", "secret_headers"])
@pytest.mark.parametrize("form", ["PEM", "JWK"])
def test_a_private_key_is_no_parameter_and_no_header(field: str, form: str) -> None:
    members = jwk(made_key("P-256"))
    value = key_text() if form == "PEM" else json.dumps(members)
    with pytest.raises(SettingsError, match=f"{field} holds a private key") as refused:
        read({field: {"made-up": value}})
    assert members["d"] not in str(refused.value)
    assert value[40:80] not in str(refused.value)


@pytest.mark.parametrize("field", ["secret_params", "secret_headers"])
@pytest.mark.parametrize("as_text", [True, False])
def test_a_jwk_is_no_set_of_parameters_or_headers(field: str, as_text: bool) -> None:
    members = jwk(made_key("P-256"))
    with pytest.raises(SettingsError, match=f"{field} holds a private key") as refused:
        read({field: json.dumps(members) if as_text else members})
    assert members["d"] not in str(refused.value)


@pytest.mark.parametrize("field", ["secret_params", "secret_headers", "headers", "extra_params"])
def test_a_key_is_no_name_of_one(field: str) -> None:
    with pytest.raises(SettingsError, match="holds a private key") as refused:
        read({field: {key_text(): "x"}})
    assert key_text()[30:60] not in str(refused.value)
