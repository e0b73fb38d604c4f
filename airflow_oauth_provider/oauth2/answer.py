"""A good answer of the token endpoint → an access token (RFC 6749 §5.1), in the dialect of the server."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.exceptions import UnusableTokenError
from airflow_oauth_provider.oauth2.settings import DPOP_PREFERRED, TOKEN_EXCHANGE
from airflow_oauth_provider.oauth2.token import AccessToken

if TYPE_CHECKING:
    from airflow_oauth_provider.masking import Redactor
    from airflow_oauth_provider.oauth2.dpop import ProofKey
    from airflow_oauth_provider.oauth2.settings import AnswerDialect, ClientSettings

MAX_SCOPE_CHARACTERS = 20_000
MAX_LIFETIME_S = 30 * 86_400.0

BEARER = "Bearer"

_TOKEN_CHARACTERS = re.compile(r"[\x21-\x7e]+", re.ASCII)
_DECIMAL = re.compile(r"[0-9]{1,400}(\.[0-9]*)?", re.ASCII)
# Whether it may be used is decided where it is used: that is another connection's business, too.
_BASE_URL = re.compile(r"https?://[\x21\x24-\x3e\x41-\x5b\x5d-\x7e]{1,2000}", re.IGNORECASE)


def find_token(dialect: AnswerDialect, answer: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """
    Return what is said of the token, and the token; None for one that is not there.

    What stands beside it counts before what stands around it, such as an ``expires_in`` of the whole answer.
    """
    if dialect.path is None:
        return answer, answer.get("access_token")
    said: dict[str, Any] = {}
    found: Any = answer
    for name in dialect.path.split("."):
        if not isinstance(found, dict):
            return {}, None
        said, found = {**said, **found}, found.get(name)
    return ({**said, **found}, found.get("access_token")) if isinstance(found, dict) else (said, found)


def token_from(
    settings: ClientSettings,
    redactor: Redactor,
    members: dict[str, Any],
    value: Any,
    *,
    now: float,
    proof_key: ProofKey | None,
) -> AccessToken:
    """
    Return the token that an answer grants.

    :param members: what is said of it
    :param value: the token itself
    :param now: when it was asked for, epoch seconds
    :param proof_key: of the proof that was sent (RFC 9449 §5)
    :raises UnusableTokenError: it may not be used
    """
    if not isinstance(value, str) or not _TOKEN_CHARACTERS.fullmatch(value):
        raise UnusableTokenError(
            f"The token of {settings.shown_endpoint} is not a string of visible ASCII characters, so it cannot stand "
            "in a header."
        )
    token_type, scope = _token_type(settings, redactor, members), members.get("scope")
    if isinstance(scope, list):
        scope = " ".join(str(item) for item in scope)
    return AccessToken(
        value=value,
        token_type=token_type,
        # Some servers name hundreds.
        scope=redactor.server_text(scope, MAX_SCOPE_CHARACTERS) if isinstance(scope, str) and scope else settings.scope,
        issued_at=now,
        expires_at=now + lifetime_s(members.get("expires_in"), settings.answer),
        proof_key=_bound_to(settings, redactor, token_type, proof_key),
        base_url=_base_url(settings, members),
        end_is_guessed=_is_zero(members.get("expires_in")),
    )


def lifetime_s(expires_in: Any, dialect: AnswerDialect) -> float:
    """Return the seconds that ``expires_in`` grants, at most 30 days; a default where it is not to be believed."""
    if isinstance(expires_in, str) and _DECIMAL.fullmatch(expires_in.strip()):
        expires_in = float(expires_in)
    seconds = dialect.default_lifetime_s
    if isinstance(expires_in, int | float) and not isinstance(expires_in, bool):
        granted = expires_in * dialect.expires_in_unit_s
        if math.isfinite(granted) and granted > 0:
            seconds = granted
    return min(float(seconds), MAX_LIFETIME_S)


def _is_zero(expires_in: Any) -> bool:
    """Whether a server says that a token ends within the second: one that hands out what there is may say so."""
    return str(expires_in).strip() in ("0", "0.0")


def _token_type(settings: ClientSettings, redactor: Redactor, members: dict[str, Any]) -> str:
    """Return the type, ``Bearer`` for what the connection takes for it."""
    where, dialect, token_type = settings.shown_endpoint, settings.answer, members.get("token_type")
    token_type = token_type.strip() if isinstance(token_type, str) else token_type
    if token_type in (None, "") and dialect.default_scheme:
        return dialect.default_scheme
    if not isinstance(token_type, str) or not token_type:
        raise UnusableTokenError(
            f"The answer of {where} has no token_type, so nobody knows how to use its token (RFC 6749 §5.1). "
            "If its documentation says that it is a Bearer token, set default_scheme."
        )
    if token_type.lower() in ("bearer", "dpop"):
        return token_type
    if token_type.lower() in dialect.type_aliases:
        return BEARER
    if settings.grant == TOKEN_EXCHANGE and token_type.upper() == "N_A":
        issued = redactor.server_text(str(members.get("issued_token_type")), 100)
        raise UnusableTokenError(
            f"The token exchange at {where} issued something that is no access token ({issued}; RFC 8693 §2.2.1). "
            "Check requested_token_type in extra_params; if it is used as a Bearer token, set type_aliases."
        )
    shown = redactor.server_text(token_type, 40)
    raise UnusableTokenError(
        f"The token of {where} is of type {shown!r}; only Bearer and DPoP are known (RFC 6749 §7.1). "
        "If its documentation says that it is a Bearer token, set type_aliases."
    )


def _bound_to(
    settings: ClientSettings, redactor: Redactor, token_type: str, proof_key: ProofKey | None
) -> ProofKey | None:
    """Return the key without which the token cannot be used, None for a token that anybody can use."""
    if token_type.lower() == "dpop":
        if proof_key is None:
            raise UnusableTokenError(
                f"The token of {settings.shown_endpoint} is of type DPoP, but no proof was sent that it could be bound "
                "to (RFC 9449 §5). Set dpop."
            )
        return proof_key
    if proof_key is not None and settings.dpop != DPOP_PREFERRED:
        shown = redactor.server_text(token_type, 40)
        raise UnusableTokenError(
            f"{settings.shown_endpoint} answered a DPoP proof with a token of type {shown!r}, which whoever steals it "
            "can use (RFC 9449 §5). Allow DPoP for this client at the server, or set dpop to preferred."
        )
    return None


def _base_url(settings: ClientSettings, members: dict[str, Any]) -> str | None:
    name = settings.answer.base_url_member
    if name is None:
        return None
    url = members.get(name)
    if not isinstance(url, str) or not _BASE_URL.fullmatch(url):
        # Not shown: a URL with a user or a query may hold a secret.
        raise UnusableTokenError(
            f"The answer of {settings.shown_endpoint} names no URL of the API in {name!r}, absolute and without user, "
            "query and fragment. Check base_url_from."
        )
    return url
