"""What people call a connection's fields who know other tools, and where that belongs here."""

from __future__ import annotations

import difflib
import re

# Place: what is also written for it.
_PLACES = {
    "Token URL (the field host)": (
        *("token_url", "token_endpoint", "token_uri", "access_token_url", "auth_url", "host"),
        *("authority", "tenant", "tenant_id", "realm"),
    ),
    "Token URL (the field host), with discover": (
        *("issuer_url", "discovery_url", "metadata_url", "server_metadata_url"),
        *("well_known", "well_known_url", "openid_configuration"),
    ),
    "Client ID (the field login)": ("client_id", "consumer_key"),
    "Client secret (the field password)": ("client_secret", "consumer_secret"),
    "scope": ("scopes",),
    "resource": ("resources", "resource_uri"),
    "base_url": ("endpoint_url", "api_url", "api_base_url"),
    "base_url_from": ("instance_url",),
    "auth_method": ("token_endpoint_auth_method", "client_auth_method", "authentication_method", "auth_type"),
    "private_key": ("key", "jwk", "jwks", "signing_key", "client_key", "private_key_content"),
    "key_file": ("private_key_file", "private_key_path", "key_path", "client_key_file", "pem_file"),
    "private_key_passphrase": ("passphrase", "private_key_password", "key_password"),
    "certificate": ("cert", "client_cert", "client_certificate"),
    "certificate_file": ("cert_file", "cert_path", "certificate_path", "client_cert_file"),
    "key_id": ("kid", "private_key_id"),
    "signing_algorithm": ("alg", "algorithm", "signing_alg", "token_endpoint_auth_signing_alg"),
    "assertion_audience": ("aud", "assertion_aud"),
    "assertion_file, or assertion_env": (
        *("assertion", "client_assertion", "token_file"),
        *("federated_token_file", "azure_federated_token_file", "web_identity_token_file"),
    ),
    "subject": ("sub",),
    "assertion_claims": ("claims",),
    "dpop_algorithm": ("dpop_alg",),
    "rar": ("authorization_details",),
    "default_scheme": ("token_type",),
    "default_lifetime": ("expires_in",),
    "secret_params, as a member": ("subject_token", "actor_token"),
    "revocation_url": ("revocation_endpoint", "revoke_url"),
    "verify": ("verify_ssl", "ssl_verify", "ca_bundle", "ca_file"),
    "proxies": ("proxy",),
    "extra_params": ("params",),
}


def advice(key: str, known: list[str]) -> str:
    """Say where the value of the unknown *key* belongs."""
    place = {_bare(name): place for place, names in _PLACES.items() for name in names}.get(_bare(key))
    if place:
        return f"that belongs into {place}."
    nearest = difflib.get_close_matches(_bare(key), map(_bare, known), n=1)
    if nearest:
        return f"did you mean {next(name for name in known if _bare(name) == nearest[0])!r}?"
    return f"known are {', '.join(known)}."


def _bare(name: str) -> str:
    """Return a name without what only a habit of writing adds: tokenUrl, token-url and TOKEN_URL are one."""
    return re.sub(r"[\W_]", "", name).lower()
