"""What must be there, and what must be one of a few."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.form import CONN_FIELDS

if TYPE_CHECKING:
    from airflow_oauth_provider.extra import Extra


def required(value: str | None, field: str) -> str:
    """
    Return *value*.

    :raises SettingsError: it is missing
    """
    if not value or not value.strip():
        raise SettingsError(f"{field} is missing.")
    return value


def choice(extra: Extra, field: str) -> str | None:
    """Return one of the values that the form offers."""
    return extra.text(field, among=CONN_FIELDS[field]["schema"]["enum"])
