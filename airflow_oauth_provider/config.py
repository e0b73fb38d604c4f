"""The ``[oauth2]`` section of Airflow's configuration, which the platform's engineers own."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

SECTION = "oauth2"


@dataclass(frozen=True)
class ProviderConfig:
    """
    What the platform allows and where it keeps tokens.

    :param token_store_keys: the current one first
    :param allowed_token_endpoints: origins as they were written; empty: any
    :param allowed_api_origins: origins as they were written; empty: any
    """

    token_store: str = "file://"
    token_store_keys: tuple[str, ...] = field(default=(), repr=False)
    allowed_token_endpoints: tuple[str, ...] = ()
    allowed_api_origins: tuple[str, ...] = ()
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
        token_store_keys=tuple(filter(None, (key.strip() for key in option("token_store_key").split(",")))),
        allowed_token_endpoints=words("allowed_token_endpoints"),
        allowed_api_origins=words("allowed_api_origins"),
        airflow_home=Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser(),
    )
