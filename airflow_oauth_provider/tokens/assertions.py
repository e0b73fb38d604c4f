"""The platform's assertion of the worker's identity, read anew for each token request: the platform replaces it."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

from airflow_oauth_provider.exceptions import AssertionUnavailableError, SettingsError
from airflow_oauth_provider.files import read_below, read_named
from airflow_oauth_provider.oauth2.assertion import claims_of
from airflow_oauth_provider.oauth2.pem import holds_private_key

if TYPE_CHECKING:
    from airflow_oauth_provider.oauth2.settings import AssertionSource

_ASSERTION = re.compile(r"[\x21-\x7e]+", re.ASCII)


def vouched_for(assertion: str) -> str:
    """Return whom an assertion names, the same for each that the platform makes for one identity; else ``""``."""
    claims = claims_of(assertion)
    return json.dumps(claims, sort_keys=True) if claims else ""


def read_assertion(source: AssertionSource) -> str:
    """
    Return the assertion as it is now.

    :raises AssertionUnavailableError: there is none; the platform may be about to write it
    :raises SettingsError: its file may not be read
    """
    text, where = _text(source)
    assertion = text.strip()
    if not assertion:
        raise AssertionUnavailableError(f"{where} is empty: the platform has not put its assertion there (yet).")
    if holds_private_key(assertion):
        raise SettingsError(f"{where} holds a private key, which is sent to nobody: that is for key_file.")
    if not _ASSERTION.fullmatch(assertion):
        raise AssertionUnavailableError(f"{where} holds blanks or other characters that no assertion has.")
    return assertion


def _text(source: AssertionSource) -> tuple[str, str]:
    if source.file is not None:
        field, path = "assertion_file", source.file
        return read_below(path, source.folders, field=field, problem=AssertionUnavailableError), f"{field}: {path!r}"
    name = source.variable or ""
    where = f"assertion_env: {name}"
    value = os.environ.get(name, "")
    if not value.strip():
        raise AssertionUnavailableError(f"{where} is not set in the environment of this process.")
    if not name.endswith("_FILE"):
        return value, where
    return read_named(value.strip(), field=where, problem=AssertionUnavailableError), f"{where}: {value.strip()!r}"
