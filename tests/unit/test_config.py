from __future__ import annotations

from pathlib import Path

import pytest

from airflow_oauth_provider.config import ASSERTION_ENV_NAMES, ProviderConfig, read_config


def test_without_any_setting_tokens_lie_in_files_and_every_origin_is_allowed(tmp_path: Path) -> None:
    config = read_config()
    assert config.token_store == "file://"
    assert config.token_store_keys == ()
    assert (config.allowed_token_endpoints, config.allowed_api_origins) == ((), ())
    assert config.airflow_home == tmp_path / "airflow"


def test_settings_are_read_from_airflows_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__OAUTH2__TOKEN_STORE", " memory:// ")
    monkeypatch.setenv("AIRFLOW__OAUTH2__TOKEN_STORE_KEY", "first key , second key,, ")
    monkeypatch.setenv("AIRFLOW__OAUTH2__ALLOWED_TOKEN_ENDPOINTS", "https://a.example.com\n https://b.example.com:8443")
    monkeypatch.setenv("AIRFLOW__OAUTH2__ALLOWED_API_ORIGINS", "https://a.example.com, https://b.example.com")
    config = read_config()
    assert config.token_store == "memory://"
    assert config.token_store_keys == ("first key", "second key")
    assert config.allowed_token_endpoints == ("https://a.example.com", "https://b.example.com:8443")
    assert config.allowed_api_origins == ("https://a.example.com", "https://b.example.com")


@pytest.mark.parametrize("name", ["TOKEN_STORE", "TOKEN_STORE_KEY", "ALLOWED_TOKEN_ENDPOINTS", "ALLOWED_API_ORIGINS"])
def test_an_empty_setting_is_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    default = read_config()
    monkeypatch.setenv(f"AIRFLOW__OAUTH2__{name}", "  ")
    assert read_config() == default


@pytest.mark.parametrize(("text", "names"), [("", ASSERTION_ENV_NAMES), ("none", ()), ("A_TOKEN B", ("A_TOKEN", "B"))])
def test_connections_may_name_the_platforms_variables_others_or_none(
    text: str, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__OAUTH2__ASSERTION_ENV_NAMES", text)
    assert read_config().assertion_env_names == names


def test_keys_do_not_stand_in_the_repr() -> None:
    assert "made-up-key" not in repr(ProviderConfig(token_store_keys=("made-up-key",)))


def test_without_airflow_home_it_is_the_usual_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_HOME")
    assert read_config().airflow_home == Path.home() / "airflow"
