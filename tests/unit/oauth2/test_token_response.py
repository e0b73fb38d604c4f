from __future__ import annotations

import json
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from airflow_oauth_provider.exceptions import OAuth2Error, TokenResponseError, UnusableTokenError
from airflow_oauth_provider.masking import Redactor
from airflow_oauth_provider.oauth2.answer import lifetime_s
from airflow_oauth_provider.oauth2.client_auth import basic_credentials
from airflow_oauth_provider.oauth2.settings import AnswerDialect
from airflow_oauth_provider.oauth2.token import AccessToken
from airflow_oauth_provider.oauth2.token_response import narrower_scope, parse_token_response
from tests.support.made_up import SECRET, client_settings

NOW = 1_790_000_000.0
JSON = {"Content-Type": "application/json"}
VALUE = "Zm9vYmFy.QmF6UXV4.MadeUp-1"


def parse(
    members: dict[str, Any] | list[Any] | str | bytes,
    status: int = 200,
    headers: dict[str, str] | None = None,
    **settings: Any,
) -> AccessToken:
    client = client_settings(**settings)
    body = (
        members
        if isinstance(members, bytes)
        else (members if isinstance(members, str) else json.dumps(members)).encode()
    )
    return parse_token_response(
        client,
        Redactor((*client.secrets(), basic_credentials(client))),
        status=status,
        headers=CaseInsensitiveDict(JSON if headers is None else headers),
        body=body,
        now=NOW,
    )


def granted(**members: Any) -> dict[str, Any]:
    return {"access_token": VALUE, "token_type": "Bearer", "expires_in": 3599, **members}


def test_a_good_answer_is_a_token() -> None:
    token = parse(granted(scope="a b"))
    assert (token.value, token.token_type, token.scope) == (VALUE, "Bearer", "a b")
    assert (token.issued_at, token.expires_at) == (NOW, NOW + 3599)


@pytest.mark.statement(8)
@pytest.mark.statement(12)
def test_a_refresh_token_and_unknown_members_are_ignored() -> None:
    token = parse(granted(refresh_token="made-up-refresh", id_token="x", ext_expires_in=1, nested={"a": [1]}))
    assert token == parse(granted())
    assert not hasattr(token, "refresh_token")


@pytest.mark.statement(13)
@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [(3599, 3599), ("3599", 3599), (3599.0, 3599), (" 60 ", 60), ("3599.0", 3599), (0.5, 0.5), (5, 5)],
)
def test_a_lifetime_may_be_written_in_several_ways(expires_in: Any, seconds: float) -> None:
    assert parse(granted(expires_in=expires_in)).lifetime_s == pytest.approx(seconds)


@pytest.mark.statement(13)
def test_a_missing_lifetime_gets_a_bounded_default() -> None:
    members = granted()
    del members["expires_in"]
    assert 0 < parse(members).lifetime_s <= 3600


@pytest.mark.statement(13)
@pytest.mark.parametrize("huge", ["99999999999", "1" * 60, 10**18, 1e300, "9" * 300])
def test_a_huge_lifetime_is_clamped(huge: Any) -> None:
    assert lifetime_s(huge, AnswerDialect()) == 30 * 86_400


@pytest.mark.statement(13)
@pytest.mark.parametrize(
    "text", ["0", "-1", "-3599.5", "NaN", "Infinity", "1e400", '"soon"', "true", "[60]", "{}", '"-5"', '""']
)
def test_a_lifetime_that_makes_no_sense_is_not_believed(text: str) -> None:
    body = f'{{"access_token": "{VALUE}", "token_type": "Bearer", "expires_in": {text}}}'
    assert parse(body).lifetime_s == parse({"access_token": VALUE, "token_type": "Bearer"}).lifetime_s


def test_a_number_with_thousands_of_digits_is_survived() -> None:
    body = f'{{"access_token": "{VALUE}", "token_type": "Bearer", "expires_in": {"9" * 5000}}}'
    assert 0 < parse(body).lifetime_s <= 30 * 86_400


@pytest.mark.statement(9)
def test_scope_is_case_sensitive_and_a_narrower_one_is_noticed() -> None:
    settings = client_settings(scope="orders:read Orders:write x")
    assert narrower_scope(settings, parse(granted(scope="x orders:read orders:write"))) == "Orders:write"
    assert narrower_scope(settings, parse(granted(scope="x orders:read Orders:write more"))) == ""
    assert narrower_scope(client_settings(), parse(granted(scope="a"))) == ""


@pytest.mark.statement(9)
def test_nothing_is_missing_of_a_scope_that_is_long_or_partly_hidden() -> None:
    asked = " ".join(f"scope{number:03}.read" for number in range(500))
    settings, token = client_settings(scope=asked), parse(granted(scope=asked))
    assert narrower_scope(settings, token) == ""
    assert len(repr(token)) < 2200
    secret = client_settings().client_secret
    assert narrower_scope(client_settings(scope=f"a {secret}:b"), parse(granted(scope=f"a {secret}:b"))) == ""


@pytest.mark.statement(9)
@pytest.mark.parametrize("scope", [None, ""])
def test_a_server_that_names_no_scope_granted_what_was_asked_for(scope: str | None) -> None:
    assert parse(granted(scope=scope), scope="a b").scope == "a b"


def test_a_scope_in_the_form_of_a_list_is_understood() -> None:
    assert parse(granted(scope=["a", "b"])).scope == "a b"


@pytest.mark.statement(10)
@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_token_type_is_compared_without_case(token_type: str) -> None:
    assert parse(granted(token_type=token_type)).token_type == token_type


@pytest.mark.statement(10)
@pytest.mark.parametrize("token_type", [None, "", 7, ["Bearer"]])
def test_a_token_without_a_type_is_not_used(token_type: Any) -> None:
    with pytest.raises(UnusableTokenError, match="token_type") as caught:
        parse(granted(token_type=token_type))
    assert VALUE not in str(caught.value)


@pytest.mark.statement(11)
@pytest.mark.parametrize("token_type", ["mac", "N_A", "Bearer2", "Bearer\r\nX: y"])
def test_a_token_of_an_unknown_type_is_not_used(token_type: str) -> None:
    with pytest.raises(UnusableTokenError, match="only Bearer") as caught:
        parse(granted(token_type=token_type))
    assert VALUE not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.statement(16)
@pytest.mark.parametrize("value", ["!", "~", "a" * 10_000, "".join(map(chr, range(0x21, 0x7F)))])
def test_a_token_of_visible_ascii_characters_is_taken(value: str) -> None:
    assert parse(granted(access_token=value)).value == value


@pytest.mark.statement(16)
@pytest.mark.parametrize(
    "value",
    [
        "",
        "a b",
        "a\r\nX-Evil: 1",
        "a\n",
        "\ta",
        "a\x00",
        "a\x7f",
        "tök",
        "☃",
        "a\u2028",
        7,
        1.5,
        True,
        ["a"],
        {"a": "b"},
    ],
)
def test_any_other_token_is_refused_without_being_shown(value: Any) -> None:
    with pytest.raises(UnusableTokenError, match="visible ASCII") as caught:
        parse(granted(access_token=value))
    assert "X-Evil" not in str(caught.value)


@pytest.mark.statement(14)
@pytest.mark.parametrize(
    "body",
    [
        f'{{"access_token": "{VALUE}", "token_type": "Bear',
        f'[{{"access_token": "{VALUE}", "token_type": "Bearer"}}]',
        f"access_token={VALUE}&token_type=bearer",
        f'{{"accessToken": "{VALUE}", "tokenType": "Bearer"}}',
        f'{{"data": {{"access_token": "{VALUE}"}}}}',
        f'"{VALUE}"',
        VALUE,
        f"<token>{VALUE}</token>",
    ],
)
def test_an_answer_that_holds_a_token_in_an_unknown_form_is_one_error_that_does_not_show_it(body: str) -> None:
    with pytest.raises(TokenResponseError) as caught:
        parse(body)
    assert VALUE not in str(caught.value)
    assert VALUE[:10] not in str(caught.value)


@pytest.mark.statement(14)
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "an empty body"),
        (b" \n ", "an empty body"),
        (b"<!doctype html><HTML><body>Sign in</body></HTML>", "an HTML page"),
        (b"null", "without a token"),
        (b"[]", "without a token"),
        (b"17", "without a token"),
        (b'"text"', "without a token"),
        (b"{}", "without a token"),
        (b'{"token_type": "Bearer"}', "without a token"),
        (b'{"access_token": null, "token_type": "Bearer"}', "without a token"),
        (b"\xff\xfe\x00\x01", "without a token"),
        (b"[" * 100_000, "without a token"),
        (b'{"a":' * 50_000, "without a token"),
        (b"x" * 2**20, "without a token"),
    ],
)
def test_an_answer_without_a_token_is_one_clear_error(body: bytes, said: str) -> None:
    with pytest.raises(TokenResponseError, match=said) as caught:
        parse(body)
    assert "Check Token URL" in str(caught.value)
    assert len(str(caught.value)) < 700
    assert caught.value.status_code == 200


def test_a_bom_and_another_encoding_are_read_as_json_allows() -> None:
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        assert parse(json.dumps(granted()).encode(encoding)).value == VALUE


def test_a_token_and_an_error_do_not_hide_each_other() -> None:
    with pytest.raises(OAuth2Error, match="invalid_scope"):
        parse({"access_token": None, "error": "invalid_scope"})
    with pytest.raises(OAuth2Error, match="invalid_scope") as caught:
        parse(granted(error="invalid_scope"), status=400)
    assert VALUE not in str(caught.value)


def test_the_errors_of_an_answer_never_hold_the_secret() -> None:
    for status in (200, 302, 400, 401, 404, 429, 500):
        for echo in (SECRET, basic_credentials(client_settings())):
            with pytest.raises(OAuth2Error) as caught:
                parse(
                    {"error": "x", "error_description": f"you sent {echo}", "error_uri": echo},
                    status,
                    {"Location": echo},
                )
            assert echo not in str(caught.value)
