"""
What Airflow reads of this provider at every start: one plain dict, standard library only.

The connection form is declared here once. Airflow 3.2+ builds it from ``conn-fields``; for 2.11 to 3.1 the hook makes
form widgets of the same declaration.
"""

from __future__ import annotations

from typing import Any

CONNECTION_TYPE = "oauth2"
HOOK_CLASS = "airflow_oauth_provider.hooks.oauth2.OAuth2Hook"
HOOK_NAME = "OAuth 2.0 API"

UI_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema", "port"],
    "relabeling": {
        "host": "Token URL (required)",
        "login": "Client ID (required)",
        "password": "Client secret",
    },
    "placeholders": {
        "host": "https://login.example.com/oauth2/token",
        "login": "the id under which the application is registered",
    },
}


def _field(label: str, description: str, type_: str | list[str], **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": type_, **schema}}


_TEXT = ["string", "null"]
_NUMBER = ["integer", "null"]
_OBJECT = ["object", "null"]
_FLAG = ["boolean", "null"]

CONN_FIELDS: dict[str, dict[str, Any]] = {
    "base_url": _field(
        "API base URL (required)",
        "With scheme and optional path, e.g. https://api.example.com/v1. Endpoints of tasks are appended to it.",
        "string",
        minLength=1,
    ),
    "scope": _field("Scope", "What the token shall be good for; several scopes blank-separated.", _TEXT),
    "audience": _field("Audience", "For authorization servers that want one, e.g. Auth0.", _TEXT),
    "auth_method": _field(
        "Client authentication",
        "How id and secret are sent to the token URL: in a header (client_secret_basic, the default) or in the body.",
        _TEXT,
        enum=["client_secret_basic", "client_secret_post"],
        default="client_secret_basic",
    ),
    "basic_encoding": _field(
        "Encoding of id and secret",
        "rfc6749 (the default) form-encodes them for client_secret_basic; raw is for servers that decode nothing.",
        _TEXT,
        enum=["rfc6749", "raw"],
        default="rfc6749",
    ),
    "test_endpoint": _field(
        "Test endpoint", "What the Test button calls by GET after it got a token, e.g. status.", _TEXT
    ),
    "extra_params": _field(
        "Token request parameters",
        'Further parameters of the token request. Paste JSON, e.g. {"tenant": "acme"}. No credentials.',
        _OBJECT,
    ),
    "secret_params": _field(
        "Secret token request parameters",
        "Like Token request parameters, for values that nobody may see: masked once they are saved. Paste JSON.",
        _OBJECT,
    ),
    "headers": _field("Headers", 'For every API call. Paste JSON, e.g. {"X-Api-Version": "3"}.', _OBJECT),
    "secret_headers": _field(
        "Secret headers",
        "Like Headers, for values that nobody may see, such as API keys: masked once they are saved. Paste JSON.",
        _OBJECT,
    ),
    "allowed_hosts": _field(
        "Further hosts that may receive the token",
        "Exact origins besides the API base URL's, blank-separated, e.g. https://files.example.com.",
        _TEXT,
    ),
    "leeway": _field(
        "Leeway (seconds)",
        "How long before its end a token is replaced; 60 by default, at most a tenth of its life.",
        _NUMBER,
        minimum=0,
        maximum=3600,
    ),
    "timeout": _field("Timeout (seconds)", "One number, or two for connect and read, e.g. 10,60 (the default).", _TEXT),
    "verify": _field(
        "Verify TLS certificates",
        "true, false, or the path of a CA bundle; for token URL and API. Beats REQUESTS_CA_BUNDLE.",
        _TEXT,
    ),
    "proxies": _field(
        "Proxies",
        'By scheme; masked. Paste JSON, e.g. {"https": "http://proxy.example.com:3128"}. Beats HTTPS_PROXY.',
        _OBJECT,
    ),
    "allow_http": _field(
        "Allow http", "Let unencrypted http:// URLs through that are not on this machine. Not for production.", _FLAG
    ),
}

CONFIG: dict[str, Any] = {
    "oauth2": {
        "description": "OAuth 2.0 connections (airflow-oauth-provider).",
        "options": {
            "token_store": {
                "description": (
                    "Where tokens are shared between processes: file:// (a folder of the user below $AIRFLOW_HOME), "
                    "file:///path/of/a/folder, or memory:// (not at all)."
                ),
                "version_added": "0.1.0",
                "type": "string",
                "example": "file:///var/lib/airflow/oauth2",
                "default": "file://",
            },
            "token_store_key": {
                "description": (
                    "A random text from which the encryption of stored tokens is derived, besides each client's own "
                    "secret. Needed where client secrets are short enough to be guessed. Several, comma-separated: "
                    "the first one writes, all read."
                ),
                "version_added": "0.1.0",
                "type": "string",
                "sensitive": True,
                "example": None,
                "default": "",
            },
            "allowed_token_endpoints": {
                "description": (
                    "Exact origins, blank-separated, to which client credentials may be sent; empty: any. Without it, "
                    "whoever may edit a connection can have its secret sent to a server of their own."
                ),
                "version_added": "0.1.0",
                "type": "string",
                "example": "https://login.example.com https://login.microsoftonline.com",
                "default": "",
            },
            "allowed_api_origins": {
                "description": "Exact origins, blank-separated, to which tokens may be sent; empty: any.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "https://api.example.com",
                "default": "",
            },
        },
    }
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description (Airflow: "Custom provider packages")."""
    return {
        "package-name": "airflow-oauth-provider",
        "name": "OAuth 2.0",
        "description": "APIs protected by OAuth 2.0 client credentials: one token shared by every task.",
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-class-name": HOOK_CLASS,
                "hook-name": HOOK_NAME,
                "ui-field-behaviour": UI_FIELD_BEHAVIOUR,
                "conn-fields": CONN_FIELDS,
            }
        ],
        "config": CONFIG,
    }
