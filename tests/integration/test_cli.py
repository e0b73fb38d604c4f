"""``airflow-oauth2`` as people run it: what is on stdout, what is on stderr, and that no secret is on either."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from urllib.parse import quote

import pytest

from tests.integration.conftest import CLIENT_ID, CLIENT_SECRET, slow
from tests.support.patient_airflow import patient
from tests.support.processes import wait_until
from tests.support.raw import encodings, found_in
from tests.support.servers import OAuthServer, Reply, free_port

Environment = Callable[..., dict[str, str]]

SCRIPT = Path(sys.executable).with_name("airflow-oauth2")
DEBUG = {"AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG"}
API_KEY = "made-up api+key/of&the=API"
PARAMETER = "made-up-secret-parameter/+1"
STORE_KEY = "made-up-store-key/+of-this-test"
REDIS_PASSWORD = "made-up-redis-password/+1"
SECRETS = {"secret_headers": {"X-Api-Key": API_KEY}, "secret_params": {"pin": PARAMETER}}


def start(
    environment: dict[str, str], *arguments: str, stdout: int | IO[bytes] = subprocess.PIPE
) -> subprocess.Popen[str]:
    """Start the command in an environment that has nothing else of Airflow, with a store that may take its time."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return subprocess.Popen(
        [SCRIPT, *arguments],
        env=inherited | patient() | environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(environment: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr."""
    with start(environment, *arguments) as process:
        out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def secrets(server: OAuthServer) -> set[str]:
    """Return all forms of all that may not be seen."""
    values = {CLIENT_SECRET, API_KEY, PARAMETER, STORE_KEY, REDIS_PASSWORD, *server.tokens}
    return {form for value in values for form in encodings(CLIENT_ID, value)}


def test_no_command_shows_a_secret_or_disturbs_its_result_even_at_debug_level(
    server: OAuthServer, environment: Environment
) -> None:
    surroundings = {
        **environment(**SECRETS, test_endpoint="status", revocation_url=f"{server.url}/revoke"),
        **DEBUG,
        "AIRFLOW__OAUTH2__TOKEN_STORE_KEY": STORE_KEY,
    }
    tested = run(surroundings, "test", "shop")
    unseen = secrets(server)
    shown = run(surroundings, "status", "shop", "--output", "json")
    hidden = run(surroundings, "token", "shop")
    revoked = run(surroundings, "revoke", "shop")
    forgot = run(surroundings, "forget", "shop")

    runs = (tested, shown, hidden, revoked, forgot)
    assert [code for code, _, _ in runs] == [0, 0, 2, 0, 0]
    assert "test endpoint answered 200" in tested[1]
    assert json.loads(shown[1])[0]["state"] == "valid"
    assert hidden[1] == ""
    assert [out.count("\n") for _, out, _ in (tested, revoked, forgot)] == [1, 2, 1]
    assert all(re.search("debug", err, re.IGNORECASE) for _, _, err in runs)
    assert server.tokens == {}
    assert len(server.token_requests) == 1
    assert found_in("".join(out + err for _, out, err in runs), unseen) == []


def test_what_a_server_echoes_is_hidden_even_at_debug_level(server: OAuthServer, environment: Environment) -> None:
    basic = base64.b64encode(f"{quote(CLIENT_ID, safe='')}:{quote(CLIENT_SECRET, safe='')}".encode()).decode()
    told = f"{CLIENT_SECRET} {PARAMETER} {quote(CLIENT_SECRET)} {basic}"
    server.token_reply = lambda _: Reply(400, {"error": "invalid_scope", "error_description": told})
    surroundings = {**environment(**SECRETS), **DEBUG}

    failed = run(surroundings, "token", "shop", "--reveal")
    shown = run(surroundings, "status", "shop")

    assert (failed[0], failed[1], shown[0]) == (1, "", 0)
    assert "shop        refused" in shown[1]
    everything = "".join(out + err for _, out, err in (failed, shown))
    assert everything.count("invalid_scope") >= 2
    assert "Traceback" not in everything
    assert found_in(everything, secrets(server)) == []


def test_the_password_of_a_store_is_hidden_even_at_debug_level(server: OAuthServer, environment: Environment) -> None:
    password = quote(REDIS_PASSWORD, safe="")
    store = f"redis://:{password}@127.0.0.1:{free_port()}/0"
    code, out, err = run({**environment(), **DEBUG, "AIRFLOW__OAUTH2__TOKEN_STORE": store}, "status", "shop")

    assert code == 1
    assert "unavailable" in out
    assert f"Store: {store.replace(f':{password}@', '')}" in out
    assert found_in(out + err, secrets(server)) == []


def test_a_token_that_may_be_seen_is_alone_on_stdout_and_never_on_stderr(
    server: OAuthServer, environment: Environment
) -> None:
    code, out, err = run({**environment(), **DEBUG}, "token", "shop", "--reveal")

    (token,) = server.tokens
    assert (code, out) == (0, f"{token}\n")
    assert found_in(err, secrets(server)) == []


def test_a_command_that_works_says_its_result_and_nothing_else(environment: Environment) -> None:
    code, out, err = run(environment(), "test", "shop")

    assert (code, err) == (0, "")
    assert out.startswith("Got a token")
    assert out.count("\n") == 1


def test_a_connection_that_nobody_knows_is_one_line_where_there_is_no_database(environment: Environment) -> None:
    code, out, err = run(environment(), "test", "made_up")

    assert (code, out) == (1, "")
    assert "made_up" in err
    assert err.count("\n") == 1


def test_a_reader_that_goes_away_meets_no_traceback(environment: Environment) -> None:
    reader, writer = os.pipe()
    os.close(reader)  # before anything can be written
    with (
        os.fdopen(writer, "wb") as pipe,
        start(environment(), "status", "shop", "--output", "json", stdout=pipe) as process,
    ):
        assert process.stderr
        assert process.stderr.read() == ""
    assert process.returncode == 1


@pytest.mark.parametrize("where", [">&-", "> /dev/full"])
def test_a_result_that_cannot_be_written_is_one_line_and_no_traceback(environment: Environment, where: str) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    command = ["sh", "-c", f"{shlex.quote(str(SCRIPT))} status shop {where}"]
    done = subprocess.run(
        command, env=inherited | environment(), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("The result cannot be written: ")
    assert done.stderr.count("\n") == 1


def test_a_name_that_a_terminal_would_obey_is_escaped(environment: Environment) -> None:
    code, out, err = run(environment(), "status", "made\x1b[31mup\nforged")
    assert code == 1
    assert "\x1b" not in out + err
    assert "\nforged" not in out + err


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let what is started hear of Ctrl-C: what a shell starts in the background ignores it, and so do its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_command_ends_without_a_traceback(server: OAuthServer, environment: Environment) -> None:
    server.token_reply = slow(server, 60)
    with start(environment(), "test", "shop") as process:
        wait_until(lambda: server.token_requests, within_s=300)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)

    assert (process.returncode, out, err) == (130, "", "")
