"""The ``[oauth2]`` section of Airflow's configuration, which the platform's engineers own."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

SECTION = "oauth2"

# Where platforms put an assertion of the worker's identity, or the path of its file: AKS (Entra workload identity),
# EKS (IAM roles for service accounts), HCP Terraform, CircleCI, Bitbucket.
ASSERTION_ENV_NAMES = (
    "AZURE_FEDERATED_TOKEN_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "TFC_WORKLOAD_IDENTITY_TOKEN",
    "CIRCLE_OIDC_TOKEN_V2",
    "BITBUCKET_STEP_OIDC_TOKEN",
)


@dataclass(frozen=True)
class ProviderConfig:
    """
    What the platform allows and where it keeps tokens.

    :param token_store_keys: the current one first
    :param allowed_token_endpoints: origins as they were written; empty: any
    :param allowed_api_origins: origins as they were written; empty: any
    :param key_folders: below which files lie that connections may name; empty: none may
    :param assertion_env_names: environment variables that connections may name
    """

    token_store: str = field(default="file://", repr=False)
    token_store_prefix: str = ""
    token_store_keys: tuple[str, ...] = field(default=(), repr=False)
    allowed_token_endpoints: tuple[str, ...] = ()
    allowed_api_origins: tuple[str, ...] = ()
    key_folders: tuple[str, ...] = ()
    assertion_env_names: tuple[str, ...] = ASSERTION_ENV_NAMES
    airflow_home: Path = Path("~/airflow")


def read_config() -> ProviderConfig:
    """Return the configuration as Airflow has it now."""
    from airflow.providers.common.compat.sdk import conf

    def option(name: str) -> str:
        # Airflow 2.11 knows no provider defaults outside its own commands.
        return str(conf.get(SECTION, name, fallback="") or "")

    def words(name: str) -> tuple[str, ...]:
        return tuple(option(name).replace(",", " ").split())

    return ProviderConfig(
        token_store=option("token_store").strip() or "file://",
        token_store_prefix=option("token_store_prefix").strip(),
        token_store_keys=tuple(filter(None, (key.strip() for key in option("token_store_key").split(",")))),
        allowed_token_endpoints=words("allowed_token_endpoints"),
        allowed_api_origins=words("allowed_api_origins"),
        key_folders=words("key_folders"),
        assertion_env_names=_env_names(words("assertion_env_names")),
        # Path.expanduser raises where there is no home, for a store that may not even be used.
        airflow_home=Path(os.path.expanduser(os.environ.get("AIRFLOW_HOME", "~/airflow"))),  # noqa: PTH111
    )


def _env_names(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the variables that connections may name: the platforms' own by default, none for ``none``."""
    return () if words == ("none",) else words or ASSERTION_ENV_NAMES
