"""
The fields of the connection form, declared once, in the order in which they are used; standard library only.

Airflow 3.2+ builds its form from this, for 2.11 to 3.1 the hook makes widgets of it, and settings are read by it.
``writeOnly`` marks what holds a secret: Airflow masks it by its name.
"""

from __future__ import annotations

from typing import Any

UI_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema", "port"],
    "relabeling": {
        "host": "Token URL or issuer (required)",
        "login": "Client ID (required)",
        "password": "Client secret",
    },
    "placeholders": {
        "host": "https://login.example.com/oauth2/token",
        "login": "the id under which the application is registered",
    },
}

_TEXT: dict[str, Any] = {"type": ["string", "null"]}
_LINES = {**_TEXT, "format": "multiline"}
_SECRET_LINES = {**_LINES, "writeOnly": True}
_PASSWORD = {**_TEXT, "format": "password", "writeOnly": True}
_FLAG = {"type": ["boolean", "null"]}
_OBJECT = {"type": ["object", "null"]}
_SECRET_OBJECT = {**_OBJECT, "writeOnly": True}
_LIST_OF_OBJECTS = {"type": ["array", "null"], "items": {"type": "object"}}


def _number(minimum: int, maximum: int) -> dict[str, Any]:
    return {"type": ["integer", "null"], "minimum": minimum, "maximum": maximum}


def _one_of(*values: str, default: str | None = None) -> dict[str, Any]:
    return {**_TEXT, "enum": [*values], **({"default": default} if default else {})}


def _field(label: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": schema}


_API = {
    "base_url": _field(
        "API base URL (required, or the next field)",
        "With scheme and optional path, e.g. https://api.example.com/v1. Endpoints of tasks are appended to it.",
        _TEXT,
    ),
    "base_url_from": _field(
        "API base URL from the token's answer",
        "In place of API base URL: which member of the answer names it, e.g. instance_url (Salesforce).",
        _TEXT,
    ),
}

_WANTED = {
    "scope": _field("Scope", "What the token shall be good for; several scopes blank-separated.", _TEXT),
    "audience": _field("Audience", "For authorization servers that want one, e.g. Auth0.", _TEXT),
    "resource": _field("Resource", "URI of the API (RFC 8707), where it is asked for; several blank-separated.", _TEXT),
}

_CLIENT = {
    "auth_method": _field(
        "Client authentication",
        "How the client proves itself. By Client secret: client_secret_basic (the default), client_secret_post, "
        "client_secret_jwt. By Private key: private_key_jwt. By Certificate and key: tls_client_auth, "
        "self_signed_tls_client_auth. By what the platform vouches for: workload_identity. By nothing: none.",
        _one_of(
            "client_secret_basic",
            "client_secret_post",
            "client_secret_jwt",
            "private_key_jwt",
            "tls_client_auth",
            "self_signed_tls_client_auth",
            "workload_identity",
            "none",
            default="client_secret_basic",
        ),
    ),
    "private_key": _field(
        "Private key",
        "PEM or JWK; masked. It signs for private_key_jwt and jwt_bearer; else it is for the TLS handshake.",
        _SECRET_LINES,
    ),
    "key_file": _field("Key file", "In place of Private key: a path on the worker, below [oauth2] key_folders.", _TEXT),
    "private_key_passphrase": _field("Passphrase of the private key", "Where the key is encrypted; masked.", _PASSWORD),
    "certificate": _field(
        "Certificate",
        "PEM, the client's own first. Needed for tls_… methods; for private_key_jwt where it is wanted (Entra ID).",
        _LINES,
    ),
    "certificate_file": _field(
        "Certificate file", "In place of Certificate: a path on the worker, below [oauth2] key_folders.", _TEXT
    ),
    "key_id": _field(
        "Key ID", "Under which the server knows the key (kid), for private_key_jwt and jwt_bearer.", _TEXT
    ),
    "signing_algorithm": _field(
        "Signing algorithm",
        "By default that of the key: RS256, ES256, ES384, ES512 or EdDSA. HS… are for client_secret_jwt (HS256).",
        _one_of(
            *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
            *("ES256", "ES384", "ES512", "EdDSA", "Ed25519", "HS256", "HS384", "HS512"),
        ),
    ),
    "assertion_audience": _field(
        "Audience of assertions",
        "issuer, endpoint (the token URL), or a value of its own; by default the issuer where it is known, "
        "and the token URL for jwt_bearer.",
        _TEXT,
    ),
    "assertion_typ": _field(
        "Type of assertions", "typ in the header, client-authentication+jwt by default; older servers want JWT.", _TEXT
    ),
    "assertion_file": _field(
        "Assertion file",
        "For workload_identity, jwt_bearer and token_exchange: where the platform puts the worker's token, "
        "below [oauth2] key_folders.",
        _TEXT,
    ),
    "assertion_env": _field(
        "Assertion from the environment",
        "In place of Assertion file: a variable among [oauth2] assertion_env_names. For Entra ID on AKS both may be "
        "empty.",
        _TEXT,
    ),
    "tls_private_key": _field(
        "TLS private key", "For the TLS handshake, where Private key signs; masked. PEM or JWK.", _SECRET_LINES
    ),
    "tls_key_file": _field("TLS key file", "In place of TLS private key: a path, as for Key file.", _TEXT),
    "tls_private_key_passphrase": _field(
        "Passphrase of the TLS private key", "Where that key is encrypted; masked.", _PASSWORD
    ),
    "tls_certificate": _field("TLS certificate", "PEM, with TLS private key.", _LINES),
    "tls_certificate_file": _field(
        "TLS certificate file", "In place of TLS certificate: a path, as for Certificate file.", _TEXT
    ),
    "basic_encoding": _field(
        "Encoding of id and secret",
        "rfc6749 (the default) form-encodes them for client_secret_basic; raw is for servers that decode nothing.",
        _one_of("rfc6749", "raw", default="rfc6749"),
    ),
}

_GRANT = {
    "grant_type": _field(
        "Grant type",
        "client_credentials (the default); jwt_bearer: a signed assertion is the grant (Google, DocuSign, Salesforce); "
        "token_exchange: a token of the platform is changed for another.",
        _one_of("client_credentials", "jwt_bearer", "token_exchange", default="client_credentials"),
    ),
    "subject": _field("Subject", "For jwt_bearer: for whom the client asks (sub); by default for itself.", _TEXT),
    "assertion_claims": _field(
        "Further claims of the assertion", 'For jwt_bearer. Paste JSON, e.g. {"scope": "signature"} (Google).', _OBJECT
    ),
}

_SERVER = {
    "discover": _field(
        "Discover endpoints", "Token URL holds the issuer; the server's metadata name its endpoints (RFC 8414).", _FLAG
    ),
    "issuer": _field("Issuer", "The server's identifier, for assertions, where nothing is discovered.", _TEXT),
    "dpop": _field(
        "DPoP",
        "true binds tokens to a key of ours (RFC 9449); preferred takes a Bearer token, too, where that is what comes.",
        _one_of("true", "preferred"),
    ),
    "dpop_algorithm": _field(
        "DPoP algorithm",
        "By which proofs are signed; ES256 by default.",
        _one_of(*("ES256", "ES384", "ES512", "EdDSA", "Ed25519", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
    ),
    "rar": _field(
        "Authorization details", 'RFC 9396. Paste JSON, e.g. [{"type": "account_information"}].', _LIST_OF_OBJECTS
    ),
    "extra_params": _field(
        "Token request parameters",
        'Further parameters of the token request. Paste JSON, e.g. {"tenant": "acme"}. No credentials.',
        _OBJECT,
    ),
    "secret_params": _field(
        "Secret token request parameters",
        "Like Token request parameters, for values that nobody may see: masked once they are saved. Paste JSON.",
        _SECRET_OBJECT,
    ),
    "revocation_url": _field(
        "Revocation URL", "Where the authorization server ends tokens (RFC 7009), for airflow-oauth2 revoke.", _TEXT
    ),
}

_ANSWER = {
    "default_scheme": _field("Default scheme", "Bearer accepts answers without token_type.", _one_of("Bearer")),
    "type_aliases": _field(
        "Aliases of Bearer",
        "What else token_type may be, comma-separated, e.g. Application Access Token (eBay).",
        _TEXT,
    ),
    "answer_path": _field("Path in the answer", "Where the token lies in it, e.g. data.access_token.", _TEXT),
    "expires_in_unit": _field("Unit of expires_in", "In which it is given: s (the default) or ms.", _one_of("s", "ms")),
    "default_lifetime": _field(
        "Default lifetime (seconds)", "Of a token whose answer names none; 300 by default.", _number(1, 2_592_000)
    ),
    "leeway": _field(
        "Leeway (seconds)",
        "How long before its end a token is replaced; 60 by default, at most a tenth of its life.",
        _number(0, 3600),
    ),
}

_CALLS = {
    "test_endpoint": _field(
        "Test endpoint", "What the Test button calls by GET after it got a token, e.g. status.", _TEXT
    ),
    "headers": _field("Headers", 'For every API call. Paste JSON, e.g. {"X-Api-Version": "3"}.', _OBJECT),
    "secret_headers": _field(
        "Secret headers",
        "Like Headers, for values that nobody may see, such as API keys: masked once they are saved. Paste JSON.",
        _SECRET_OBJECT,
    ),
    "allowed_hosts": _field(
        "Further hosts that may receive the token",
        "Exact origins besides the API base URL's, blank-separated, e.g. https://files.example.com.",
        _TEXT,
    ),
    "timeout": _field("Timeout (seconds)", "One number, or two for connect and read, e.g. 10,60 (the default).", _TEXT),
    "verify": _field(
        "Verify TLS certificates",
        "true, false, or the path of a CA bundle; for token URL and API. Beats REQUESTS_CA_BUNDLE.",
        _TEXT,
    ),
    "proxies": _field(
        "Proxies",
        'By scheme; masked. Paste JSON, e.g. {"https": "http://proxy.example.com:3128"}. Beats HTTPS_PROXY.',
        _SECRET_OBJECT,
    ),
    "allow_http": _field(
        "Allow http", "Let unencrypted http:// URLs through that are not on this machine. Not for production.", _FLAG
    ),
}

CONN_FIELDS: dict[str, dict[str, Any]] = {**_API, **_WANTED, **_CLIENT, **_GRANT, **_SERVER, **_ANSWER, **_CALLS}

SECRET_FIELDS = frozenset(name for name, field in CONN_FIELDS.items() if field["schema"].get("writeOnly"))
