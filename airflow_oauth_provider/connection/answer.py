"""How a token endpoint's answers deviate from RFC 6749 §5.1."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_oauth_provider.connection.choice import choice
from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.oauth2.settings import AnswerDialect

if TYPE_CHECKING:
    from airflow_oauth_provider.extra import Extra

DEFAULT_LIFETIME_S, MAX_LIFETIME_S = 300, 2_592_000
_UNITS = {"s": 1.0, "ms": 0.001}


def read_answer_dialect(extra: Extra) -> AnswerDialect:
    """
    Return how answers are read.

    :raises SettingsError: a field cannot be right
    """
    path = extra.text("answer_path")
    if path is not None and not re.fullmatch(r"[^.\s]+(\.[^.\s]+)*", path):
        raise SettingsError(f"answer_path: {path[:60]!r} is not a path such as data.access_token.")
    aliases = tuple(phrase.lower() for phrase in extra.phrases("type_aliases"))
    if "dpop" in aliases:
        raise SettingsError("type_aliases: dpop cannot mean Bearer. A token that is bound to a key wants dpop.")
    return AnswerDialect(
        path=path,
        default_scheme=choice(extra, "default_scheme"),
        type_aliases=aliases,
        expires_in_unit_s=_UNITS[choice(extra, "expires_in_unit") or "s"],
        default_lifetime_s=float(
            extra.integer("default_lifetime", DEFAULT_LIFETIME_S, minimum=1, maximum=MAX_LIFETIME_S)
        ),
        base_url_member=_base_url_member(extra),
    )


def _base_url_member(extra: Extra) -> str | None:
    member = extra.text("base_url_from")
    if member is not None and not re.fullmatch(r"[^\s/:]+", member):
        raise SettingsError(f"base_url_from: {member[:60]!r} is not the name of a member, such as instance_url.")
    return member
