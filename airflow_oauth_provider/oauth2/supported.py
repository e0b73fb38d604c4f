"""What a client wants against what its authorization server says it supports (RFC 8414 §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.oauth2.settings import (
    CLIENT_SECRET_BASIC,
    CLIENT_SECRET_JWT,
    DPOP_REQUIRED,
    JWT_BEARER,
    NONE,
    PRIVATE_KEY_JWT,
    SECRET_METHODS,
    WORKLOAD_IDENTITY,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_oauth_provider.masking import Redactor
    from airflow_oauth_provider.oauth2.metadata import ServerMetadata
    from airflow_oauth_provider.oauth2.settings import ClientSettings

    Lacks = Callable[[str, str, str, tuple[str, ...]], str]

# What goes by another name in the connection form than in the registry of RFC 7591 §2.
_REGISTERED = {WORKLOAD_IDENTITY: PRIVATE_KEY_JWT}
_OTHERWISE = "or turn discover off and write the token endpoint into Token URL"


def check_supported(settings: ClientSettings, metadata: ServerMetadata, redactor: Redactor) -> list[str]:
    """
    Return what the server does not say that it supports, and may support all the same.

    Scopes are not looked at: the list of them is for information, and need not be whole.

    :raises SettingsError: what it says leaves no doubt; nothing secret has been sent yet
    """

    def lacks(field: str, wanted: str, member: str, listed: tuple[str, ...]) -> str:
        shown = redactor.server_text(", ".join(listed), 300) or "nothing"
        return f"{field}: {wanted} is not among {member} of {metadata.issuer}, which lists {shown}."

    _check_signature(settings, metadata, lacks)
    checks = (_auth_method_warning, _grant_type_warning, _proof_warning)
    return [warning for check in checks if (warning := check(settings, metadata, lacks)) is not None]


def _auth_method_warning(settings: ClientSettings, metadata: ServerMetadata, lacks: Lacks) -> str | None:
    method, listed = _REGISTERED.get(settings.auth_method, settings.auth_method), metadata.auth_methods
    if method in (listed or (CLIENT_SECRET_BASIC,)):
        return None
    said = lacks("auth_method", method, "token_endpoint_auth_methods_supported", listed or ())
    if method == NONE:
        # Nothing is sent that proves the client; and the assertion of a JWT bearer grant does that itself.
        return None if listed is None or settings.grant == JWT_BEARER else said
    if listed:
        raise SettingsError(f"{said} Choose one of these, {_OTHERWISE}.")
    if method in SECRET_METHODS:
        raise SettingsError(f"{said} That means {CLIENT_SECRET_BASIC} (RFC 8414 §2): choose it, {_OTHERWISE}.")
    return f"{said} Trying it all the same."


def _check_signature(settings: ClientSettings, metadata: ServerMetadata, lacks: Lacks) -> None:
    algorithm, listed = _algorithm(settings), metadata.signing_algorithms
    if algorithm is not None and listed and algorithm not in listed:
        said = lacks("signing_algorithm", algorithm, "token_endpoint_auth_signing_alg_values_supported", listed)
        raise SettingsError(f"{said} Choose one of these that goes with the key, {_OTHERWISE}.")


def _grant_type_warning(settings: ClientSettings, metadata: ServerMetadata, lacks: Lacks) -> str | None:
    # Many servers have no such list; the two grant types that it then stands for are none of ours.
    listed = metadata.grant_types
    if not listed or settings.grant_type in listed:
        return None
    return lacks("grant_type", settings.grant_type, "grant_types_supported", listed)


def _proof_warning(settings: ClientSettings, metadata: ServerMetadata, lacks: Lacks) -> str | None:
    if not settings.dpop or metadata.takes_proofs(settings.dpop_algorithm):
        return None
    listed = metadata.dpop_algorithms or ()
    said = lacks("dpop_algorithm", settings.dpop_algorithm, "dpop_signing_alg_values_supported", listed)
    if settings.dpop == DPOP_REQUIRED:
        choice = "Choose one of these" if listed else "Set dpop to preferred or leave it out"
        raise SettingsError(f"{said} {choice}, {_OTHERWISE}.")
    return f"{said} Going on without DPoP." if listed else None


def _algorithm(settings: ClientSettings) -> str | None:
    """Return what the client's assertion will be signed by; None when it makes none."""
    if settings.auth_method == CLIENT_SECRET_JWT:
        from airflow_oauth_provider.oauth2.jws import SECRET_ALGORITHMS

        return settings.signing_algorithm or SECRET_ALGORITHMS[0]
    if settings.auth_method == PRIVATE_KEY_JWT and settings.signing_key is not None:
        from airflow_oauth_provider.oauth2.keys import signing_algorithm

        return signing_algorithm(settings.signing_key.private_key, settings.signing_algorithm, field="private_key")
    return None
