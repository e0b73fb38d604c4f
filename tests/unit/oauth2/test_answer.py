"""Answers in the dialects of servers, and tokens that are bound to a key."""

from __future__ import annotations

import json
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from airflow_oauth_provider.exceptions import TokenResponseError, UnusableTokenError
from airflow_oauth_provider.masking import Redactor
from airflow_oauth_provider.oauth2.dpop import ProofKey
from airflow_oauth_provider.oauth2.settings import TOKEN_EXCHANGE, AnswerDialect
from airflow_oauth_provider.oauth2.token import AccessToken
from airflow_oauth_provider.oauth2.token_response import parse_token_response
from tests.support.made_up import client_settings

NOW = 1_790_000_000.0
VALUE = "made-up-token-value"
GOOD = {"access_token": VALUE, "token_type": "Bearer", "expires_in": 600}
PLAIN = {"access_token": VALUE}


def parse(
    members: dict[str, Any],
    *,
    proof_key: ProofKey | None = None,
    settings: dict[str, Any] | None = None,
    **dialect: Any,
) -> AccessToken:
    client = client_settings(answer=AnswerDialect(**dialect), **(settings or {}))
    return parse_token_response(
        client,
        Redactor(client.secrets()),
        status=200,
        headers=CaseInsensitiveDict(),
        body=json.dumps(members).encode(),
        now=NOW,
        proof_key=proof_key,
    )


@pytest.fixture(scope="module")
def proof_key() -> ProofKey:
    return ProofKey.generate("ES256")


# Where the token lies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("data", {"data": GOOD}),
        ("data.result", {"data": {"result": GOOD}}),
        ("data.access_token", {"data": GOOD}),
        ("data.jwt", {"data": {"jwt": VALUE, "token_type": "Bearer", "expires_in": 600}, "access_token": "another"}),
        ("jwt", {"jwt": VALUE, "token_type": "Bearer", "expires_in": 600}),
    ],
)
def test_a_path_leads_to_the_object_or_to_the_token_with_its_siblings(path: str, answer: dict[str, Any]) -> None:
    token = parse(answer, path=path)
    assert (token.value, token.lifetime_s) == (VALUE, 600)


@pytest.mark.parametrize("path", ["data", "data.access_token", "a.b.access_token"])
def test_what_is_said_around_the_token_counts_where_nothing_is_said_beside_it(path: str) -> None:
    around = {"token_type": "bearer", "expires_in": 50, "scope": "read"}
    answer = {**around, "data": {"access_token": VALUE}, "a": {"expires_in": 70, "b": {"access_token": VALUE}}}
    token = parse(answer, path=path)
    assert (token.value, token.lifetime_s, token.scope) == (VALUE, 70 if path.startswith("a") else 50, "read")
    beside = {**answer, "data": {"access_token": VALUE, "expires_in": 20}}
    if path.startswith("data"):
        assert parse(beside, path=path).lifetime_s == 20


@pytest.mark.parametrize("path", ["nothing", "data.nothing", "list", "data.access_token.more", "data.null", "."])
def test_a_path_that_leads_nowhere_is_named_in_the_error(path: str) -> None:
    answer = {**GOOD, "list": [], "data": {**PLAIN, "null": None}}
    with pytest.raises((TokenResponseError, UnusableTokenError)) as caught:
        parse(answer, path=path)
    assert VALUE not in str(caught.value)
    if path != "list":
        assert "Check answer_path" in str(caught.value)


def test_without_a_path_only_the_outermost_object_counts() -> None:
    with pytest.raises(TokenResponseError, match="JSON with the members data"):
        parse({"data": GOOD})


# Its type and life ----------------------------------------------------------------------------------------------------


@pytest.mark.statement(10)
def test_blanks_around_a_type_are_no_part_of_it() -> None:
    assert parse({**PLAIN, "token_type": " Bearer "}).token_type == "Bearer"


@pytest.mark.parametrize("missing", [{}, {"token_type": None}, {"token_type": ""}])
def test_an_answer_without_a_type_is_used_only_when_the_connection_names_one(missing: dict[str, Any]) -> None:
    assert parse({**PLAIN, **missing}, default_scheme="Bearer").token_type == "Bearer"
    with pytest.raises(UnusableTokenError, match="set default_scheme"):
        parse({**PLAIN, **missing})


@pytest.mark.statement(11)
def test_a_default_scheme_replaces_no_type_that_is_there() -> None:
    for token_type in ("mac", 7, ["Bearer"]):
        with pytest.raises(UnusableTokenError):
            parse({**PLAIN, "token_type": token_type}, default_scheme="Bearer")


@pytest.mark.statement(11)
@pytest.mark.parametrize("token_type", ["BearerToken", "bearertoken", "N_A", "Application Access Token"])
def test_a_type_that_the_connection_takes_for_bearer_is_used_as_bearer(token_type: str) -> None:
    aliases = ("bearertoken", "n_a", "application access token")
    assert parse({**PLAIN, "token_type": token_type}, type_aliases=aliases).token_type == "Bearer"
    with pytest.raises(UnusableTokenError, match="set type_aliases"):
        parse({**PLAIN, "token_type": token_type})


def test_what_a_token_exchange_issued_is_named_when_it_is_no_access_token() -> None:
    answer = {**PLAIN, "token_type": "N_A", "issued_token_type": "urn:ietf:params:oauth:token-type:saml2"}
    with pytest.raises(UnusableTokenError, match=r"token-type:saml2; RFC 8693 §2\.2\.1.*requested_token_type"):
        parse(answer, settings={"grant": TOKEN_EXCHANGE})


@pytest.mark.statement(13)
@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (3_600_000, 3600),
        ("3600000", 3600),
        (3_600_000.0, 3600),
        (10**15, 30 * 86_400),
        (0, 900),
        (None, 900),
        (-5, 900),
    ],
)
def test_a_life_in_milliseconds_and_a_default_of_the_connections_own(expires_in: Any, seconds: float) -> None:
    token = parse({**GOOD, "expires_in": expires_in}, expires_in_unit_s=0.001, default_lifetime_s=900.0)
    assert token.lifetime_s == pytest.approx(seconds)


@pytest.mark.statement(13)
def test_the_default_of_a_connection_is_bounded_too() -> None:
    assert parse({**PLAIN, "token_type": "Bearer"}, default_lifetime_s=1e9).lifetime_s == 30 * 86_400


# Bound to a key -------------------------------------------------------------------------------------------------------


@pytest.mark.statement(46)
@pytest.mark.parametrize("token_type", ["DPoP", "dpop", "DPOP"])
def test_a_dpop_token_is_bound_to_the_key_of_the_proof(proof_key: ProofKey, token_type: str) -> None:
    token = parse({**GOOD, "token_type": token_type}, proof_key=proof_key, settings={"dpop": "true"})
    assert token.proof_key is proof_key
    assert token.scheme == "DPoP"


@pytest.mark.statement(46)
def test_a_dpop_token_is_refused_when_no_proof_was_sent() -> None:
    with pytest.raises(UnusableTokenError, match=r"no proof was sent.*Set dpop\."):
        parse({**GOOD, "token_type": "DPoP"})


@pytest.mark.statement(46)
@pytest.mark.parametrize("answer", [GOOD, {**GOOD, "token_type": "BearerToken"}, PLAIN], ids=["type", "alias", "none"])
def test_a_downgrade_to_bearer_is_refused(proof_key: ProofKey, answer: dict[str, Any]) -> None:
    dialect = {"default_scheme": "Bearer", "type_aliases": ("bearertoken",)}
    with pytest.raises(UnusableTokenError, match="set dpop to preferred") as caught:
        parse(answer, proof_key=proof_key, settings={"dpop": "true"}, **dialect)
    assert VALUE not in str(caught.value)


@pytest.mark.statement(46)
def test_a_downgrade_to_bearer_is_taken_where_dpop_is_only_preferred(proof_key: ProofKey) -> None:
    token = parse(GOOD, proof_key=proof_key, settings={"dpop": "preferred"})
    assert (token.proof_key, token.scheme) == (None, "Bearer")
    bound = parse({**GOOD, "token_type": "DPoP"}, proof_key=proof_key, settings={"dpop": "preferred"})
    assert bound.scheme == "DPoP"


# Where the API is -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["https://acme.my.example.com", "https://[::1]:8443/v1/", "HTTPS://a.example/x;y=1", "http://127.0.0.1:8080"]
)
def test_the_base_url_is_kept_with_the_token(url: str) -> None:
    assert parse({**GOOD, "instance_url": url}, base_url_member="instance_url").base_url == url


def test_the_base_url_lies_beside_the_token() -> None:
    answer = {"data": {**GOOD, "instance_url": "https://acme.example.com"}, "instance_url": "https://evil.example"}
    assert parse(answer, path="data", base_url_member="instance_url").base_url == "https://acme.example.com"


def test_a_base_url_is_taken_from_no_answer_that_was_not_asked_for_one() -> None:
    assert parse({**GOOD, "instance_url": "https://evil.example"}).base_url is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        7,
        ["https://a.example"],
        "a.example",
        "//a.example",
        "ftp://a.example",
        "https://",
        "javascript:alert(1)",
        "https://user:made-up-word@a.example",
        "https://a.example/?key=made-up-word",
        "https://a.example/#made-up-word",
        "https://a.example\\@b.example",
        "https://a.example/\r\nX-Evil: made-up-word",
        "https://a.example/ b",
        "https://a.example/\x00",
        "https://bücher.example",
        "https://a.example\n",
        "https://" + "a" * 5000,
    ],
)
def test_what_is_no_plain_absolute_url_is_refused_without_being_shown(value: Any) -> None:
    with pytest.raises(UnusableTokenError, match=r"'instance_url'.*Check base_url_from") as caught:
        parse({**GOOD, "instance_url": value}, base_url_member="instance_url")
    assert "made-up-word" not in str(caught.value)
    assert VALUE not in str(caught.value)
