from __future__ import annotations

import base64
from urllib.parse import unquote

import pytest

from airflow_oauth_provider.oauth2.client_auth import AUTH_METHODS, basic_credentials, client_secret_basic
from tests.support.made_up import client_settings

AWKWARD = ["p@ss:word/+ %&=", "abc+def%2Fghi/==", "p@ss:w/+ %&=", "ünï☃", "a:b", "%", "-._~"]


def sent(credentials: str) -> tuple[str, str]:
    user, _, password = base64.b64decode(credentials).decode().partition(":")
    return user, password


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
    added = AUTH_METHODS[method](client_settings())
    assert bool(added.headers) != bool(added.form)


def test_post_sends_id_and_secret_as_form_parameters() -> None:
    settings = client_settings()
    assert AUTH_METHODS["client_secret_post"](settings).form == (
        ("client_id", settings.client_id),
        ("client_secret", settings.client_secret),
    )


def test_the_repr_of_an_authentication_shows_neither_secret_nor_header() -> None:
    settings = client_settings()
    for method in AUTH_METHODS.values():
        shown = repr(method(settings))
        assert settings.client_secret not in shown
        assert basic_credentials(settings) not in shown
    assert client_secret_basic(settings).headers["Authorization"] == f"Basic {basic_credentials(settings)}"
