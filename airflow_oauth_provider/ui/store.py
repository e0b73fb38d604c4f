"""What the page says of the store that it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.config import ProviderConfig, read_config
from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.tokens.stores.opening import open_store
from airflow_oauth_provider.tokens.stores.reach import reach_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def store_members(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """
    Return where tokens were looked for, whether that worked, and what cannot be seen from here.

    :param rows: what was found
    """
    config = read_config()
    read = [row for row in rows if "store" in row]
    try:
        # A row knows where the store is in the end: a folder that cannot be written gives way to another one.
        where = read[0]["store"] if read else _configured(config)
    except SettingsError as error:
        return {"where": None, "works": False, "shared": False, "reach": "", "note": str(error)}
    reach = reach_of(where)
    return {
        "where": where,
        "prefix": config.token_store_prefix,
        "works": all(row["store_works"] for row in read),
        "shared": reach.shared,
        "reach": reach.label,
        "note": reach.note,
    }


def _configured(config: ProviderConfig) -> str:
    return open_store(config.token_store, prefix=config.token_store_prefix, airflow_home=config.airflow_home).describe()
