from __future__ import annotations

import base64
from typing import Any
from urllib.parse import unquote

import jwt
import pytest

from airflow_oauth_provider.oauth2 import settings as names
from airflow_oauth_provider.oauth2.client_auth import (
    AUTH_METHODS,
    CREDENTIAL_PARAMETERS,
    ClientAuthentication,
    basic_credentials,
)
from tests.support.made_up import CLIENT_ID, SECRET, TOKEN_URL, attempt, client_settings, key_pair

AWKWARD = ["p@ss:word/+ %&=", "abc+def%2Fghi/==", "p@ss:w/+ %&=", "ünï☃", "a:b", "%", "-._~"]
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
BY_ASSERTION = ["client_secret_jwt", "private_key_jwt", "workload_identity"]
WITH_SECRET_SENT = ["client_secret_basic", "client_secret_post"]


def added(method: str, **changes: Any) -> ClientAuthentication:
    settings = client_settings(**{"auth_method": method, "signing_key": key_pair(), **changes})
    return AUTH_METHODS[method](settings, attempt())


def sent(credentials: str) -> tuple[str, str]:
    user, _, password = base64.b64decode(credentials).decode().partition(":")
    return user, password


def test_there_are_eight_ways_and_each_has_a_name_in_the_settings() -> None:
    assert set(AUTH_METHODS) == names.SECRET_METHODS | names.TLS_METHODS | {
        names.PRIVATE_KEY_JWT,
        names.WORKLOAD_IDENTITY,
        names.NONE,
    }
    assert len(AUTH_METHODS) == 8


@pytest.mark.statement(1)
@pytest.mark.parametrize("secret", AWKWARD)
def test_basic_form_encodes_id_and_secret_before_base64(secret: str) -> None:
    settings = client_settings(client_id="app: one/%", client_secret=secret)
    user, password = sent(basic_credentials(settings))
    assert (unquote(user), unquote(password)) == ("app: one/%", secret)
    assert ":" not in user
    assert not set("+ /&=@") & set(password)


@pytest.mark.statement(1)
def test_basic_writes_a_blank_as_percent_20_and_leaves_unreserved_characters() -> None:
    assert sent(basic_credentials(client_settings(client_id="a b", client_secret="-._~ +")))[1] == "-._~%20%2B"


@pytest.mark.statement(1)
@pytest.mark.parametrize("secret", AWKWARD)
def test_raw_sends_id_and_secret_as_they_are_in_utf_8(secret: str) -> None:
    settings = client_settings(client_secret=secret, basic_encoding="raw")
    assert sent(basic_credentials(settings)) == (settings.client_id, secret)


@pytest.mark.statement(1)
def test_rfc_6749_appendix_b_is_followed() -> None:
    # §2.3.1's example client, and the string of Appendix B with a percent sign, a pound sign and an euro sign.
    settings = client_settings(client_id="s6BhdRkqt3", client_secret=" %&+£€")
    assert sent(basic_credentials(settings)) == ("s6BhdRkqt3", "%20%25%26%2B%C2%A3%E2%82%AC")


@pytest.mark.statement(3)
@pytest.mark.parametrize("method", sorted(AUTH_METHODS))
def test_each_method_uses_one_way_of_authentication(method: str) -> None:
    way = added(method)
    assert bool(way.headers) != bool(way.form)
    assert set(way.headers) <= {"Authorization"}
    form = [name for name, _ in way.form]
    assert len(form) == len(set(form))
    assert set(form) <= CREDENTIAL_PARAMETERS
    assert len({"client_secret", "client_assertion"} & set(form)) <= 1


def test_post_sends_id_and_secret_as_form_parameters() -> None:
    assert added("client_secret_post").form == (("client_id", CLIENT_ID), ("client_secret", SECRET))


@pytest.mark.statement(25)
@pytest.mark.parametrize("method", BY_ASSERTION)
def test_an_assertion_goes_with_its_type_and_the_client_id(method: str) -> None:
    form = dict(added(method).form)
    assert form["client_assertion_type"] == ASSERTION_TYPE
    assert form["client_id"] == CLIENT_ID
    assert form["client_assertion"].count(".") == 2


@pytest.mark.statement(26)
def test_the_clients_own_assertion_is_signed_with_what_the_method_says() -> None:
    by_key = dict(added("private_key_jwt").form)["client_assertion"]
    by_secret = dict(added("client_secret_jwt").form)["client_assertion"]
    assert jwt.get_unverified_header(by_key)["alg"] == "ES256"
    claims = jwt.decode(by_secret, SECRET, ["HS256"], audience=TOKEN_URL)
    assert claims["iss"] == claims["sub"] == CLIENT_ID


def test_workload_identity_sends_the_platforms_assertion_as_it_is() -> None:
    assert dict(added("workload_identity").form)["client_assertion"] == "made.up.assertion"


@pytest.mark.statement(32)
@pytest.mark.parametrize("method", sorted(names.TLS_METHODS))
def test_a_client_with_a_certificate_only_says_who_it_is(method: str) -> None:
    assert added(method) == ClientAuthentication(form=(("client_id", CLIENT_ID),))


def test_a_client_without_a_proof_only_says_who_it_is() -> None:
    assert added("none").form == (("client_id", CLIENT_ID),)
    assert added("none", client_id="").form == ()


def test_the_assertion_of_a_jwt_bearer_grant_says_it_for_the_client() -> None:
    assert added("none", grant=names.JWT_BEARER).form == ()


@pytest.mark.parametrize("method", sorted(set(AUTH_METHODS) - set(WITH_SECRET_SENT)))
def test_a_secret_that_the_method_does_not_send_stays_here(method: str) -> None:
    way = added(method)
    assert way.headers == {}
    assert SECRET not in str(way.form)


@pytest.mark.parametrize("method", sorted(AUTH_METHODS))
def test_the_repr_of_an_authentication_shows_nothing(method: str) -> None:
    assert repr(added(method)) == "ClientAuthentication()"
