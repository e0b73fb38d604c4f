"""What must be one of a few."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_oauth_provider.form import CONN_FIELDS

if TYPE_CHECKING:
    from airflow_oauth_provider.extra import Extra


def choice(extra: Extra, field: str) -> str | None:
    """Return one of the values that the form offers."""
    return extra.text(field, among=CONN_FIELDS[field]["schema"]["enum"])
