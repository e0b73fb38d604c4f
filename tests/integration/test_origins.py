"""Where the token goes and where it does not: redirects, tricky URLs, foreign hosts, proxies."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import requests

from airflow_oauth_provider.exceptions import ApiRefusedError, OAuth2Error, OriginError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from tests.support import worker
from tests.support.raw import chain_of
from tests.support.servers import OAuthServer, Reply, Seen, Server

Connection = Callable[..., str]


@pytest.fixture
def foreign() -> Iterator[Server]:
    """A server that may not see anything, and answers whatever makes a client send more."""
    answer = Reply(401, {"error": "invalid_token"}, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
    with Server(lambda _: answer) as running:
        yield running


def redirect_to(url: str, status: int = 302) -> Callable[[Seen], Reply]:
    return lambda seen: Reply(status, b"", {"Location": url}) if seen.path == "/api/from" else Reply(200, {})


@pytest.mark.statement(24)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_redirect_to_a_foreign_origin_sends_nothing_there(
    server: OAuthServer, foreign: Server, connect: Connection, status: int, method: str
) -> None:
    server.api_reply = redirect_to(f"{foreign.url}/steal?secret=1", status)
    hook = OAuth2Hook(oauth2_conn_id=connect(secret_headers={"X-Api-Key": "made-up-key"}))

    with pytest.raises(OriginError, match="allowed_hosts") as caught:
        hook.request(method, "from", json={"body": 1} if method == "POST" else None, idempotent=True)

    assert foreign.connections == 0
    assert foreign.url in str(caught.value)
    assert "secret=1" not in str(caught.value)
    assert all(not hasattr(link, "request") for link in chain_of(caught.value))
    assert len(server.api_requests) == 1


@pytest.mark.statement(24)
@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:{foreign}/steal",
        "HTTP://127.0.0.1:{foreign}/steal",
        "http://localhost:{foreign}/steal",
        "http://localhost:{own}/api/other-name-of-the-same-address",
        "http://127.0.0.1.:{own}/api",
        "http://127.1:{own}/api",
        "http://0x7f.0.0.1:{own}/api",
        "http://2130706433:{own}/api",
        "http://[::ffff:127.0.0.1]:{own}/api",
        "http://user:pass@127.0.0.1:{own}/api",
        "http://@127.0.0.1:{own}/api",
        "http://127.0.0.1:{own}@127.0.0.1:{foreign}/steal",
        "http://127.0.0.1:{own}%40127.0.0.1:{foreign}/steal",
        "http://127.0.0.1:{foreign}\\@127.0.0.1:{own}/api",
        "http://127.0.0.1:{foreign}\\.127.0.0.1:{own}/api",
        "http://127.0.0.1:{foreign}/\\@127.0.0.1:{own}/api",
        "http://127.0.0.1:{foreign}#@127.0.0.1:{own}/api",
        "http://127.0.0.1:{foreign}?@127.0.0.1:{own}/api",
        "http://127.0.0.1:{foreign};@127.0.0.1:{own}/api",
        "http://127.0.0.1\t:{own}/api",
        "http://127.0.0.1:{own}\n/api",
        "http://127.0.0.1 .example.com:{own}/api",
        "http://127.0.0.1:{own}0000/api",
        "http://127.0.0.1:0{own}0/api",
        "http://[127.0.0.1]:{own}/api",
        "http://\uff11\uff12\uff17.0.0.1:{foreign}/steal",  # full-width digits
        "http://127。0。0。1:{foreign}/steal",
        "https://127.0.0.1:{own}/api",
        "http:///127.0.0.1:{foreign}/steal",
        "http://",
        "ftp://127.0.0.1:{foreign}/steal",
        "file:///etc/hostname",
        "data://x",
        "https://evil.example\\@127.0.0.1:{own}/",
    ],
)
def test_a_tricky_absolute_url_goes_nowhere(
    server: OAuthServer, foreign: Server, connect: Connection, endpoint: str
) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect())
    url = endpoint.replace("{own}", str(server.port)).replace("{foreign}", str(foreign.port))

    with pytest.raises(OAuth2Error) as caught:
        hook.request("GET", url)

    assert foreign.connections == 0
    assert server.api_requests == []
    assert "\n" not in str(caught.value)


@pytest.mark.statement(24)
@pytest.mark.parametrize(
    "location",
    [
        "//127.0.0.1:{foreign}/steal",
        "\\\\127.0.0.1:{foreign}\\steal",
        "/\\127.0.0.1:{foreign}/steal",
        "http://127.0.0.1:{foreign}\\@127.0.0.1:{own}/api/to",
        "http://127.0.0.1:{own}@127.0.0.1:{foreign}/steal",
        "http://user@127.0.0.1:{own}/api/to",
        "http:127.0.0.1:{foreign}/steal",
        "https://127.0.0.1:{own}/api/to",
        "http://localhost:{own}/api/to",
    ],
)
def test_a_tricky_redirect_leads_no_token_away(
    server: OAuthServer, foreign: Server, connect: Connection, location: str
) -> None:
    server.api_reply = redirect_to(location.replace("{own}", str(server.port)).replace("{foreign}", str(foreign.port)))
    hook = OAuth2Hook(oauth2_conn_id=connect())

    # Either it is refused, or it is a strange path on the server that sent it.
    try:
        hook.request("GET", "from")
        outcome = "followed"
    except OriginError:
        outcome = "refused"
    except ApiRefusedError:  # there is nothing under that strange path
        outcome = "followed"

    assert foreign.connections == 0
    assert len(server.seen) == {"refused": 2, "followed": 3}[outcome]
    if location.startswith(("//", "https:", "http://")):
        assert outcome == "refused"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_inside_the_allowed_origins_are_followed_with_the_token(
    server: OAuthServer, connect: Connection, status: int
) -> None:
    with OAuthServer() as other:
        other.api_reply = lambda seen: Reply(200, {"authorization": seen.headers.get("authorization")})
        server.api_reply = redirect_to(f"{other.url}/api/to", status)
        hook = OAuth2Hook(oauth2_conn_id=connect(allowed_hosts=other.url, headers={"X-Own": "1"}))

        answer = hook.request("GET", "from").json()

        assert answer == {"authorization": f"Bearer {hook.get_token().value}"}
        assert other.api_requests[0].headers["x-own"] == "1"


def test_the_sixth_redirect_is_not_followed(server: OAuthServer, connect: Connection) -> None:
    server.api_reply = lambda _: Reply(302, b"", {"Location": "/api/again"})

    with pytest.raises(OAuth2Error, match="redirected too often"):
        OAuth2Hook(oauth2_conn_id=connect()).request("GET", "from")

    assert len(server.api_requests) == 6


def test_a_token_that_is_refused_behind_a_redirect_is_renewed_there(server: OAuthServer, connect: Connection) -> None:
    """Four sends are the most that an attempt may take."""
    hook = OAuth2Hook(oauth2_conn_id=connect())
    worker.store_old_token()
    old = hook.get_token()
    server.api_reply = lambda seen: redirect_to("/api/to")(seen) if seen.path == "/api/from" else server.checked(seen)

    assert hook.request("GET", "from").status_code == 200

    assert hook.get_token().value != old.value
    assert len(server.token_requests) == 1
    assert len(server.api_requests) <= 4


@pytest.mark.statement(24)
def test_an_absolute_url_of_an_allowed_origin_is_taken(server: OAuthServer, connect: Connection) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect())

    assert hook.request("GET", f"{server.url}/api/page?cursor=a%2Fb").json()["query"] == {"cursor": "a/b"}


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        (None, "/api"),
        ("", "/api"),
        ("orders", "/api/orders"),
        ("/orders", "/api/orders"),
        ("//evil.example/orders", "/api/evil.example/orders"),
        ("@evil.example/", "/api/@evil.example/"),
        ("?page=2", "/api"),
        ("a b", "/api/a%20b"),
        ("https:evil.example", "/api/https:evil.example"),
        ("http:\\\\evil.example\\", "/api/http:%5C%5Cevil.example%5C"),
        ("\\\\evil.example/", "/api/%5C%5Cevil.example/"),
        ("next?url=https://evil.example/", "/api/next"),
    ],
)
def test_a_relative_endpoint_stays_below_the_base_url(
    server: OAuthServer, connect: Connection, endpoint: str | None, path: str
) -> None:
    OAuth2Hook(oauth2_conn_id=connect()).request("GET", endpoint)

    assert [seen.path for seen in server.api_requests] == [path]


@pytest.mark.statement(24)
def test_the_auth_object_in_a_plain_session_sends_no_token_to_a_foreign_host(
    server: OAuthServer, foreign: Server, connect: Connection
) -> None:
    auth = OAuth2Hook(oauth2_conn_id=connect()).auth
    with requests.Session() as session:
        session.auth = auth
        assert session.get(f"{server.url}/api/orders").status_code == 200
        with pytest.raises(OriginError):
            session.get(f"{foreign.url}/steal")
        assert foreign.connections == 0

        server.api_reply = redirect_to(f"http://localhost:{foreign.port}/steal")
        answer = session.get(f"{server.url}/api/from")

    assert answer.status_code == 401
    assert [seen.headers.get("authorization") for seen in foreign.seen] == [None]
    assert len(server.token_requests) == 1


@pytest.mark.statement(21)
def test_the_auth_object_in_a_plain_session_renews_a_refused_token(server: OAuthServer, connect: Connection) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect())
    worker.store_old_token()

    assert requests.post(f"{server.url}/api/orders", json={"a": 1}, auth=hook.auth, timeout=60).status_code == 200

    assert [seen.body for seen in server.api_requests] == [b'{"a": 1}'] * 2
    assert len(server.token_requests) == 1
