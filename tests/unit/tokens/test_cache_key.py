from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_oauth_provider.oauth2.settings import ClientSettings, Transport
from airflow_oauth_provider.tokens.cache_key import CacheKeys, cache_keys
from airflow_oauth_provider.tokens.credential import credential_of
from airflow_oauth_provider.tokens.seal import seals_for
from tests.support.made_up import SECRET, client_settings


def keys(settings: ClientSettings) -> CacheKeys:
    credential = credential_of(settings)
    return cache_keys(settings, credential, seals_for(settings, credential)[0].fingerprint)


BASE: dict[str, Any] = {"scope": "a b", "audience": "urn:x", "extra_params": (("tenant", "acme"),)}
OTHER: list[dict[str, Any]] = [
    {"token_endpoint": "https://login.example.com/oauth2/token2"},
    {"client_id": "another-app"},
    {"client_secret": SECRET + "x"},
    {"auth_method": "client_secret_post"},
    {"basic_encoding": "raw"},
    {"scope": "a"},
    {"scope": "A b"},
    {"scope": None},
    {"audience": "urn:y"},
    {"audience": None},
    {"extra_params": (("tenant", "other"),)},
    {"extra_params": (("tenant2", "acme"),)},
    {"extra_params": ()},
    {"extra_params": (("tenant", "acme"), ("grant_type", "urn:dialect"))},
    {"secret_params": (("pin", "1"),)},
    {"secret_params": (("pin", "2"),)},
    {"transport": Transport(verify=False)},
    {"transport": Transport(verify="/made/up.pem")},
    {"transport": Transport(proxies=(("https", "http://p.example.com"),))},
]


@pytest.mark.statement(51)
@pytest.mark.parametrize("change", OTHER)
def test_whatever_differs_between_two_requests_they_never_share_a_token(change: dict[str, Any]) -> None:
    base = keys(client_settings(**BASE))
    assert keys(client_settings(**{**BASE, **change})).request != base.request
    assert keys(client_settings(**BASE)) == base


@pytest.mark.statement(51)
def test_all_of_them_differ_from_each_other() -> None:
    assert len({keys(client_settings(**{**BASE, **change})).request for change in [{}, *OTHER]}) == len(OTHER) + 1


@pytest.mark.parametrize("change", [{"leeway_s": 5}, {"transport": Transport(connect_timeout_s=1, read_timeout_s=2)}])
def test_what_does_not_concern_the_token_does_not_part_those_who_may_share(change: dict[str, Any]) -> None:
    assert keys(client_settings(**change)) == keys(client_settings())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"scope": "ab", "audience": "c"}, {"scope": "a", "audience": "bc"}),
        ({"extra_params": (("a", "b"), ("c", "d"))}, {"extra_params": (("a", "bc"), ("d", ""))}),
        ({"extra_params": (("scope2", "x"),)}, {"extra_params": (("scope", "2x"),)}),
        ({"client_id": "a\0b"}, {"client_id": "a"}),
        ({"scope": "audience", "audience": "x"}, {"scope": "audiencex"}),
    ],
)
def test_parts_do_not_run_together(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert keys(client_settings(**one)).request != keys(client_settings(**other)).request


def test_a_refused_credential_is_shared_by_all_requests_of_it_and_throttling_too() -> None:
    one, other = keys(client_settings(scope="a")), keys(client_settings(scope="b"))
    assert one.credential == other.credential
    assert one.client == other.client
    assert len({one.request, other.request, one.credential, one.client}) == 4


@pytest.mark.statement(55)
@pytest.mark.parametrize(
    "change",
    [
        {"client_secret": SECRET + "x"},
        {"token_endpoint": "https://other.example/token"},
        {"auth_method": "client_secret_post"},
    ],
)
def test_a_changed_secret_url_or_method_is_another_credential(change: dict[str, Any]) -> None:
    assert keys(client_settings(**change)).credential != keys(client_settings()).credential


def test_keys_are_fit_for_file_names_and_do_not_show_what_is_in_them() -> None:
    made = keys(client_settings(client_id="../../etc/passwd", scope="a/b"))
    for key in (made.request, made.credential, made.client):
        assert re.fullmatch(r"[0-9a-f]{64}", key)
