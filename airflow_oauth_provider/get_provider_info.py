"""What Airflow reads of this provider at every start: one plain dict, standard library only."""

from __future__ import annotations

from typing import Any

from airflow_oauth_provider.form import CONN_FIELDS, UI_FIELD_BEHAVIOUR

CONNECTION_TYPE = "oauth2"
HOOK_CLASS = "airflow_oauth_provider.hooks.oauth2.OAuth2Hook"
HOOK_NAME = "OAuth 2.0 API"

CONFIG: dict[str, Any] = {
    "oauth2": {
        "description": "OAuth 2.0 connections (airflow-oauth-provider).",
        "options": {
            "token_store": {
                "description": (
                    "Where tokens are shared. By the processes of one machine: file:// (the default, a folder of the "
                    "user below $AIRFLOW_HOME) or file:///path/of/a/folder. By all machines: redis://host:6379/0, "
                    "rediss://, unix:// (Redis or Valkey) or variable:// (Airflow's Variables). Not at all: memory://. "
                    "One of your own: package.module:factory."
                ),
                "version_added": "0.1.0",
                "type": "string",
                "sensitive": True,
                "example": "rediss://airflow:password@redis.example.com:6379/0",
                # Airflow masks the value of a sensitive option in every log, and so its default: "" stands for file://.
                "default": "",
            },
            "token_store_prefix": {
                "description": (
                    "What the names of entries begin with, so that teams or tenants who use one store do not share: "
                    "letters, digits, dots, dashes and underscores."
                ),
                "version_added": "0.1.0",
                "type": "string",
                "example": "team-a.",
                "default": "",
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
            "key_folders": {
                "description": (
                    "Folders, blank-separated, below which the files must lie that a connection names (key_file, "
                    "certificate_file, assertion_file …), links resolved; empty: connections name no files. Whoever "
                    "may edit a connection can use every key below them."
                ),
                "version_added": "0.1.0",
                "type": "string",
                "example": "/etc/airflow/keys /var/run/secrets/tokens",
                "default": "",
            },
            "assertion_env_names": {
                "description": (
                    "Environment variables, blank-separated, that a connection may name in assertion_env: each holds "
                    "an assertion of the platform, or with a name that ends in _FILE the path of one. Empty: those "
                    "of AKS, EKS, HCP Terraform, CircleCI and Bitbucket; none: connections name none."
                ),
                "version_added": "0.1.0",
                "type": "string",
                "example": "AZURE_FEDERATED_TOKEN_FILE",
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
        "cli": ["airflow_oauth_provider.cli.definition.get_oauth2_cli_commands"],
    }
