"""Made-up clients, connections and tokens."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from airflow_oauth_provider.http.settings import ApiSettings
from airflow_oauth_provider.oauth2.settings import Attempt, ClientSettings, KeyPair
from airflow_oauth_provider.oauth2.token import AccessToken

TOKEN_URL = "https://login.example.com/oauth2/token"
API_URL = "https://api.example.com/v1"
CLIENT_ID = "made-up-app"
TASK_LOGGER = "made_up_task"
# Long enough to need no scrypt.
SECRET = "made-up/secret+of thirty-two & more characters"


def client_settings(**changes: Any) -> ClientSettings:
    """Return a client's settings."""
    return ClientSettings(**{"token_endpoint": TOKEN_URL, "client_id": CLIENT_ID, "client_secret": SECRET, **changes})


def attempt(**changes: Any) -> Attempt:
    """Return what is new with a request, the platform's assertion included."""
    return Attempt(**{"now": time.time(), "unique_id": "made-up-id", "assertion": "made.up.assertion", **changes})


def key_pair() -> KeyPair:
    """Return a P-256 key, always the same."""
    from tests.support.keys import made_key, pem

    return KeyPair(pem(made_key("P-256")))


def api_settings(**changes: Any) -> ApiSettings:
    """Return an API's settings."""
    return ApiSettings(**{"base_url": API_URL, **changes})


def access_token(
    value: str = "made-up-token", *, lifetime_s: float = 3600, age_s: float = 0, **changes: Any
) -> AccessToken:
    """Return a token that was issued *age_s* ago."""
    issued_at = time.time() - age_s
    known = {"token_type": "Bearer", "scope": None, "issued_at": issued_at, "expires_at": issued_at + lifetime_s}
    return AccessToken(**{"value": value, **known, **changes})


@dataclass
class Fields:
    """What is read of a connection."""

    host: str | None = TOKEN_URL
    login: str | None = CLIENT_ID
    password: str | None = SECRET
    schema: str | None = None
    port: int | None = None
    extra: str | None = None


def fields(extra: dict[str, Any] | str | None = None, **changes: Any) -> Fields:
    """Return a connection's fields; *extra* is added to a base URL, or taken as it is when it is text."""
    text = extra if isinstance(extra, str) else json.dumps({"base_url": API_URL, **(extra or {})})
    return Fields(**{"extra": text, **changes})


def connection_uri(extra: dict[str, Any], password: str = SECRET) -> str:
    """Return a connection's URI as a person would write it, objects as JSON text."""
    query = {
        name: json.dumps(value) if isinstance(value, dict | list | bool) else value for name, value in extra.items()
    }
    login = ":".join(quote(part, safe="") for part in (CLIENT_ID, password))
    return f"oauth2://{login}@{quote(TOKEN_URL, safe='')}/?{urlencode(query)}"


def connection_json(extra: dict[str, Any] | None = None, **changes: Any) -> str:
    """Return a connection as ``AIRFLOW_CONN_…`` holds it."""
    known = {"conn_type": "oauth2", "host": TOKEN_URL, "login": CLIENT_ID, "password": SECRET}
    return json.dumps({**known, "extra": {"base_url": API_URL, **(extra or {})}, **changes})
