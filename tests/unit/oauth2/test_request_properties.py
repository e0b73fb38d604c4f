"""Whatever stands in a connection or comes from a server: what arrives is what was meant, and one header stays one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
from http.client import parse_headers
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests import Request

from airflow_oauth_provider.exceptions import OAuth2Error
from airflow_oauth_provider.masking import Redactor
from airflow_oauth_provider.oauth2.client_auth import AUTH_METHODS
from airflow_oauth_provider.oauth2.settings import JWT_BEARER, TOKEN_EXCHANGE, AnswerDialect, ClientSettings
from airflow_oauth_provider.oauth2.token import AccessToken
from airflow_oauth_provider.oauth2.token_request import TokenRequest, build_token_request, wire_parameters
from airflow_oauth_provider.oauth2.token_response import parse_token_response
from tests.support.made_up import attempt, client_settings, key_pair

if TYPE_CHECKING:
    from collections.abc import Mapping

bounded = settings(
    max_examples=150,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

# Besides any text, what has a meaning in a header, a form or JSON.
AWKWARD = st.text(alphabet=st.sampled_from(list("ab:+%&=/\\\"'<>;,#? \t\r\n\0é☃\U0001f600")), max_size=20)
TEXT = st.one_of(st.text(max_size=40), AWKWARD)
FILLED = TEXT.filter(bool)
NAMES = st.one_of(FILLED, st.sampled_from(["scope", "client_id", "client_secret", "assertion", "resource"]))
PAIRS = st.lists(st.tuples(NAMES, TEXT), max_size=4).map(tuple)


@st.composite
def clients(draw: st.DrawFn, *methods: str) -> ClientSettings:
    """Make the settings of a client, however odd its values."""
    return client_settings(
        auth_method=draw(st.sampled_from(methods or sorted(AUTH_METHODS))),
        client_id=draw(FILLED),
        client_secret=draw(st.binary(min_size=24, max_size=40)).hex() + draw(TEXT),
        signing_key=key_pair(),
        grant=draw(st.sampled_from(["client_credentials", JWT_BEARER, TOKEN_EXCHANGE])),
        subject=draw(st.none() | FILLED),
        scope=draw(st.none() | TEXT),
        audience=draw(st.none() | TEXT),
        resources=tuple(draw(st.lists(FILLED, max_size=3))),
        authorization_details=draw(st.none() | TEXT),
        extra_params=draw(PAIRS),
        secret_params=draw(PAIRS),
    )


def arrived(request: TokenRequest) -> list[tuple[str, str]]:
    return parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=50)


def on_the_wire(headers: Mapping[str, str]) -> dict[str, str]:
    """Return *headers* as a server reads them; what comes behind the block would be another request."""
    sent = dict(Request("POST", "https://login.example.com/", headers=dict(headers)).prepare().headers)
    sent.pop("Content-Length")
    block = "".join(f"{name}: {value}\r\n" for name, value in sent.items()).encode("latin-1")
    stream = io.BytesIO(block + b"\r\n")
    read = parse_headers(stream)
    assert stream.read() == b""
    assert len(read.items()) == len(headers)
    return dict(read.items())


def token_or_error(body: bytes, status: int, path: str | None) -> AccessToken | OAuth2Error:
    dialect = AnswerDialect(path=path, default_scheme="Bearer", base_url_member="instance_url")
    client = client_settings(answer=dialect)
    try:
        return parse_token_response(client, Redactor(()), status=status, headers={}, body=body, now=0.0)
    except OAuth2Error as error:
        return error


@pytest.mark.statement(3)
@pytest.mark.statement(5)
@bounded
@given(client=clients())
def test_a_form_arrives_as_it_was_meant(client: ClientSettings) -> None:
    request = build_token_request(client, attempt())
    wanted = list(wire_parameters(client))
    form = arrived(request)
    assert form[: len(wanted)] == wanted
    names = [name for name, _ in form]
    repeatable = {"resource", "audience"} if client.grant == TOKEN_EXCHANGE else {"resource"}
    assert len(set(names) - repeatable) == len([name for name in names if name not in repeatable])
    assert all(value for _, value in form)
    ways = ["Authorization" in request.headers, "client_secret" in names, "client_assertion" in names]
    assert sum(ways) == (client.auth_method not in ("tls_client_auth", "self_signed_tls_client_auth", "none"))


@bounded
@given(client=clients(), proof=st.none() | st.from_regex(r"[A-Za-z0-9_.-]+", fullmatch=True))
def test_no_connection_makes_two_headers_of_one(client: ClientSettings, proof: str | None) -> None:
    request = build_token_request(client, attempt(proof=proof))
    assert on_the_wire(request.headers) == request.headers
    assert request.url == client.token_endpoint


@pytest.mark.statement(1)
@bounded
@given(client_id=TEXT, secret=TEXT)
def test_a_server_that_decodes_basic_by_the_rfc_reads_id_and_secret(client_id: str, secret: str) -> None:
    request = build_token_request(client_settings(client_id=client_id, client_secret=secret), attempt())
    pair = base64.b64decode(request.headers["Authorization"].removeprefix("Basic "), validate=True).decode("ascii")
    user, colon, password = pair.partition(":")
    assert (unquote_plus(user), colon, unquote_plus(password)) == (client_id, ":", secret)


@pytest.mark.statement(1)
@bounded
@given(client_id=TEXT.filter(lambda text: ":" not in text), secret=TEXT)
def test_a_server_that_decodes_nothing_reads_id_and_secret_in_raw(client_id: str, secret: str) -> None:
    client = client_settings(client_id=client_id, client_secret=secret, basic_encoding="raw")
    header = build_token_request(client, attempt()).headers["Authorization"]
    pair = base64.b64decode(header.removeprefix("Basic "), validate=True).decode()
    assert pair.partition(":") == (client_id, ":", secret)


@pytest.mark.statement(26)
@bounded
@given(client=clients("client_secret_jwt"))
def test_an_assertion_arrives_signed_and_names_the_client(client: ClientSettings) -> None:
    form = dict(arrived(build_token_request(client, attempt())))
    signed, _, signature = form["client_assertion"].rpartition(".")
    digest = hmac.new(client.client_secret.encode(), signed.encode("ascii"), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)) == digest
    payload = signed.partition(".")[2]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["iss"] == claims["sub"] == form["client_id"] == client.client_id


@pytest.mark.statement(16)
@bounded
@given(
    value=st.one_of(TEXT, st.from_regex(r"[\x21-\x7e]+", fullmatch=True)),
    members=st.dictionaries(
        st.sampled_from(["token_type", "expires_in", "scope", "error", "error_description", "instance_url"]),
        st.one_of(TEXT, st.sampled_from(["Bearer", "https://a.example"]), st.integers(), st.floats(), st.none()),
    ),
    status=st.sampled_from([200, 302, 400, 401, 500]),
    path=st.sampled_from([None, "access_token", "data", "data.access_token"]),
)
def test_no_answer_makes_two_headers_or_two_lines_of_one(
    value: str, members: dict[str, Any], status: int, path: str | None
) -> None:
    answer = {"access_token": value, **members}
    read = token_or_error(json.dumps({"data": answer, **answer}).encode(), status, path)
    if isinstance(read, OAuth2Error):
        assert str(read).isprintable()
        return
    header = {"Authorization": f"{read.scheme} {read.value}"}
    assert on_the_wire(header) == header
    assert read.value == value
    assert repr(read).isprintable()
    assert 0 < read.lifetime_s <= 30 * 86_400
    assert str(read.base_url).isascii()
    assert str(read.base_url).isprintable()
