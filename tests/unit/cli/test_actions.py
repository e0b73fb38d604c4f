"""What the commands do, in a process of their own each, with a real server and a real store."""

from __future__ import annotations

import io
import json
import pty
import termios
from typing import Any, NoReturn, TextIO

import pytest

from airflow_oauth_provider.cli.main import _parser
from airflow_oauth_provider.cli.run import run
from airflow_oauth_provider.exceptions import InvalidClientError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.tokens import registry
from airflow_oauth_provider.tokens.stores.file import FileStore
from tests.support.made_up import connection_json
from tests.support.servers import OAuthServer, Reply

REFUSED = Reply(401, {"error": "invalid_client"})


def command(*arguments: str, out: TextIO | None = None) -> tuple[int, str]:
    """Run a command as a process does that has nothing in its memory; return exit code and what stdout gets."""
    forget_memory()
    parsed = _parser().parse_args(arguments)
    out = out or io.StringIO()
    code = run(parsed.command, parsed, out)
    return code, out.getvalue() if isinstance(out, io.StringIO) else ""


def task() -> OAuth2Hook:
    """Return the hook of a task that has just begun."""
    forget_memory()
    return OAuth2Hook("shop")


def forget_memory() -> None:
    registry._sources.clear()
    registry._stores.clear()


def shown(*conn_ids: str) -> list[dict[str, Any]]:
    _, out = command("status", *conn_ids, "--output", "json")
    rows: list[dict[str, Any]] = json.loads(out)
    return rows


def connect(monkeypatch: pytest.MonkeyPatch, server: OAuthServer, **extra: Any) -> None:
    extra = {"base_url": f"{server.url}/api", **extra}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", connection_json(extra, host=f"{server.url}/token"))


def break_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__OAUTH2__TOKEN_STORE", "tests.no_such_module:store")


def full(*_: Any, **__: Any) -> NoReturn:
    raise OSError("No space left on device")


# status ---------------------------------------------------------------------------------------------------------------


def test_status_tells_what_tasks_have_done_and_asks_no_server(server: OAuthServer) -> None:
    assert shown("shop")[0]["state"] == "none"
    assert server.seen == []
    token = task().get_token()
    task().get_token()
    (row,) = shown("shop")
    assert (row["conn_id"], row["state"], row["error"]) == ("shop", "valid", None)
    assert row["fingerprint"] == token.fingerprint
    assert (row["requests_made"], row["requests_saved"]) == (1, 1)
    assert row["expires_at"] == pytest.approx(token.expires_at)
    assert row["store"].startswith("file://")
    assert len(server.seen) == 1


def test_status_shows_a_refusal_until_a_token_comes(server: OAuthServer) -> None:
    server.token_reply = lambda _: REFUSED
    with pytest.raises(InvalidClientError):
        task().get_token()
    code, out = command("status", "shop")
    assert code == 0
    assert "shop        refused" in out
    assert "shop: refused" in out
    assert "invalid_client" in out
    assert len(server.token_requests) == 1


def test_a_connection_that_cannot_be_read_does_not_hide_the_others(
    server: OAuthServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", connection_json({"base_url": ""}))
    monkeypatch.setenv("AIRFLOW_CONN_WEB", '{"conn_type": "http", "host": "https://www.example.com"}')
    task().get_token()
    code, out = command("status", "broken", "web", "shop", "shop")
    assert code == 1
    assert [line.split()[:2] for line in out.splitlines()[1:4]] == [
        ["broken", "error"],
        ["web", "error"],
        ["shop", "valid"],
    ]
    assert out.splitlines()[4] == ""
    broken, web = capsys.readouterr().err.splitlines()
    assert "base_url" in broken
    assert web == "web: Connection 'web' is of type 'http', not 'oauth2'."
    rows = shown("broken", "shop")
    assert [row["state"] for row in rows] == ["error", "valid"]
    assert "base_url" in rows[0]["error"]


def test_status_of_a_store_that_does_not_work_fails_and_says_why(
    server: OAuthServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    break_the_store(monkeypatch)
    code, out = command("status", "shop")
    assert code == 1
    assert out.splitlines()[1].split()[:2] == ["shop", "unavailable"]
    (warning,) = capsys.readouterr().err.splitlines()
    assert "tests.no_such_module" in warning
    assert server.seen == []


def test_status_fits_into_the_terminal(server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, server, scope=" ".join(f"scope-{number}" for number in range(50)))
    task().get_token()
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (24, 90))
    with open(reader, "rb", buffering=0) as terminal, open(writer, "w") as out:
        command("status", "shop", out=out)
        out.flush()
        lines = terminal.read(65536).decode().splitlines()
    assert len(lines[1]) == 90
    assert lines[1].endswith("…")


# test -----------------------------------------------------------------------------------------------------------------


def test_test_gets_a_new_token_for_everybody_and_ends_a_remembered_refusal(server: OAuthServer) -> None:
    server.token_reply = lambda _: REFUSED
    with pytest.raises(InvalidClientError):
        task().get_token()
    server.token_reply = None
    code, out = command("test", "shop")
    assert code == 0
    assert out.startswith("Got a token that lives 3600 s")
    assert task().get_token().value in server.tokens
    assert len(server.token_requests) == 2


def test_a_test_that_fails_says_why_on_stderr(server: OAuthServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.token_reply = lambda _: REFUSED
    assert command("test", "shop") == (1, "")
    (problem,) = capsys.readouterr().err.splitlines()
    assert "invalid_client" in problem


@pytest.mark.parametrize("name", ["test", "forget", "revoke"])
def test_a_connection_of_another_type_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WEB", '{"conn_type": "http", "host": "https://www.example.com"}')
    assert command(name, "web") == (1, "")
    assert capsys.readouterr().err == "Connection 'web' is of type 'http', not 'oauth2'.\n"


# forget ---------------------------------------------------------------------------------------------------------------


def test_what_is_forgotten_is_fetched_anew_but_not_by_who_holds_it(server: OAuthServer) -> None:
    running = task()
    held = running.get_token()
    code, out = command("forget", "shop")
    assert code == 0
    assert "Processes that run keep the token they hold." in out
    assert shown("shop")[0]["state"] == "none"
    assert running.get_token().value == held.value
    assert task().get_token().value != held.value


def test_forget_ends_a_remembered_refusal(server: OAuthServer) -> None:
    server.token_reply = lambda _: REFUSED
    with pytest.raises(InvalidClientError):
        task().get_token()
    server.token_reply = None
    with pytest.raises(InvalidClientError, match="Remembered"):
        task().get_token()
    command("forget", "shop")
    assert task().get_token().value in server.tokens


@pytest.mark.parametrize("name", ["forget", "revoke"])
def test_a_store_that_does_not_work_is_no_success(
    name: str, server: OAuthServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    break_the_store(monkeypatch)
    assert command(name, "shop") == (1, "")
    assert capsys.readouterr().err.splitlines()[-1] == "The token store tests.no_such_module:store does not work."


def test_forget_says_when_the_store_could_be_read_but_not_written(
    server: OAuthServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FileStore, "write", full)
    assert command("forget", "shop") == (1, "")
    why, what = capsys.readouterr().err.splitlines()
    assert "No space left on device" in why
    assert what.endswith("does not work.")


@pytest.mark.parametrize("name", ["forget", "revoke"])
def test_what_each_process_keeps_to_itself_is_out_of_reach(
    name: str, server: OAuthServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__OAUTH2__TOKEN_STORE", "memory://")
    assert command(name, "shop") == (1, "")
    assert capsys.readouterr().err == "Tokens are kept in memory://: each process has its own, out of reach.\n"


# revoke ---------------------------------------------------------------------------------------------------------------


def test_revoke_ends_the_token_at_the_server_and_forgets_it(
    server: OAuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, server, revocation_url=f"{server.url}/revoke")
    held = task().get_token()
    code, out = command("revoke", "shop")
    assert code == 0
    assert "ended the token of 'shop'" in out
    assert f"forgotten in {shown('shop')[0]['store']}" in out
    assert held.value not in server.tokens
    assert shown("shop")[0]["state"] == "none"


def test_revoke_says_when_the_token_ended_but_could_not_be_forgotten(
    server: OAuthServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connect(monkeypatch, server, revocation_url=f"{server.url}/revoke")
    held = task().get_token()
    monkeypatch.setattr(FileStore, "write", full)
    assert command("revoke", "shop") == (1, "The authorization server ended the token of 'shop'.\n")
    assert held.value not in server.tokens
    why, what = capsys.readouterr().err.splitlines()
    assert "No space left on device" in why
    assert what.endswith("does not work.")


def test_revoke_fails_where_there_is_nothing_to_revoke(
    server: OAuthServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connect(monkeypatch, server, revocation_url=f"{server.url}/revoke")
    assert command("revoke", "shop") == (1, "")
    assert "nothing was revoked" in capsys.readouterr().err
    assert server.seen == []


def test_revoke_without_a_revocation_url_says_so_and_keeps_the_token(
    server: OAuthServer, capsys: pytest.CaptureFixture[str]
) -> None:
    task().get_token()
    assert command("revoke", "shop") == (1, "")
    assert "revocation_url" in capsys.readouterr().err
    assert shown("shop")[0]["state"] == "valid"


# token ----------------------------------------------------------------------------------------------------------------


def test_a_token_is_shown_when_its_being_seen_is_asked_for_and_alone(server: OAuthServer) -> None:
    value = task().get_token().value
    assert command("token", "shop", "--reveal") == (0, f"{value}\n")
    assert len(server.token_requests) == 1


def test_a_token_is_not_shown_by_mistake(server: OAuthServer, capsys: pytest.CaptureFixture[str]) -> None:
    task().get_token()
    assert command("token", "shop") == (2, "")
    (problem,) = capsys.readouterr().err.splitlines()
    assert "--reveal" in problem
    assert len(server.token_requests) == 1
