"""Parameters and headers that a connection adds, and what may not stand among them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.extra import json_text, refuse_private_key
from airflow_oauth_provider.oauth2.settings import CLIENT_CREDENTIALS, JWT_BEARER, TOKEN_EXCHANGE

if TYPE_CHECKING:
    from airflow_oauth_provider.extra import Extra

    Pairs = tuple[tuple[str, str], ...]

CREDENTIALS = frozenset({"client_id", "client_secret", "client_assertion", "client_assertion_type"})
SECRETS = frozenset({"assertion", "password", "refresh_token", "subject_token", "actor_token"})
# By their names on the wire.
_OWN_FIELDS = {"scope": "scope", "audience": "audience", "authorization_details": "rar"}
_REFUSED_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "host", "dpop", "cookie", "content-length", "transfer-encoding"}
)

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?")
# RFC 3986 §4.3 without a fragment; `host:443/path` has no scheme but looks so.
_ABSOLUTE_URI = re.compile(
    r"(?!https?:(?!//[^/?]))[a-z][a-z0-9+.-]*:(?![0-9]+(/|$))[!$%&'()*+,./0-9:;=?@a-z\[\]_~-]+", re.IGNORECASE
)


def read_parameters(extra: Extra, grant: str) -> tuple[Pairs, Pairs]:
    """
    Return further parameters of the token request: those that may be seen, and those that may not.

    :param grant: which cannot be replaced where it says how the request is made
    :raises SettingsError: one stands in the wrong place, or twice
    """
    shown, hidden = _token_parameters(extra, "extra_params"), _token_parameters(extra, "secret_params")
    _refuse_twice(shown, hidden, "extra_params", "secret_params")
    named = dict(shown).get("grant_type")
    if named is not None and grant != CLIENT_CREDENTIALS:
        raise SettingsError("grant_type stands in extra_params and is a field of its own: choose one.")
    if named in (JWT_BEARER, TOKEN_EXCHANGE):
        raise SettingsError("extra_params: this grant_type is one of the field grant_type, which makes its request.")
    actor = {"actor_token", "actor_token_type"} & {name for name, _ in (*shown, *hidden)}
    if len(actor) == 1:
        missing = "actor_token_type in extra_params" if "actor_token" in actor else "actor_token in secret_params"
        raise SettingsError(f"{actor.pop()} has no use without {missing} (RFC 8693 §2.1).")
    for field, pairs in (("extra_params", shown), ("secret_params", hidden)):
        if "resource" in dict(pairs) and extra.has("resource"):
            raise SettingsError(f"resource stands in {field} and is a field of its own: choose one.")
    return shown, hidden


def read_headers(extra: Extra) -> tuple[Pairs, Pairs]:
    """
    Return the headers of every API call: those that may be seen, and those that may not.

    :raises SettingsError: one cannot be sent, or would stand there twice
    """
    shown, hidden = _headers(extra, "headers"), _headers(extra, "secret_headers")
    _refuse_twice(shown, hidden, "headers", "secret_headers")
    return shown, hidden


def read_resources(extra: Extra) -> tuple[str, ...]:
    """
    Return the APIs that tokens are for (RFC 8707 §2).

    :raises SettingsError: one is no absolute URI, or has a fragment
    """
    uris = extra.words("resource")
    for uri in uris:
        if not _ABSOLUTE_URI.fullmatch(uri):
            raise SettingsError(
                f"resource: {uri[:200]!r} is not an absolute URI without a fragment, such as https://api.example.com "
                "(RFC 8707 §2)."
            )
    return tuple(dict.fromkeys(uris))


def read_authorization_details(extra: Extra) -> str | None:
    """
    Return the JSON array of RFC 9396 §2, also where a single object was written.

    :raises SettingsError: an element is no object with a type
    """
    value = extra.json("rar")
    if value is None:
        return None
    details = value if isinstance(value, list) else [value]
    for detail in details:
        if not isinstance(detail, dict) or not isinstance(detail.get("type"), str) or not detail["type"]:
            raise SettingsError('rar is not of the form [{"type": "…"}]: each object needs a type (RFC 9396 §2).')
    return json_text(details)


def _token_parameters(extra: Extra, field: str) -> Pairs:
    parameters = _without_keys(extra, field)
    for name, _ in parameters:
        if name.lower() in CREDENTIALS:
            raise SettingsError(f"{field}: {name} belongs into Client ID or Client secret.")
        if name in _OWN_FIELDS:
            raise SettingsError(f"{field}: {name} has a field of its own, {_OWN_FIELDS[name]}.")
        if field == "extra_params" and name.lower() in SECRETS:
            raise SettingsError(f"{field}: {name} belongs into secret_params, which is masked.")
        if field == "secret_params" and name == "grant_type":
            raise SettingsError(f"{field}: grant_type is no secret, it belongs into extra_params.")
    return parameters


def _without_keys(extra: Extra, field: str) -> Pairs:
    """Return the members of an object, in which no private key stands: all of them together may be a JWK."""
    pairs = extra.mapping(field)
    refuse_private_key([dict(pairs), *(part for pair in pairs for part in pair)], field)
    return pairs


def _headers(extra: Extra, field: str) -> Pairs:
    headers = _without_keys(extra, field)
    if twice := {
        name.lower() for name, _ in headers if [other.lower() for other, _ in headers].count(name.lower()) > 1
    }:
        raise SettingsError(f"{field}: {min(twice)} stands there twice, in other letters.")
    for name, value in headers:
        if name.lower() in _REFUSED_HEADERS:
            raise SettingsError(f"{field}: {name} cannot be set, the provider makes it itself.")
        if not _HEADER_NAME.fullmatch(name):
            raise SettingsError(f"{field}: {name[:60]!r} cannot be the name of a header.")
        if not _HEADER_VALUE.fullmatch(value):
            raise SettingsError(f"{field}: the value of {name} has characters that cannot stand in a header.")
    return headers


def _refuse_twice(first: Pairs, second: Pairs, first_field: str, second_field: str) -> None:
    names = {name.lower() for name, _ in first}
    for name, _ in second:
        if name.lower() in names:
            raise SettingsError(f"{name} stands in {first_field} and in {second_field}: choose one.")
