"""Assertions of the platform, which go only where it allows; and what a connection says of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_oauth_provider.config import ProviderConfig
from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.oauth2.settings import AssertionSource
from tests.support.connections import LISTED, key_text, platform, read
from tests.support.made_up import TOKEN_URL

FOLDER = Path("/var/run/secrets")
FILE = f"{FOLDER}/tokens/token"
AZURE = "AZURE_FEDERATED_TOKEN_FILE"
USES: list[dict[str, Any]] = [
    {"auth_method": "workload_identity"},
    {"auth_method": "none", "grant_type": "jwt_bearer"},
    {"auth_method": "client_secret_basic", "grant_type": "token_exchange"},
]


@pytest.fixture(autouse=True)
def _outside_of_any_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_AUTHORITY_HOST", AZURE):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("use", USES)
def test_an_assertion_comes_from_a_file_or_a_variable_that_the_platform_names(use: dict[str, Any]) -> None:
    found = read({**use, "assertion_file": FILE}, platform(FOLDER)).client.assertion_source
    assert found == AssertionSource(file=FILE, folders=(str(FOLDER),))
    found = read({**use, "assertion_env": "CI_TOKEN"}, platform(None, "CI_TOKEN")).client.assertion_source
    assert found == AssertionSource(variable="CI_TOKEN")


@pytest.mark.parametrize("use", USES)
def test_without_a_list_of_token_endpoints_no_assertion_goes_anywhere(use: dict[str, Any]) -> None:
    for field, value in (("assertion_file", FILE), ("assertion_env", "CI_TOKEN")):
        with pytest.raises(SettingsError, match=rf"{field}: .*\[oauth2\] allowed_token_endpoints"):
            read({**use, field: value}, platform(FOLDER, "CI_TOKEN", listed=()))


def test_without_a_list_of_token_endpoints_the_platforms_own_variable_is_of_no_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(AZURE, FILE)
    with pytest.raises(SettingsError, match=r"workload_identity: .*\[oauth2\] allowed_token_endpoints"):
        read({"auth_method": "workload_identity"}, platform(None, AZURE, listed=()))


@pytest.mark.parametrize(
    ("extra", "config", "said"),
    [
        ({"assertion_file": FILE}, platform(), r"assertion_file: \[oauth2\] key_folders names no folder"),
        ({"assertion_file": "tokens/token"}, platform(FOLDER), "^assertion_file is not an absolute path"),
        (
            {"assertion_env": "HOME"},
            platform(None, "CI_TOKEN"),
            r"assertion_env: 'HOME'.*assertion_env_names.*CI_TOKEN",
        ),
        ({"assertion_env": "HOME"}, platform(None), r"assertion_env_names, which are empty"),
    ],
)
def test_an_assertion_that_the_platform_does_not_offer_is_refused(
    extra: dict[str, Any], config: ProviderConfig, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        read({"auth_method": "workload_identity", **extra}, config)


def test_on_entras_platform_a_connection_names_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(AZURE, FILE)
    monkeypatch.setenv("AZURE_CLIENT_ID", "client-of-the-pod")
    workload: dict[str, Any] = {"auth_method": "workload_identity"}
    client = read(workload, platform(None, AZURE), login=None, password=None).client
    assert client.assertion_source == AssertionSource(variable=AZURE)
    assert (client.client_id, client.client_secret) == ("client-of-the-pod", "")
    with pytest.raises(SettingsError, match="assertion_env_names"):
        read(workload, platform(None, "CI_TOKEN"))
    monkeypatch.setenv(AZURE, "")
    with pytest.raises(SettingsError, match=f"{AZURE} is not in the environment"):
        read(workload, platform(None, AZURE))


@pytest.mark.parametrize("authority", ["https://login.example.com", "https://login.example.com/ "])
@pytest.mark.parametrize("host", [None, "", " "])
def test_on_entras_platform_the_tenants_token_endpoint_or_issuer_is_known(
    host: str | None, authority: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_TENANT_ID", "tenant-of-the-pod")
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", authority)
    workload: dict[str, Any] = {"auth_method": "workload_identity", "assertion_file": FILE}
    client = read(workload, platform(FOLDER), host=host).client
    assert client.token_endpoint == "https://login.example.com/tenant-of-the-pod/oauth2/v2.0/token"
    client = read({**workload, "discover": True}, platform(FOLDER), host=host).client
    assert (client.token_endpoint, client.issuer) == ("", "https://login.example.com/tenant-of-the-pod/v2.0")


def test_what_a_connection_or_the_configuration_says_goes_before_entras_platform(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AZURE_TENANT_ID", "tenant-of-the-pod")
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "https://elsewhere.example.net/")
    workload: dict[str, Any] = {"auth_method": "workload_identity", "assertion_file": FILE}
    assert read(workload, platform(FOLDER)).client.token_endpoint == TOKEN_URL
    with pytest.raises(SettingsError, match=r"Token URL.*allowed_token_endpoints"):
        read(workload, platform(FOLDER), host=None)
    with pytest.raises(SettingsError, match=r"Token URL \(the field host\) is missing\.$"):
        read(host=None)


@pytest.mark.parametrize("missing", ["AZURE_TENANT_ID", "AZURE_AUTHORITY_HOST"])
def test_half_of_what_entras_platform_says_names_no_token_endpoint(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_TENANT_ID", "tenant-of-the-pod")
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", LISTED)
    monkeypatch.delenv(missing)
    workload = {"auth_method": "workload_identity", "assertion_file": FILE}
    with pytest.raises(SettingsError, match=f"Token URL.*{missing}.* not in the environment"):
        read(workload, platform(FOLDER), host=None)


def test_the_default_names_are_those_of_the_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(AZURE, FILE)
    config = ProviderConfig(allowed_token_endpoints=("https://login.example.com",))
    assert read({"auth_method": "workload_identity"}, config).client.assertion_source == AssertionSource(variable=AZURE)


def test_the_clients_assertion_and_the_grants_may_come_from_two_places() -> None:
    workload = {"auth_method": "workload_identity", "assertion_file": FILE}
    signed = read({**workload, "grant_type": "jwt_bearer", "private_key": key_text()}, platform(FOLDER)).client
    assert signed.signing_key is not None
    assert signed.assertion_source is not None
    subject = {"secret_params": {"subject_token": "made-up-subject-token"}}
    exchange = read({**workload, **subject, "grant_type": "token_exchange"}, platform(FOLDER)).client
    assert exchange.assertion_source is not None
    assert exchange.secret_params == (("subject_token", "made-up-subject-token"),)


def test_an_assertion_that_was_made_elsewhere_may_be_a_secret_parameter() -> None:
    ready = {"grant_type": "jwt_bearer", "secret_params": {"assertion": "made.up.assertion"}}
    client = read({"auth_method": "none", **ready}).client
    assert (client.signing_key, client.assertion_source) == (None, None)


# Ours ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("audience", ["endpoint", "https://login.example.com/", "account-d.example.com", None])
def test_an_audience_of_assertions_may_be_anything_that_can_be_known(audience: str | None) -> None:
    extra = {"auth_method": "private_key_jwt", "private_key": key_text(), "assertion_audience": audience}
    assert read(extra).client.assertion_audience == audience


def test_the_issuer_is_the_audience_where_something_names_it() -> None:
    extra = {"auth_method": "private_key_jwt", "private_key": key_text(), "assertion_audience": "issuer"}
    assert read({**extra, "issuer": "https://login.example.com"}).client.assertion_audience == "issuer"
    assert read({**extra, "discover": True}, host="https://login.example.com").client.assertion_audience == "issuer"


def test_the_words_for_an_audience_are_read_without_case() -> None:
    extra = {"auth_method": "private_key_jwt", "private_key": key_text(), "assertion_audience": "Endpoint"}
    assert read(extra).client.assertion_audience == "endpoint"


@pytest.mark.statement(27)
def test_the_type_of_assertions_can_be_switched() -> None:
    extra = {"auth_method": "private_key_jwt", "private_key": key_text()}
    assert read(extra).client.assertion_typ == "client-authentication+jwt"
    assert read({**extra, "assertion_typ": "JWT"}).client.assertion_typ == "JWT"


@pytest.mark.parametrize("written", [json.dumps, lambda members: members], ids=["text", "object"])
def test_subject_and_claims_are_those_of_the_grant(written: Any) -> None:
    claims = {"scope": "signature impersonation", "nested": {"a": [1, 2.5, True, None]}}
    extra = {"grant_type": "jwt_bearer", "private_key": key_text(), "auth_method": "none"}
    client = read({**extra, "subject": "jo@example.com", "assertion_claims": written(claims)}).client
    assert client.subject == "jo@example.com"
    assert client.assertion_claims == json.dumps(claims, separators=(",", ":"))


@pytest.mark.parametrize("claims", ["text", [1], "[]", 7, '{"a": NaN}', {"exp": 1}, {"aud": "x", "scope": "y"}])
def test_claims_that_are_none_or_replace_ours_are_refused(claims: Any) -> None:
    extra = {"grant_type": "jwt_bearer", "private_key": key_text(), "auth_method": "none"}
    with pytest.raises(SettingsError, match="assertion_claims"):
        read({**extra, "assertion_claims": claims})


@pytest.mark.parametrize("pasted", ["glpat-MadeUp0123456789", "eyJhbGciOiJub25lIn0.e30.", "A" * 62, "TWO WORDS"])
def test_what_is_no_name_of_a_variable_is_not_shown(pasted: str) -> None:
    with pytest.raises(SettingsError, match="assertion_env: what is written is not among") as refused:
        read({"auth_method": "workload_identity", "assertion_env": pasted}, platform(None, "CI_TOKEN"))
    assert pasted not in str(refused.value)
