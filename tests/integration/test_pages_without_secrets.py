"""Whatever an API puts into its pages: no log, error, repr or checkpoint of a pull holds a token or a secret."""

from __future__ import annotations

import gc
import json
import pickle
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
import requests

from airflow_oauth_provider.exceptions import OAuth2Error
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.pull.pagination import Cursor, HeaderCursor, Keyset, LinkHeader, NextUrl, Offset, PageNumber
from airflow_oauth_provider.pull.request import PageRequest
from tests.integration.conftest import CLIENT_ID, CLIENT_SECRET
from tests.support.paged_api import Numbers, ids, in_turn, items, serve, with_lines
from tests.support.raw import chain_of, encodings, found_in
from tests.support.servers import OAuthServer, Reply, Seen
from tests.support.transfer_runs import ListTransfer, StateStore, try_of

API_KEY = "made-up api+key/of&the=API"
CURSOR = Cursor("next", param="cursor")


@pytest.fixture
def hook(connect: Callable[..., str]) -> OAuth2Hook:
    return OAuth2Hook(oauth2_conn_id=connect(secret_headers={"X-Api-Key": API_KEY}))


def forms_of(server: OAuthServer) -> set[str]:
    """Return every form of every secret, and of every token that was issued."""
    secrets = (CLIENT_SECRET, API_KEY, *server.tokens)
    return {form for secret in secrets for form in encodings(CLIENT_ID, secret) if len(form) > 8}


def shown(error: BaseException) -> str:
    """Return everything that a log or another process could get of *error*."""
    parts = [*traceback.format_exception(error)]
    for link in chain_of(error):
        parts += [repr(link), repr(vars(link)), repr(link.args)]
        held = gc.get_referents(link)
        assert not [h for h in held if isinstance(h, requests.PreparedRequest | requests.Response)], link
    return "\n".join([*parts, pickle.dumps(error).decode("latin-1")])


JSON_ECHOES: dict[str, Callable[[str], tuple[dict[str, Any], Reply]]] = {
    "keys": lambda text: ({"records": "items"}, Reply(200, {text: 1})),
    "wrong list": lambda text: ({"records": "items"}, Reply(200, {"items": text})),
    "no JSON": lambda text: ({}, Reply(200, f"you sent {text}", {"Content-Type": "text/plain"})),
    "HTML": lambda text: ({}, Reply(200, f"<html><title>{text}", {"Content-Type": "text/html"})),
    "content type": lambda text: ({}, Reply(200, "x", {"Content-Type": quote(text, safe="")})),
    "cursor": lambda text: ({"pagination": CURSOR}, Reply(200, {"next": [text]})),
    "loop": lambda text: ({"pagination": NextUrl("next")}, Reply(200, {"next": f"?key={quote(text, safe='')}"})),
    "path of a loop": lambda text: ({"pagination": NextUrl("next")}, Reply(200, {"next": f"/api/{quote(text)}"})),
    "cursor of a loop": lambda text: ({"pagination": CURSOR}, Reply(200, {"next": text})),
    "link away": lambda text: (
        {"pagination": NextUrl("next")},
        Reply(200, {"next": f"https://{quote(text[:20], safe='').lower()}.example/{quote(text)}?{quote(text)}"}),
    ),
    "link with a user": lambda text: (
        {"pagination": NextUrl("next")},
        Reply(200, {"next": f"https://user:{quote(text, safe='')}@evil.example/"}),
    ),
    "Link header": lambda text: (
        {"pagination": LinkHeader()},
        with_lines(f"Link: <https://evil.example/{quote(text)}>; rel=next", body=[]),
    ),
    "key of a record": lambda text: ({"pagination": Keyset("id", "after")}, Reply(200, [{"id": {text: 1}}])),
    "XML": lambda text: ({"response_format": "xml"}, Reply(200, f"{text}<r")),
    "line": lambda text: ({"response_format": "ndjson"}, Reply(200, f'{{"a": 1}}\n{text}\n')),
    "row": lambda text: ({"response_format": "csv"}, Reply(200, f"a\n1,{text}\n", {"Content-Type": "text/csv"})),
    "header of a table": lambda text: ({"response_format": "csv"}, Reply(200, f"{text}\x00,{text}\x00\n1,2\n")),
    "charset": lambda text: (
        {"response_format": "csv"},
        Reply(200, "a\n1\n", {"Content-Type": f"text/csv; charset={quote(text, safe='')}"}),
    ),
    "refused page": lambda text: ({}, Reply(400, {"error": text})),
}  # fmt: skip


@pytest.mark.parametrize("echo", [(p, w) for p in JSON_ECHOES for w in ("token", "client secret", "API key")], ids=str)
def test_what_a_page_echoes_is_hidden(
    server: OAuthServer,
    hook: OAuth2Hook,
    everything: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    echo: tuple[str, str],
) -> None:
    place, which = echo
    secret = {"token": hook.get_token().value, "client secret": CLIENT_SECRET, "API key": API_KEY}[which]
    pull, reply = JSON_ECHOES[place](secret)
    serve(server, lambda _: reply)

    with pytest.raises(OAuth2Error) as caught:
        list(hook.records("items", max_pages=5, retry_args=once(), **pull))

    text = shown(caught.value)
    # urllib3 logs the path that it was given.
    logged = everything.text + capsys.readouterr().out
    own = [line for line in logged.splitlines() if "HTTP/1.1" not in line]
    assert found_in("\n".join([text, *own]), forms_of(server)) == []
    assert found_in(text, [secret[:12], secret[-12:]]) == []
    assert all(line.isprintable() for line in str(caught.value).splitlines())


def once() -> dict[str, Any]:
    import tenacity

    return {"stop": tenacity.stop_after_attempt(1)}


PAGINATORS: dict[str, Any] = {
    "link_header": LinkHeader(),
    "next_url": NextUrl("paging.next"),
    "cursor": Cursor("paging.cursor", param="cursor"),
    "cursor in a body": Cursor("paging.cursor", body_path="cursor"),
    "header_cursor": HeaderCursor("X-Cursor", "cursor"),
    "offset": Offset(3, total_path="total"),
    "page_number": PageNumber(total_pages_path="pages"),
    "keyset": Keyset("id", "after"),
    "function": lambda response: {"params": {"cursor": c}} if (c := response.json()["paging"]["cursor"]) else None,
}


@pytest.mark.parametrize("kind", PAGINATORS)
def test_pages_requests_and_checkpoints_hold_no_secret(
    server: OAuthServer, hook: OAuth2Hook, everything: pytest.LogCaptureFixture, kind: str
) -> None:
    serve(server, Numbers(total=7, size=3))
    paginator = PAGINATORS[kind]
    pull: dict[str, Any] = {"json": {"search": "hidden-search"}, "method": "POST"} if "body" in kind else {}

    pages = list(hook.pages("items", pagination=paginator, records="items", headers={"X-Own": "hidden-header"}, **pull))

    seen = [f"{page!r} {page} {page.request!r} {page.request} {page.next!r} {paginator!r}" for page in pages]
    begun = PageRequest(method=pull.get("method", "GET"), endpoint="items")
    written = [json.dumps(r.changes_since(begun)) for page in pages for r in (page.request, page.next) if r]
    assert [record["id"] for page in pages for record in page.records] == list(range(7))
    assert found_in("\n".join([*seen, *written, everything.text]), forms_of(server)) == []
    assert found_in("\n".join(seen), ["hidden-search", "hidden-header"]) == []


@pytest.mark.parametrize("kind", ["link_header", "next_url"])
def test_a_next_link_that_carries_the_token_is_followed_and_the_checkpoint_has_none(
    server: OAuthServer, hook: OAuth2Hook, everything: pytest.LogCaptureFixture, kind: str
) -> None:
    """Some APIs put the token of a call into the link to the next page."""

    def first(seen: Seen) -> Reply:
        link = f"/api/items?access_token={seen.headers['authorization'].removeprefix('Bearer ')}&cursor=b"
        return Reply(200, {"items": items(0), "paging": {"next": link}}, {"Link": f"<{link}>; rel=next"})

    serve(server, in_turn(first, Reply(200, {"items": items(1)})))

    pages = list(hook.pages("items", pagination=PAGINATORS[kind], records="items"))

    assert [ids(page.records) for page in pages] == [[0], [1]]
    assert ("cursor", "b") in server.api_requests[1].query
    own = [line for line in everything.messages if "HTTP/1.1" not in line]
    assert found_in("\n".join(own) + repr(pages), forms_of(server)) == []


def test_a_failed_page_is_named_without_its_query(server: OAuthServer, hook: OAuth2Hook) -> None:
    replies = [Reply(200, {"next": "?cursor=b&key=hidden-key"}), Reply(400, {"reason": "made-up"})]
    params = {"secret": "hidden-parameter"}
    serve(server, in_turn(*replies))
    pages = hook.pages("items", pagination=NextUrl("next"), params=params)

    with pytest.raises(OAuth2Error, match="/api/items") as caught:
        list(pages)

    assert found_in(shown(caught.value), ["hidden-key", "hidden-parameter"]) == []


class Recording(StateStore):
    """Remembers everything that it ever kept."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def set(self, key: str, value: str) -> None:
        super().set(key, value)
        self.written.append(value)


@pytest.mark.parametrize("kind", ["token", "API key", "client secret", "nothing"])
def test_a_checkpoint_holds_no_secret_that_an_api_put_into_its_links(
    server: OAuthServer,
    hook: OAuth2Hook,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    kind: str,
) -> None:
    def page(seen: Seen) -> Reply:
        secrets = {"token": seen.headers["authorization"][7:], "API key": API_KEY, "client secret": CLIENT_SECRET}
        number = int(dict(seen.query).get("page", "1"))
        link = f"/api/items?page={number + 1}&key={quote(secrets.get(kind, ''), safe='')}"
        return Reply(200, {"items": items(number), "next": link if number < 4 else None})

    serve(server, page)
    store = Recording()
    pull: dict[str, Any] = {"endpoint": "items", "records": "items", "pagination": {"kind": "next_url", "path": "next"}}

    result = ListTransfer(save_every=1, **pull).execute(try_of(1, task_state_store=store))

    assert result["records"] == 4
    assert found_in("\n".join(store.written), forms_of(server)) == []
    assert len(store.written) == (4 if kind == "nothing" else 1)
    # Airflow 3 logs to the standard output.
    assert ("no checkpoint can be kept" in caplog.text + capsys.readouterr().out) == (kind != "nothing")
