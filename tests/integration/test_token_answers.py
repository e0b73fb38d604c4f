"""Deformed answers of the token endpoint: each is one clear error or a right token, within its time."""

from __future__ import annotations

import gzip
import json
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_oauth_provider import exceptions
from airflow_oauth_provider.exceptions import OAuth2Error, PermanentError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.tokens.early_refresh import EarlyRefresh
from tests.integration.conftest import CLIENT_ID, CLIENT_SECRET
from tests.support.raw import chain_of, encodings, found_in
from tests.support.servers import OAuthServer, Reply

Connection = Callable[..., str]
GOOD = {"access_token": "good.token", "token_type": "Bearer", "expires_in": 3600}
JSON = {"Content-Type": "application/json"}
# An attempt, or three and the back-offs between them, on a machine that stalls; what is looked for takes longer still:
# a pause that is cut to the 30 s that we wait for, or what drips for minutes.
ONCE_S, THRICE_S = 25, 45


@dataclass(frozen=True)
class Refused:
    """
    An answer that is an error.

    :param error: its class's name
    :param says: what the message holds
    :param requests: how many were made: only what may pass is tried again
    """

    name: str
    reply: Reply
    error: str
    says: str = ""
    requests: int = 1
    retry_after_s: float | None = None


@dataclass(frozen=True)
class Granted:
    """An answer with a right token."""

    name: str
    reply: Reply
    lifetime_s: float = 3600
    scope: str | None = "read"


def changed(**members: Any) -> Reply:
    return Reply(200, {**GOOD, **members})


def without(name: str) -> Reply:
    return Reply(200, {key: value for key, value in GOOD.items() if key != name})


def text(body: str | bytes, status: int = 200, **headers: str) -> Reply:
    return Reply(status, body, {**JSON, **{key.replace("_", "-"): value for key, value in headers.items()}})


def refusal(code: str, description: str = "made-up", status: int = 400) -> Reply:
    return Reply(status, {"error": code, "error_description": description})


UNREADABLE, UNUSABLE, DOWN = "TokenResponseError", "UnusableTokenError", "TokenEndpointUnavailableError"
REFUSED = [
    Refused("an HTML page", Reply(200, "<!doctype html><html><body>Log in", {"Content-Type": "text/html"}), UNREADABLE,
            "an HTML page"),
    Refused("nothing", Reply(200, b""), UNREADABLE, "an empty body"),
    Refused("204", Reply(204, b""), UNREADABLE, "an empty body"),
    Refused("a list", Reply(200, [GOOD]), UNREADABLE),
    Refused("a string", text('"good.token"'), UNREADABLE),
    Refused("null", text("null"), UNREADABLE),
    Refused("truncated JSON", text(json.dumps(GOOD)[:-9]), UNREADABLE),
    Refused("no JSON", text("access_token=good.token&token_type=bearer"), UNREADABLE),
    Refused("deep nesting", text("[" * 200_000), UNREADABLE),
    Refused("a deeply nested token", text('{"access_token":' + '{"a":' * 100_000), UNREADABLE),
    Refused("a number of a hundred thousand digits", text("9" * 100_000), UNREADABLE),
    Refused("ten megabytes", text(json.dumps({**GOOD, "junk": "x" * 10_000_000})), UNREADABLE, "more than 1 MiB"),
    Refused("a gzip bomb", text(gzip.compress(b" " * 200_000_000, 6), Content_Encoding="gzip"), UNREADABLE,
            "more than 1 MiB"),
    Refused("double gzip", text(gzip.compress(gzip.compress(json.dumps(GOOD).encode())), Content_Encoding="gzip, gzip"),
            UNREADABLE, "compressed its answer more than once"),
    Refused("broken gzip", text(b"no gzip at all", Content_Encoding="gzip"), DOWN, "compression is broken", 3),
    Refused("no token", without("access_token"), UNREADABLE),
    Refused("a null token", changed(access_token=None), UNREADABLE),
    Refused("an empty token", changed(access_token=""), UNUSABLE),
    Refused("a number for a token", changed(access_token=12345), UNUSABLE),
    Refused("a list for a token", changed(access_token=["good.token"]), UNUSABLE),
    Refused("CRLF in the token", changed(access_token="good\r\nX-Injected: yes"), UNUSABLE),
    Refused("a line feed behind the token", changed(access_token="good.token\n"), UNUSABLE),
    Refused("a blank in the token", changed(access_token="good token"), UNUSABLE),
    Refused("a NUL in the token", changed(access_token="good\0token"), UNUSABLE),
    Refused("a token beyond ASCII", changed(access_token="gööd.token"), UNUSABLE),
    Refused("a lone surrogate in the token", text(r'{"access_token":"\ud800","token_type":"Bearer"}'), UNUSABLE),
    Refused("no token_type", without("token_type"), UNUSABLE, "no token_type"),
    Refused("an empty token_type", changed(token_type=""), UNUSABLE),
    Refused("a number for a token_type", changed(token_type=1), UNUSABLE),
    Refused("token_type mac", changed(token_type="mac"), UNUSABLE, "'mac'"),
    Refused("token_type N_A", changed(token_type="N_A"), UNUSABLE, "only Bearer and DPoP are known"),
    Refused("a token_type that forges a log line", changed(token_type="x\n[2026-01-01] INFO forged"), UNUSABLE),
    Refused("an error in a 200", refusal("invalid_scope", status=200), "InvalidScopeError", "invalid_scope"),
    Refused("an unknown error in a 200", refusal("made_up_error", status=200), "TokenRefusedError", "made_up_error"),
    Refused("401 without a body", Reply(401, b""), "InvalidClientError", "Check Client ID and Client secret"),
    Refused("401 with HTML", Reply(401, "<html>no", {"Content-Type": "text/html"}), "InvalidClientError"),
    Refused("400 without a body", Reply(400, b""), "TokenRefusedError", "an empty body"),
    Refused("404", Reply(404, "nothing here"), "TokenRefusedError", "Check Token URL"),
    Refused("405", Reply(405, b""), "TokenRefusedError", "Check Token URL"),
    Refused("invalid_client", refusal("invalid_client", status=401), "InvalidClientError", "client_secret_post"),
    Refused("invalid_client with 400", refusal("invalid_client"), "InvalidClientError"),
    Refused("unauthorized_client", refusal("unauthorized_client"), "UnauthorizedClientError", "client_credentials"),
    Refused("invalid_scope", refusal("invalid_scope"), "InvalidScopeError", "Check Scope"),
    Refused("invalid_target", refusal("invalid_target"), "InvalidTargetError", "Check Audience"),
    Refused("invalid_grant", refusal("invalid_grant"), "InvalidGrantError", "invalid_grant"),
    Refused("invalid_request", refusal("invalid_request"), "TokenRefusedError", "misses or dislikes a parameter"),
    Refused("unsupported_grant_type", refusal("unsupported_grant_type"), "TokenRefusedError", "client_credentials"),
    Refused("access_denied", refusal("access_denied", status=403), "TokenRefusedError", "access_denied"),
    Refused("a number for an error", Reply(400, {"error": 17}), "TokenRefusedError", "17"),
    Refused("an object for an error", Reply(400, {"error": {"code": "x"}}), "TokenRefusedError"),
    Refused("a list for a description", Reply(400, {"error": "invalid_scope", "error_description": ["a", "b\n"]}),
            "InvalidScopeError"),
    Refused("a code that forges a log line", refusal("x\r\n[2026-01-01] INFO forged"), "TokenRefusedError"),
    Refused("a code of 10,000 characters", refusal("x" * 10_000), "TokenRefusedError"),
    Refused("a description that forges a log line", refusal("invalid_scope", "no\n[2026-01-01] INFO all is well"),
            "InvalidScopeError", r"no\n[2026-01-01]"),
    Refused("a description with ANSI escapes", refusal("invalid_scope", "\x1b[2J\x1b[31mred\x07\x9b1m"),
            "InvalidScopeError", r"\x1b[2J"),
    Refused("a description that turns the text round", refusal("invalid_scope", "\u202etxt.exe\u2028line\u0085next"),
            "InvalidScopeError", r"\u202e"),
    Refused("a description of 100,000 characters", refusal("invalid_scope", "long " * 20_000), "InvalidScopeError"),
    Refused("500", Reply(500, "boom"), DOWN, "out of order", 3),
    Refused("503 with HTML", Reply(503, "<html>busy", {"Content-Type": "text/html"}), DOWN, "out of order", 3),
    Refused("500 with a token", Reply(500, GOOD), DOWN, "out of order", 3),
    Refused("server_error", refusal("server_error"), DOWN, "server_error"),
    Refused("429 for long", Reply(429, b"", {"Retry-After": "3600"}), DOWN, "limiting", 1, 3600),
    Refused("503 for ages", Reply(503, b"", {"Retry-After": "99999999999999999999"}), DOWN, "out of order", 1),
    Refused("503 until a date", Reply(503, b"", {"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}), DOWN, "out of order",
            1),
    Refused("429 until nonsense", Reply(429, b"", {"Retry-After": "soon"}), DOWN, "limiting", 3),
    Refused("429 until long ago", Reply(429, b"", {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), DOWN, "limiting",
            3),
]  # fmt: skip
EXPIRES_IN: list[tuple[Any, float]] = [
    (0, 300), (-1, 300), (None, 300), (True, 300), ("soon", 300), ([], 300), ("", 300), ("-5", 300), (10**400, 300),
    ("3599", 3599), (3599.0, 3599), (" 3599 ", 3599), ("3599.0", 3599), (1, 1),
    (10**15, 30 * 86400), ("9" * 300, 30 * 86400),
]  # fmt: skip
GRANTED = [
    Granted("no expires_in", without("expires_in"), 300),
    *(Granted(f"expires_in {value!r:.20}", changed(expires_in=value), lifetime_s) for value, lifetime_s in EXPIRES_IN),
    *(
        Granted(f"expires_in as {value}", text(json.dumps(GOOD).replace("3600", value)), 300)
        for value in ("NaN", "Infinity", "-Infinity", "1e400", "-0.0")
    ),
    Granted("bearer in lower case", changed(token_type="bearer")),
    Granted("BEARER", changed(token_type="BEARER")),
    Granted("unknown members", changed(refresh_token="unwanted", id_token={"a": [1]}, ext_expires_in="x")),
    Granted("duplicate members", text('{"access_token":"first","token_type":"mac",' + json.dumps(GOOD)[1:])),
    Granted("UTF-8 with a byte order mark", text(b"\xef\xbb\xbf" + json.dumps(GOOD).encode())),
    Granted("UTF-16", text(json.dumps(GOOD).encode("utf-16"))),
    Granted("gzip", text(gzip.compress(json.dumps(GOOD).encode()), Content_Encoding="gzip")),
    Granted("text/plain", Reply(200, json.dumps(GOOD), {"Content-Type": "text/plain"})),
    Granted("no content type", Reply(200, json.dumps(GOOD), {"Content-Type": ""})),
    Granted("201", Reply(201, GOOD)),
    Granted("an error beside the token", changed(error=None, error_description="")),
    Granted("scope as a list", changed(scope=["read", "write"]), scope="read write"),
    Granted("scope as null", changed(scope=None)),
    Granted("scope as a number", changed(scope=5)),
    Granted("an empty scope", changed(scope="")),
    Granted("a narrower scope", changed(scope="nothing")),
]


@pytest.mark.statement(14)
@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_a_deformed_answer_is_one_clear_error(server: OAuthServer, connect: Connection, case: Refused) -> None:
    server.token_reply = lambda _: case.reply
    hook = OAuth2Hook(oauth2_conn_id=connect())
    memory_kib, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()

    with pytest.raises(OAuth2Error) as caught:
        hook.get_token()

    assert time.monotonic() - began < (ONCE_S if case.requests == 1 else THRICE_S)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory_kib < 100_000
    error = caught.value
    assert type(error).__name__ == case.error
    assert case.says in str(error)
    assert error.status_code in (None, case.reply.status)
    assert len(server.token_requests) == case.requests
    if case.retry_after_s is not None:
        assert error.retry_after_s == case.retry_after_s
    check_text(error)


@pytest.mark.statement(13)
@pytest.mark.parametrize("case", GRANTED, ids=lambda case: case.name)
def test_an_odd_answer_is_a_right_token(
    server: OAuthServer, connect: Connection, monkeypatch: pytest.MonkeyPatch, case: Granted
) -> None:
    # One that lives for a second is soon due.
    monkeypatch.setattr(EarlyRefresh, "start_when_due", lambda _: None)
    server.token_reply = lambda _: case.reply
    before = time.time()

    token = OAuth2Hook(oauth2_conn_id=connect()).get_token()

    assert (token.value, token.token_type.lower()) == ("good.token", "bearer")
    assert token.scope == ("nothing" if case.name == "a narrower scope" else case.scope)
    assert token.expires_at - token.issued_at == pytest.approx(case.lifetime_s)
    assert before <= token.issued_at <= time.time()
    assert "good.token" not in repr(token)
    assert len(server.token_requests) == 1


def check_text(error: OAuth2Error) -> None:
    """What every message has to be: one line, bounded, printable, and without the secret."""
    assert type(error).__name__ in exceptions.__all__
    for shown in (str(error), *(str(getattr(error, name) or "") for name in ("error", "request_id"))):
        assert shown.isprintable(), shown
        assert len(shown) <= 2500
        assert found_in(shown, encodings(CLIENT_ID, CLIENT_SECRET)) == []
    assert len(str(error)) > 30
    assert isinstance(error, PermanentError) != isinstance(error, exceptions.TransientError)
    for link in chain_of(error):
        assert not any(hasattr(link, name) for name in ("request", "response", "doc", "object")), repr(link)
