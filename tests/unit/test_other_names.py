from __future__ import annotations

import pytest

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.form import CONN_FIELDS
from airflow_oauth_provider.other_names import advice
from tests.support.connections import read

KNOWN = list(CONN_FIELDS)


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("token_url", "field host"),
        ("tenant", "field host"),
        ("tenantId", "field host"),
        ("discovery_url", "field host.*with discover"),
        ("client_secret", "field password"),
        ("CLIENT_ID", "field login"),
        ("scopes", "scope"),
        ("resources", "resource"),
        ("authorization_details", "rar"),
        ("authMethod", "auth_method"),
        ("token_endpoint_auth_method", "auth_method"),
        ("key", "private_key"),
        ("private_key_file", "key_file"),
        ("privateKeyPath", "key_file"),
        ("passphrase", "private_key_passphrase"),
        ("cert", "certificate"),
        ("client-cert-file", "certificate_file"),
        ("kid", "key_id"),
        ("alg", "signing_algorithm"),
        ("aud", "assertion_audience"),
        ("assertion", "assertion_file, or assertion_env"),
        ("subject_token", "secret_params"),
        ("instance_url", "base_url_from"),
        ("token_type", "default_scheme"),
    ],
)
def test_a_key_of_other_tools_names_the_field_where_its_value_belongs(key: str, place: str) -> None:
    with pytest.raises(SettingsError, match=f"{key}.*(belongs into|did you mean) .*{place}") as caught:
        read({key: "made-up-value"})
    assert "made-up-value" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("base_ulr", "base_url"),
        ("Scope", "scope"),
        ("headerz", "headers"),
        ("baseUrl", "base_url"),
        ("tls-cert", "tls_c"),
    ],
)
def test_a_mistyped_key_is_answered_with_the_nearest_known_one(key: str, nearest: str) -> None:
    assert f"did you mean '{nearest}" in advice(key, KNOWN)


def test_a_key_that_resembles_none_is_answered_with_all() -> None:
    assert advice("made_up", KNOWN) == f"known are {', '.join(KNOWN)}."


def test_no_known_field_is_taken_for_a_wrong_one() -> None:
    assert [name for name in KNOWN if "belongs into" in advice(name, KNOWN)] == []
