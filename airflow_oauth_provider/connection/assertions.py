"""Assertions: where the platform's come from, and what ours say."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_oauth_provider.connection import entra
from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.extra import json_text
from airflow_oauth_provider.oauth2.settings import (
    AUDIENCE_ENDPOINT,
    AUDIENCE_ISSUER,
    JWT_BEARER,
    TOKEN_EXCHANGE,
    WORKLOAD_IDENTITY,
    AssertionSource,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_oauth_provider.config import ProviderConfig
    from airflow_oauth_provider.extra import Extra

DEFAULT_TYP = "client-authentication+jwt"

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,60}", re.ASCII)
_AUDIENCES = (AUDIENCE_ISSUER, AUDIENCE_ENDPOINT)
_USERS = "workload_identity, jwt_bearer and token_exchange"


def read_source(
    extra: Extra,
    config: ProviderConfig,
    method: str,
    grant: str,
    *,
    has_key: bool,
    secret_params: Mapping[str, str],
) -> AssertionSource | None:
    """
    Return where the platform puts its assertion, None where none is wanted.

    :param has_key: whether a key is there that signs
    :param secret_params: may hold what is granted upon
    :raises SettingsError: it is missing, has no use, or is not allowed
    """
    field = _field_of_source(extra)
    _check_grant(extra, method, grant, field, has_key=has_key, given=secret_params)
    if field is None and method != WORKLOAD_IDENTITY:
        return None
    source = _named(extra, config, field) if field else _of_the_platform(config)
    if not config.allowed_token_endpoints:
        raise SettingsError(
            f"{field or 'auth_method workload_identity'}: the platform's identity is sent only where "
            "[oauth2] allowed_token_endpoints says. Ask those who run this Airflow to set it."
        )
    return source


def read_audience(extra: Extra, *, issuer_is_known: bool) -> str | None:
    """
    Return for whom assertions are.

    :raises SettingsError: it is the issuer, which nothing names; or looks like a slip of the pen
    """
    audience = extra.text("assertion_audience")
    if audience is None:
        return None
    word = audience.lower()
    if word not in _AUDIENCES and difflib.get_close_matches(word, _AUDIENCES, n=1, cutoff=0.75):
        raise SettingsError(f"assertion_audience: {audience[:60]!r} is neither {' nor '.join(_AUDIENCES)}, nor a URL.")
    if word == AUDIENCE_ISSUER and not issuer_is_known:
        raise SettingsError("assertion_audience is issuer, which nothing names: fill in issuer, or set discover.")
    return word if word in _AUDIENCES else audience


def read_grant_claims(extra: Extra, grant: str, *, has_key: bool) -> tuple[str | None, str | None]:
    """
    Return ``sub`` and the further claims of a JWT bearer grant's assertion (RFC 7523 §2.1).

    :raises SettingsError: they have no use, or replace what is made here
    """
    for name in ("subject", "assertion_claims"):
        if extra.has(name) and not (grant == JWT_BEARER and has_key):
            raise SettingsError(f"{name} has no use: it is for grant_type jwt_bearer, signed with private_key.")
    claims = extra.json("assertion_claims")
    if claims is None:
        return extra.text("subject"), None
    # Imported late: who has a plain secret does not pay for it.
    from airflow_oauth_provider.oauth2.assertion import further_claims

    text = json_text(claims)
    further_claims(text)
    return extra.text("subject"), text


def _field_of_source(extra: Extra) -> str | None:
    named = [name for name in ("assertion_file", "assertion_env") if extra.has(name)]
    if len(named) > 1:
        raise SettingsError("assertion_file and assertion_env are both set: choose one.")
    return named[0] if named else None


def _check_grant(
    extra: Extra, method: str, grant: str, field: str | None, *, has_key: bool, given: Mapping[str, str]
) -> None:
    """Hold what is granted upon against the ways in which it can be there; a source may be the client's, too."""
    parameter = {JWT_BEARER: "assertion", TOKEN_EXCHANGE: "subject_token"}.get(grant)
    by_source = bool(field) and method != WORKLOAD_IDENTITY
    if parameter is None:
        if by_source:
            raise SettingsError(f"{field} has no use: it is for {_USERS}.")
        return
    signed = has_key and grant == JWT_BEARER
    ways = [
        *(["private_key"] if signed else []),
        *([field] if by_source and field else []),
        *([f"{parameter} in secret_params"] if parameter in given else []),
    ]
    if len(ways) > 1:
        raise SettingsError(f"grant_type {_name(extra)}: {' and '.join(ways)} are both set: choose one.")
    if not ways and method != WORKLOAD_IDENTITY:
        key = "private_key, key_file, " if grant == JWT_BEARER else ""
        raise SettingsError(
            f"grant_type {_name(extra)} needs what is granted upon: {key}assertion_file, assertion_env, "
            f"or {parameter} in secret_params."
        )


def _name(extra: Extra) -> str:
    return extra.text("grant_type") or ""


def _named(extra: Extra, config: ProviderConfig, field: str) -> AssertionSource:
    name = extra.text(field) or ""
    if field == "assertion_env":
        return AssertionSource(variable=_allowed_variable(name, config))
    if not config.key_folders:
        raise SettingsError(
            f"{field}: [oauth2] key_folders names no folder to read from. Ask those who run this Airflow to set it."
        )
    if not Path(name).is_absolute():
        # Not shown: somebody may have put there what belongs into the file.
        raise SettingsError(f"{field} is not an absolute path.")
    return AssertionSource(file=name, folders=config.key_folders)


def _of_the_platform(config: ProviderConfig) -> AssertionSource:
    if not entra.said(entra.ASSERTION_FILE):
        raise SettingsError(
            "auth_method workload_identity needs assertion_file or assertion_env: "
            f"{entra.ASSERTION_FILE} is not in the environment of this machine."
        )
    return AssertionSource(variable=_allowed_variable(entra.ASSERTION_FILE, config))


def _allowed_variable(name: str, config: ProviderConfig) -> str:
    if name not in config.assertion_env_names:
        # Whatever else is written there may be the assertion itself.
        shown = repr(name) if _VARIABLE.fullmatch(name) else "what is written"
        raise SettingsError(
            f"assertion_env: {shown} is not among [oauth2] assertion_env_names, which are "
            f"{', '.join(config.assertion_env_names) or 'empty'}."
        )
    return name
