from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_oauth_provider.form import CONN_FIELDS, SECRET_FIELDS, UI_FIELD_BEHAVIOUR
from airflow_oauth_provider.oauth2.keys import ALGORITHMS

SECRETS_OF_THE_DESIGN = {
    "private_key", "private_key_passphrase", "tls_private_key", "tls_private_key_passphrase",
    "secret_params", "secret_headers", "proxies",
}  # fmt: skip
# In the order of the form.
FIELDS_OF_THE_DESIGN = {
    "base_url": "string", "base_url_from": "string",
    "scope": "string", "audience": "string", "resource": "string",
    "auth_method": "string",
    "private_key": "string", "key_file": "string", "private_key_passphrase": "string",
    "certificate": "string", "certificate_file": "string",
    "key_id": "string", "signing_algorithm": "string", "assertion_audience": "string", "assertion_typ": "string",
    "assertion_file": "string", "assertion_env": "string",
    "tls_private_key": "string", "tls_key_file": "string", "tls_private_key_passphrase": "string",
    "tls_certificate": "string", "tls_certificate_file": "string",
    "basic_encoding": "string",
    "grant_type": "string", "subject": "string", "assertion_claims": "object",
    "discover": "boolean", "issuer": "string", "dpop": "string", "dpop_algorithm": "string",
    "rar": "array", "extra_params": "object", "secret_params": "object", "revocation_url": "string",
    "default_scheme": "string", "type_aliases": "string", "answer_path": "string", "expires_in_unit": "string",
    "default_lifetime": "integer", "leeway": "integer",
    "test_endpoint": "string", "headers": "object", "secret_headers": "object", "allowed_hosts": "string",
    "timeout": "string", "verify": "string", "proxies": "object", "allow_http": "boolean",
}  # fmt: skip
CHOICES = {
    "auth_method": [
        "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt",
        "tls_client_auth", "self_signed_tls_client_auth", "workload_identity", "none",
    ],
    "basic_encoding": ["rfc6749", "raw"],
    "grant_type": ["client_credentials", "jwt_bearer", "token_exchange"],
    "dpop": ["true", "preferred"],
    "default_scheme": ["Bearer"],
    "expires_in_unit": ["s", "ms"],
}  # fmt: skip
LINES = {"private_key", "certificate", "tls_private_key", "tls_certificate"}


def schemas() -> dict[str, dict[str, Any]]:
    return {name: field["schema"] for name, field in CONN_FIELDS.items()}


def masker() -> Any:
    for name in ("airflow.sdk._shared.secrets_masker", "airflow.utils.log.secrets_masker"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise AssertionError("this Airflow has no masker")


def test_the_fields_are_those_of_the_design_in_their_order_with_one_canonical_type_each() -> None:
    kinds = {name: schema["type"] for name, schema in schemas().items()}
    assert list(kinds.items()) == [(name, [kind, "null"]) for name, kind in FIELDS_OF_THE_DESIGN.items()]


def test_what_is_one_of_a_few_is_a_drop_down() -> None:
    offered = {name: schema["enum"] for name, schema in schemas().items() if "enum" in schema}
    asymmetric = {algorithm for algorithms in ALGORITHMS.values() for algorithm in algorithms}
    assert set(offered.pop("signing_algorithm")) == {*asymmetric, "HS256", "HS384", "HS512"}
    assert set(offered.pop("dpop_algorithm")) == asymmetric
    assert offered == CHOICES


def test_a_default_of_a_drop_down_is_one_of_its_values() -> None:
    defaults = {name: schema["default"] for name, schema in schemas().items() if "default" in schema}
    assert defaults == {
        "auth_method": "client_secret_basic", "basic_encoding": "rfc6749", "grant_type": "client_credentials",
    }  # fmt: skip
    assert all(value in schemas()[name]["enum"] for name, value in defaults.items())


def test_what_has_several_lines_has_a_text_area_and_a_passphrase_a_password_field() -> None:
    formats = {name: schema["format"] for name, schema in schemas().items() if "format" in schema}
    passphrases = {name for name in CONN_FIELDS if name.endswith("_passphrase")}
    assert formats == {**dict.fromkeys(LINES, "multiline"), **dict.fromkeys(passphrases, "password")}


@pytest.mark.parametrize("name", sorted(CONN_FIELDS))
def test_each_field_has_a_label_and_a_help_text_that_names_only_what_there_is(name: str) -> None:
    field = CONN_FIELDS[name]
    labels = [other["label"] for other in CONN_FIELDS.values()]
    assert field["label"]
    assert labels.count(field["label"]) == 1
    assert 20 <= len(field["description"]) <= 330
    assert field["description"].endswith((".", ")"))
    values = {value for names in (CHOICES["auth_method"], CHOICES["grant_type"]) for value in names}
    named = set(
        re.findall(
            r"\b(?:client_secret|private_key|tls|self_signed|workload|jwt|token)_[a-z_]+\b", field["description"]
        )
    )
    assert named <= values | {"token_type"}


def test_the_help_of_the_methods_names_each_of_them() -> None:
    for name in ("auth_method", "grant_type", "dpop"):
        assert [value for value in CHOICES[name] if value not in CONN_FIELDS[name]["description"]] == []


def test_required_fields_say_so_and_what_is_not_used_is_hidden() -> None:
    assert UI_FIELD_BEHAVIOUR["hidden-fields"] == ["schema", "port"]
    assert UI_FIELD_BEHAVIOUR["relabeling"] == {
        "host": "Token URL or issuer (required)",
        "login": "Client ID (required)",
        "password": "Client secret",
    }
    # Either of two is, which a form cannot demand.
    assert "(required, or the next field)" in CONN_FIELDS["base_url"]["label"]
    assert list(CONN_FIELDS)[:2] == ["base_url", "base_url_from"]


def test_the_readme_says_what_each_field_means() -> None:
    table = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert [name for name in CONN_FIELDS if f"`{name}`" not in table] == []
    assert [value for values in CHOICES.values() for value in values if f"`{value}`" not in table] == [
        "Bearer",
        "s",
        "ms",
    ]


def test_what_holds_secrets_is_marked() -> None:
    assert SECRET_FIELDS == SECRETS_OF_THE_DESIGN


@pytest.mark.parametrize("name", sorted(SECRETS_OF_THE_DESIGN))
def test_a_field_that_holds_secrets_is_masked_by_its_name(name: str) -> None:
    assert masker().should_hide_value_for_key(name)


@pytest.mark.parametrize("name", sorted(set(CONN_FIELDS) - SECRETS_OF_THE_DESIGN))
def test_a_harmless_field_is_shown(name: str) -> None:
    assert not masker().should_hide_value_for_key(name)


def test_airflow_masks_every_secret_of_an_extra_and_nothing_else() -> None:
    # Unlike what other tests hand to the same masker.
    extra = {name: f"value of {name}" for name in CONN_FIELDS}
    redacted = masker().redact(extra)
    assert {name for name, value in redacted.items() if value == "***"} == SECRETS_OF_THE_DESIGN
    assert {name: value for name, value in redacted.items() if value != "***"} == {
        name: value for name, value in extra.items() if name not in SECRETS_OF_THE_DESIGN
    }
