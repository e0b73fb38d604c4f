"""Whatever servers echo and whatever breaks: no log, message, repr, pickle or traceback holds a secret or a token."""

from __future__ import annotations

import base64
import copy
import gc
import html
import json
import pickle
import re
import traceback
import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import requests

from airflow_oauth_provider.exceptions import OAuth2Error, TokenExposureError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from tests.integration.conftest import CLIENT_ID, CLIENT_SECRET
from tests.support.raw import RawServer, answer, chain_of, encodings, found_in, reset
from tests.support.servers import OAuthServer, Reply, free_port

Connection = Callable[..., str]

API_KEY = "made-up api+key/of&the=API"
PARAMETER = "made-up-secret-parameter/+1"
BASIC = f"{quote(CLIENT_ID, safe='')}:{quote(CLIENT_SECRET, safe='')}"
SECRETS = {"secret_headers": {"X-Api-Key": API_KEY}, "secret_params": {"pin": PARAMETER}}

FORMS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "percent-encoded": lambda text: quote(text, safe=""),
    "percent-encoded in lower case": lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text, safe="")),
    "form-encoded": quote_plus,
    "JSON-escaped": lambda text: json.dumps(text)[1:-1],
    "HTML-escaped": html.escape,
    "Basic": lambda text: base64.b64encode(BASIC.encode()).decode() if text == CLIENT_SECRET else text,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
}


def wanted_absent(server: OAuthServer) -> set[str]:
    """Return all that may not be seen: every form of every secret, and of every token that was issued."""
    forms = {form for secret in (CLIENT_SECRET, API_KEY, PARAMETER) for form in encodings(CLIENT_ID, secret)}
    tokens = {form for token in list(server.tokens) for form in encodings(CLIENT_ID, token)}
    return {form for form in forms | tokens if len(form) > 8}


def provoke(call: Callable[[], object]) -> OAuth2Error:
    with pytest.raises(OAuth2Error) as caught:
        call()
    return caught.value


def shown(error: OAuth2Error) -> str:
    """Return everything that a log, a UI or another process could get of *error*."""
    parts = [*traceback.format_exception(error), repr(error), repr(vars(error)), repr(error.args)]
    for link in chain_of(error):
        parts += [repr(link), str(link), repr(vars(link)), repr(link.args)]
        held = gc.get_referents(link)
        assert not [h for h in held if isinstance(h, requests.PreparedRequest | requests.Response)], link
    parts.append(pickle.dumps(error).decode("latin-1"))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    return "\n".join(parts)


# Echoes of the token endpoint -----------------------------------------------------------------------------------------

PLACES: dict[str, Callable[[str], Reply]] = {
    "description": lambda echo: Reply(400, {"error": "invalid_scope", "error_description": f"got {echo}!"}),
    "uri": lambda echo: Reply(400, {"error": "invalid_scope", "error_uri": f"https://x.example/?q={echo}"}),
    "code": lambda echo: Reply(400, {"error": f"bad {echo}"}),
    "description of a 401": lambda echo: Reply(401, {"error": "invalid_client", "error_description": echo}),
    "description of a 503": lambda echo: Reply(
        503, {"error": "down", "error_description": echo}, {"Retry-After": "99"}
    ),
    "page": lambda echo: Reply(404, f"you sent {echo}", {"Content-Type": "text/plain"}),
    "page of a 200": lambda echo: Reply(200, f"you sent {echo}", {"Content-Type": "text/plain"}),
    "content type": lambda echo: Reply(404, "x", {"Content-Type": quote(echo, safe="")}),
    "location": lambda echo: Reply(302, b"", {"Location": f"/login?{quote(echo, safe='')}"}),
    "request id": lambda echo: Reply(400, {"error": "x"}, {"X-Request-Id": quote(echo, safe="")}),
    "token type": lambda echo: Reply(200, {"access_token": "a", "token_type": echo}),
    "behind blanks": lambda echo: Reply(
        400, {"error": "invalid_scope", "error_description": " " * (4000 - len(echo) // 2) + echo}
    ),
    "again and again": lambda echo: Reply(400, {"error": "invalid_scope", "error_description": echo * 200}),
    "page behind blanks": lambda echo: Reply(404, " " * (4000 - len(echo) // 2) + echo, {"Content-Type": "text/plain"}),
}


ECHOES = {(place, form) for place in PLACES for form in FORMS if place == "description" or form in ("raw", "Basic")}


@pytest.mark.parametrize(("place", "form"), sorted(ECHOES))
def test_what_the_token_endpoint_echoes_is_hidden(
    server: OAuthServer, connect: Connection, everything: pytest.LogCaptureFixture, place: str, form: str
) -> None:
    echo = FORMS[form](CLIENT_SECRET)
    server.token_reply = lambda _: PLACES[place](echo)
    hook = OAuth2Hook(oauth2_conn_id=connect(**SECRETS))

    error = provoke(hook.get_token)
    again = provoke(OAuth2Hook(oauth2_conn_id="shop").get_token)  # remembered, by way of the store
    worked, message = hook.test_connection()

    assert not worked
    text = "\n".join([shown(error), shown(again), message, everything.text])
    assert found_in(text, wanted_absent(server)) == []
    # Nor a large part of it.
    assert found_in(text, [echo[:12], echo[-12:]]) == []


def test_a_granted_scope_that_echoes_the_secret_is_hidden(
    server: OAuthServer, connect: Connection, everything: pytest.LogCaptureFixture
) -> None:
    server.token_reply = lambda _: server.issue(scope=f"read {CLIENT_SECRET}\n{PARAMETER}")
    hook = OAuth2Hook(oauth2_conn_id=connect(**SECRETS))

    token = hook.get_token()
    worked, message = hook.test_connection()

    assert worked
    text = f"{token!r} {token.scope} {message} {everything.text}"
    assert "\n" not in message + repr(token)
    assert found_in(text, wanted_absent(server)) == []


# Echoes of the API ----------------------------------------------------------------------------------------------------


def api_echoes(kind: str, text: str) -> Reply:
    plain = {"Content-Type": "text/plain"}
    return {
        "body": Reply(400, f"you sent {text}", plain),
        "body of a 401": Reply(401, f"you sent {text}", plain),
        "JSON": Reply(422, {"sent": text}),
        "behind blanks": Reply(400, " " * (4096 - len(text) // 2) + text, plain),
        "behind 1,000 characters": Reply(400, "x" * (1000 - len(text) // 2) + text, plain),
        "challenge": Reply(403, b"", {"WWW-Authenticate": f'Bearer error="{quote(text, safe="")}"'}),
        "request id": Reply(400, b"", {"X-Request-Id": quote(text, safe="")}),
        "location": Reply(
            302, b"", {"Location": f"https://evil.example/{quote(text, safe='')}?{quote(text, safe='')}"}
        ),
        "two chunks": Reply(
            raw=b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (text[:15].encode(), text[15:].encode()))
            + b"0\r\n\r\n"
        ),
    }[kind]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "kind",
    ["body", "body of a 401", "JSON", "behind blanks", "behind 1,000 characters", "challenge", "request id", "location",
     "two chunks"],
)  # fmt: skip
def test_what_the_api_echoes_is_hidden(
    server: OAuthServer, connect: Connection, everything: pytest.LogCaptureFixture, kind: str, stream: bool
) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect(**SECRETS))
    for secret in (hook.get_token().value, API_KEY, CLIENT_SECRET, PARAMETER):
        server.api_reply = lambda _, text=secret: api_echoes(kind, text)

        text = shown(provoke(lambda: hook.request("GET", "orders", stream=stream)))

        assert found_in(text + everything.text, wanted_absent(server)) == []
        assert found_in(text, [secret[:12], secret[-12:]]) == []


# Whatever breaks ------------------------------------------------------------------------------------------------------


def broken_ways(server: OAuthServer, port: int) -> dict[str, dict[str, Any]]:
    return {
        "refused": {"host": f"http://127.0.0.1:{free_port()}/token"},
        "reset": {"host": f"http://127.0.0.1:{port}/token"},
        "TLS": {"host": f"https://127.0.0.1:{server.port}/token"},
        "unknown host": {"host": "https://no-such-host.invalid/token"},
        "API refused": {"base_url": f"http://127.0.0.1:{free_port()}"},
        "API reset": {"base_url": f"http://127.0.0.1:{port}"},
        "API TLS": {"base_url": f"https://127.0.0.1:{server.port}"},
        "setting": {"verify": "/no/such/file"},
        "credential in the wrong place": {"extra_params": {"client_secret": CLIENT_SECRET}},
        "unknown key": {"clientsecret": CLIENT_SECRET},
        "secret as a header": {"headers": {"Authorization": f"Bearer {API_KEY}"}},
        "header with a line feed": {"secret_headers": {"X-Api-Key": API_KEY + "\n"}},
        "userinfo": {"base_url": f"http://user:{quote(PARAMETER, safe='')}@127.0.0.1:{server.port}"},
        "proxy": {"host": "http://a.test/t", "allow_http": True, "timeout": "0.5,0.5",
                  "proxies": {"http": f"http://user:{quote(PARAMETER, safe='')}@127.0.0.1:{port}"}},
    }  # fmt: skip


WAYS = [
    "refused", "reset", "TLS", "unknown host", "API refused", "API reset", "API TLS", "setting", "unknown key", "proxy",
    "credential in the wrong place", "secret as a header", "header with a line feed", "userinfo",
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_no_error_and_no_log_of_what_breaks_holds_a_secret(
    server: OAuthServer, connect: Connection, everything: pytest.LogCaptureFixture, way: str
) -> None:
    with RawServer(reset) as broken:
        changes = {"timeout": "1,1", **SECRETS, **broken_ways(server, broken.port)[way]}
        hook = OAuth2Hook(oauth2_conn_id=connect(**changes))
        # A POST of a secret by the caller, so that nothing is repeated at the API.
        error = provoke(lambda: hook.request("POST", "orders?key=hidden-query", json={"pin": PARAMETER}))
        _, message = hook.test_connection()

    text = shown(error) + message + everything.text
    assert found_in(text, wanted_absent(server)) == []
    assert "hidden-query" not in str(error)


def test_no_repr_shows_a_secret_or_a_token(server: OAuthServer, connect: Connection) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect(**SECRETS))
    hook.request("GET", "orders")
    session, source = hook.get_conn(), hook._source
    things = [
        hook,
        session,
        session.auth,
        session._settings,
        session.redactor(),
        hook._settings,
        hook._settings.client,
        hook.get_token(),
        source,
        source._shelf.held,
        source._entries,
        source._entries._store,
        source._entries.token(),
        source._entries._places,
        source._endpoint,
    ]

    text = "\n".join(f"{thing!r} {thing!s} {thing}" for thing in things)

    assert found_in(text, wanted_absent(server)) == []
    assert hook.get_token().fingerprint in text


@pytest.mark.parametrize(
    "leak",
    [
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        lambda token: token.serialize(),
        lambda token: pickle.dumps({"token": [token]}),
    ],
)
def test_a_token_does_not_leave_its_process(connect: Connection, leak: Callable[[Any], Any]) -> None:
    token = OAuth2Hook(oauth2_conn_id=connect()).get_token()

    with pytest.raises(TokenExposureError) as caught:
        leak(token)

    assert token.value not in shown(caught.value)


def test_a_streamed_answer_that_is_refused_leaves_no_connection_open(server: OAuthServer, connect: Connection) -> None:
    """Nobody but the hook has it in hands."""
    server.api_reply = lambda _: Reply(404, "x" * 10_000, {"Content-Type": "text/plain"})
    hook = OAuth2Hook(oauth2_conn_id=connect())

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        for _ in range(5):
            provoke(lambda: hook.request("GET", "orders", stream=True))
        gc.collect()

    assert [str(warning.message) for warning in caught if "unclosed" in str(warning.message)] == []


def test_an_answer_that_does_not_end_is_not_read_for_a_message(server: OAuthServer, connect: Connection) -> None:
    head = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 100000\r\n\r\n"
    with RawServer(answer(head + b"x" * 50)) as api:
        hook = OAuth2Hook(oauth2_conn_id=connect(allowed_hosts=f"http://127.0.0.1:{api.port}"))

        error = provoke(lambda: hook.request("POST", f"http://127.0.0.1:{api.port}/orders", stream=True))

    assert error.status_code == 404
