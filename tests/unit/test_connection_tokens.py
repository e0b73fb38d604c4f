"""What a connection asks for, and how it reads answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import SettingsError
from tests.support.connections import read

ACCOUNT = {"type": "account_information", "actions": ["read"], "limit": 12.5}


@pytest.mark.statement(35)
@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ("https://api.example.com/v1?x=1", ("https://api.example.com/v1?x=1",)),
        ("https://a.example  urn:example:b", ("https://a.example", "urn:example:b")),
        (["https://b.example", "https://a.example"], ("https://b.example", "https://a.example")),
        ("https://a.example https://a.example", ("https://a.example",)),
        ("api://0f3c-made-up/orders", ("api://0f3c-made-up/orders",)),
        (None, ()),
    ],
)
def test_resources_are_absolute_uris_one_or_several(resource: Any, expected: tuple[str, ...]) -> None:
    assert read({"resource": resource}).client.resources == expected


@pytest.mark.statement(35)
@pytest.mark.parametrize(
    "resource",
    [
        *("https://api.example.com#orders", "https://api.example.com#", "api.example.com", "/orders", "orders"),
        *("api.example.com:443/orders", "localhost:8080", "https:", "https://", "https:///orders", "http:api"),
        *("1https://a.example", "https://a.example/é", 'https://a.example/"', "https://a.example\\b"),
    ],
)
def test_a_resource_that_is_no_absolute_uri_or_has_a_fragment_is_refused(resource: str) -> None:
    with pytest.raises(SettingsError, match=r"resource: .*absolute URI without a fragment"):
        read({"resource": f"https://good.example {resource}"})


def test_a_resource_that_is_none_by_the_standard_can_still_be_sent_as_a_parameter() -> None:
    guid = "2ff814a6-0000-0000-0000-cd0e6f879c1d"
    assert read({"extra_params": {"resource": guid}}).client.extra_params == (("resource", guid),)


@pytest.mark.parametrize("value", [[ACCOUNT], json.dumps([ACCOUNT]), ACCOUNT, f" {json.dumps(ACCOUNT)} "])
def test_authorization_details_are_an_array_however_they_were_written(value: Any) -> None:
    details = read({"rar": value}).client.authorization_details
    assert details == '[{"type":"account_information","actions":["read"],"limit":12.5}]'


@pytest.mark.parametrize("value", ["x", 7, "[1]", [{"kind": "a"}], [{"type": ""}], {"actions": []}, '"text"', [["a"]]])
def test_authorization_details_without_a_type_are_refused(value: Any) -> None:
    with pytest.raises(SettingsError, match="rar"):
        read({"rar": value})


def test_several_audiences_are_for_a_token_exchange_alone() -> None:
    exchange = {"grant_type": "token_exchange", "secret_params": {"subject_token": "made-up-subject-token"}}
    assert read({**exchange, "audience": ["a", "b"]}).client.audience == "a b"
    assert read({**exchange, "audience": " a   b "}).client.audience == "a b"
    assert read({"audience": "a name with blanks"}).client.audience == "a name with blanks"
    with pytest.raises(SettingsError, match="audience is a list"):
        read({"audience": ["a", "b"]})


@pytest.mark.parametrize(
    ("dpop", "mode"),
    [
        *((True, "true"), ("true", "true"), ("True", "true"), ("1", "true"), (1, "true")),
        *(("preferred", "preferred"), ("Preferred", "preferred")),
        *((False, ""), ("false", ""), (None, ""), ("", "")),
    ],
)
def test_dpop_may_be_written_in_several_ways(dpop: Any, mode: str) -> None:
    assert read({"dpop": dpop}).client.dpop == mode


def test_dpop_signs_by_es256_unless_another_algorithm_is_named() -> None:
    assert read({"dpop": True}).client.dpop_algorithm == "ES256"
    assert read({"dpop": True, "dpop_algorithm": "EdDSA"}).client.dpop_algorithm == "EdDSA"
    for extra, field in (({"dpop": "required"}, "dpop: "), ({"dpop_algorithm": "HS256"}, "dpop_algorithm: ")):
        with pytest.raises(SettingsError, match=field):
            read(extra)


def test_a_dialect_reaches_its_setting() -> None:
    dialect = read(
        {
            "answer_path": "data.access_token",
            "default_scheme": "Bearer",
            "type_aliases": "BearerToken, Application  Access Token,",
            "expires_in_unit": "ms",
            "default_lifetime": "900",
        }
    ).client.answer
    assert (dialect.path, dialect.default_scheme) == ("data.access_token", "Bearer")
    assert dialect.type_aliases == ("bearertoken", "application access token")
    assert (dialect.expires_in_unit_s, dialect.default_lifetime_s) == (0.001, 900)


@pytest.mark.parametrize(
    ("extra", "field"),
    [
        ({"answer_path": "data..token"}, "answer_path"),
        ({"answer_path": "data token"}, "answer_path"),
        ({"answer_path": ".token"}, "answer_path"),
        ({"default_scheme": "MAC"}, "default_scheme"),
        ({"type_aliases": "Token, DPoP"}, "type_aliases"),
        ({"expires_in_unit": "minutes"}, "expires_in_unit"),
        ({"default_lifetime": 0}, "default_lifetime"),
        ({"default_lifetime": 2_592_001}, "default_lifetime"),
    ],
)
def test_a_dialect_that_cannot_be_one_is_refused(extra: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingsError, match=field):
        read(extra)


@pytest.mark.statement(5)
@pytest.mark.parametrize("name", ["scope", "audience", "authorization_details"])
def test_what_has_a_field_cannot_stand_among_the_parameters_a_second_time(name: str) -> None:
    for field in ("extra_params", "secret_params"):
        with pytest.raises(SettingsError, match=f"{name} has a field of its own"):
            read({field: {name: "a"}})
