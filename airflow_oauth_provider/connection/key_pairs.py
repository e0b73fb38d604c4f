"""Private keys and certificates: from which fields they come, and what each is for."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from airflow_oauth_provider.connection.choice import choice
from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.oauth2.settings import (
    CLIENT_SECRET_JWT,
    JWT_BEARER,
    PRIVATE_KEY_JWT,
    TLS_METHODS,
    KeyPair,
)

if TYPE_CHECKING:
    from airflow_oauth_provider.config import ProviderConfig
    from airflow_oauth_provider.extra import Extra

_TRIES, _PAUSE_S = 3, 0.1
SECRET_ALGORITHMS = ("HS256", "HS384", "HS512")


class PairFields(NamedTuple):
    """The names of the fields of one pair."""

    key: str
    key_file: str
    passphrase: str
    certificate: str
    certificate_file: str

    def key_is_set(self, extra: Extra) -> bool:
        """Whether there is a key, written or in a file."""
        return extra.has(self.key) or extra.has(self.key_file)

    def certificate_is_set(self, extra: Extra) -> bool:
        """Whether there is a certificate, written or in a file."""
        return extra.has(self.certificate) or extra.has(self.certificate_file)


PLAIN = PairFields("private_key", "key_file", "private_key_passphrase", "certificate", "certificate_file")
TLS = PairFields(*(f"tls_{name}" for name in PLAIN))


@dataclass(frozen=True)
class _WrittenPair:
    """What the fields of a pair hold; *key_id* and *algorithm* where a JWK names them."""

    pair: KeyPair | None = field(default=None, repr=False)
    key_id: str | None = None
    algorithm: str | None = None


@dataclass(frozen=True)
class ClientKeys:
    """
    A client's keys by what they are for.

    :param signing: signs assertions
    :param key_id: as which the server knows that key
    :param algorithm: by which is signed; None takes the one of the key's kind, or HS256
    :param shown: in the TLS handshake
    """

    signing: KeyPair | None = field(default=None, repr=False)
    key_id: str | None = None
    algorithm: str | None = None
    shown: KeyPair | None = field(default=None, repr=False)


def read_keys(extra: Extra, config: ProviderConfig, method: str, grant: str) -> ClientKeys:
    """
    Return the keys; they are read only after it is clear that there is a use for each.

    :raises SettingsError: one is missing, has no use, cannot be read, or does not belong to its certificate
    """
    signs = method == PRIVATE_KEY_JWT or grant == JWT_BEARER
    _check_uses(extra, method, signs=signs)
    plain, tls = _read_pair(extra, config, PLAIN), _read_pair(extra, config, TLS)
    if not signs:
        return ClientKeys(algorithm=_algorithm(extra, method, _WrittenPair()), shown=plain.pair or tls.pair)
    return ClientKeys(
        signing=plain.pair,
        key_id=extra.text("key_id") or plain.key_id,
        algorithm=_algorithm(extra, method, plain),
        shown=tls.pair,
    )


def _check_uses(extra: Extra, method: str, *, signs: bool) -> None:
    for names in (PLAIN, TLS):
        _check_fields(extra, names)
    plain, tls = PLAIN.key_is_set(extra), TLS.key_is_set(extra)
    if tls and not TLS.certificate_is_set(extra):
        raise SettingsError("tls_private_key is for the TLS handshake, which needs tls_certificate, too.")
    if method == PRIVATE_KEY_JWT and not plain:
        raise SettingsError("auth_method private_key_jwt needs private_key, or key_file.")
    if method in TLS_METHODS and not (tls or (plain and not signs)):
        raise SettingsError(
            f"auth_method {method} needs certificate and private_key, or their files"
            f"{': with jwt_bearer tls_certificate and tls_private_key, since private_key signs' if signs else ''}."
        )
    if signs or not plain:
        return
    if tls:
        raise SettingsError(
            f"private_key and tls_private_key are both set, and with auth_method {method} both are for the TLS "
            "handshake: choose one."
        )
    if not PLAIN.certificate_is_set(extra):
        raise SettingsError(
            f"private_key has no use: auth_method {method} signs nothing with it, and the TLS handshake needs "
            "certificate, too. Choose private_key_jwt, or add certificate."
        )


def _check_fields(extra: Extra, names: PairFields) -> None:
    for written, file in ((names.key, names.key_file), (names.certificate, names.certificate_file)):
        if extra.has(written) and extra.has(file):
            raise SettingsError(f"{written} and {file} are both set: choose one.")
    if not names.key_is_set(extra):
        for name in (names.certificate, names.certificate_file, names.passphrase):
            if extra.has(name):
                raise SettingsError(f"{name} is set without its key: fill in {names.key}, or {names.key_file}.")


def _read_pair(extra: Extra, config: ProviderConfig, names: PairFields) -> _WrittenPair:
    if not names.key_is_set(extra):
        return _WrittenPair()
    left = _TRIES if extra.has(names.key_file) or extra.has(names.certificate_file) else 1
    while True:
        left -= 1
        try:
            return _read_pair_once(extra, config, names)
        except SettingsError:
            if not left:
                raise
        # Both may be about to be replaced, and one of them may be the old one.
        time.sleep(_PAUSE_S)


def _read_pair_once(extra: Extra, config: ProviderConfig, names: PairFields) -> _WrittenPair:
    # Imported late: who has a plain secret does not pay for it.
    from airflow_oauth_provider.oauth2 import keys

    text, field_of_key = _text(extra, config, names.key, names.key_file)
    key = keys.read_private_key(text, passphrase=extra.verbatim(names.passphrase), field=field_of_key)
    if not names.certificate_is_set(extra):
        return _WrittenPair(KeyPair(key.pem), key.key_id, key.algorithm)
    text, field_of_certificate = _text(extra, config, names.certificate, names.certificate_file)
    pair = KeyPair(key.pem, keys.read_certificate(text, field=field_of_certificate))
    keys.check_pair(pair, key_field=field_of_key, certificate_field=field_of_certificate)
    return _WrittenPair(pair, key.key_id, key.algorithm)


def _text(extra: Extra, config: ProviderConfig, written: str, file: str) -> tuple[str, str]:
    """Return a key or a certificate, and the name of the field that it comes from."""
    if text := extra.verbatim(written):
        return text, written
    from airflow_oauth_provider.files import read_below

    return read_below(extra.text(file) or "", config.key_folders, field=file), file


def _algorithm(extra: Extra, method: str, signing: _WrittenPair) -> str | None:
    wanted, where = choice(extra, "signing_algorithm"), "signing_algorithm"
    if method == CLIENT_SECRET_JWT:
        if wanted and signing.pair is not None:
            raise SettingsError(
                "signing_algorithm: client_secret_jwt and the key of jwt_bearer sign by different ones: leave it empty."
            )
        if wanted and wanted not in SECRET_ALGORITHMS:
            raise SettingsError(f"signing_algorithm: client_secret_jwt signs by {', '.join(SECRET_ALGORITHMS)} alone.")
    elif wanted is None and signing.algorithm is not None:
        wanted, where = signing.algorithm, "alg in the JWK"
    if signing.pair is not None:
        from airflow_oauth_provider.oauth2.keys import signing_algorithm

        signing_algorithm(signing.pair.private_key, wanted, field=where)
    return wanted
