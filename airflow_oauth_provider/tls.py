"""The certificate that a client shows in the TLS handshake (RFC 8705), and what servers say of it."""

from __future__ import annotations

import errno
import os
import secrets
import ssl
import sys
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import create_urllib3_context

from airflow_oauth_provider.exceptions import CertificateError, SettingsError
from airflow_oauth_provider.network import FinalAnswer, causes
from airflow_oauth_provider.origin import Origin

if TYPE_CHECKING:
    from urllib3 import PoolManager

    from airflow_oauth_provider.oauth2.settings import KeyPair

_MAX_CONTEXTS = 32
_OPEN_FILES = "/proc/self/fd"
_FIELDS = "certificate and private_key of the connection (or tls_certificate and tls_private_key)"

# Alerts (RFC 8446 §6.2), and what they mean where a certificate was shown.
_REFUSALS = {
    "ACCESS_DENIED": "it may not come in",
    "BAD_CERTIFICATE": "it is damaged, or not registered there",
    "CERTIFICATE_EXPIRED": "it has ended, or not begun",
    "CERTIFICATE_REQUIRED": "a key of its kind is not taken there",
    "CERTIFICATE_REVOKED": "it is revoked",
    "CERTIFICATE_UNKNOWN": "it is not accepted there",
    "UNKNOWN_CA": "its issuer is not known there, or the certificates between the two are missing behind it",
    "UNSUPPORTED_CERTIFICATE": "one of its kind or purpose is not taken there",
}
# Some servers say "bad" of the certificate that is missing.
_DEMANDS = frozenset({"BAD_CERTIFICATE", "CERTIFICATE_REQUIRED"})
# OpenSSL's words for a key that is another one, or of another kind.
_MISMATCHES = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})


class ClientCertificateAdapter(HTTPAdapter):
    """
    Shows a certificate to the servers that requests go to, and to no proxy on the way.

    :param pair: the certificate and its key; None shows none
    :param kwargs: as ``HTTPAdapter`` takes them
    """

    def __init__(self, pair: KeyPair | None, **kwargs: Any) -> None:
        self._pair = pair
        super().__init__(**kwargs)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        """
        Keep connections with this certificate apart from all others.

        :raises SettingsError: the caller brings a certificate, too; or ours cannot be used
        """
        server, tls = super().build_connection_pool_key_attributes(request, verify, cert)
        # For http, an https proxy would be shown what is here.
        if self._pair is not None and server["scheme"] == "https":
            if cert:  # it would be loaded into the context, which others share
                raise SettingsError("cert cannot be given: the connection has a client certificate of its own.")
            tls["ssl_context"] = client_context(self._pair, verify=verify)
        return server, tls

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """
        Send *request*.

        :raises CertificateError: the server wants a client certificate, or another one
        """
        ambient = sys.exc_info()[1]
        try:
            return super().send(request, *args, **kwargs)
        except requests.RequestException as error:
            alert = _alert(error, ambient)
            if alert not in (_DEMANDS if self._pair is None else _REFUSALS):
                raise
        # Not where requests' own error is handled, which holds credentials.
        server = Origin.of(request.url or "")
        if self._pair is None:
            raise CertificateError(
                f"{server} demands a client certificate. Set {_FIELDS}; "
                "with auth_method private_key_jwt the first two sign and are not shown."
            )
        raise CertificateError(f"{server} refuses the client certificate: {_REFUSALS[alert]}. Check {_FIELDS}.")

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make connections of our class."""
        super().init_poolmanager(*args, **kwargs)
        self._adapted(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Do the same by a proxy."""
        known = self.proxy_manager.get(proxy)
        return known or self._adapted(super().proxy_manager_for(proxy, **kwargs))

    def connection_class(self, base: type[Any]) -> type[Any]:
        """Return what is made in place of *base*, a class of urllib3's."""

        class HearsOut(base):  # type: ignore[misc]
            response_class = FinalAnswer

            def request(self, *args: Any, **kwargs: Any) -> None:
                try:
                    super().request(*args, **kwargs)
                except ssl.SSLEOFError as error:
                    # As without TLS: urllib3 goes on, and reads what the server said before it hung up. In TLS 1.3
                    # that is how one hears that a certificate is refused.
                    raise BrokenPipeError(errno.EPIPE, "The server hung up") from error

        return HearsOut

    def _adapted(self, manager: PoolManager) -> PoolManager:
        def pool(base: type[Any]) -> type[Any]:
            return type(base.__name__, (base,), {"ConnectionCls": self.connection_class(base.ConnectionCls)})

        manager.pool_classes_by_scheme = {scheme: pool(base) for scheme, base in manager.pool_classes_by_scheme.items()}
        return manager


def client_context(pair: KeyPair, *, verify: bool | str | None) -> ssl.SSLContext:
    """
    Return what shows *pair* to servers; all else is as urllib3 has it.

    :param verify: of the server's certificate, as requests takes it
    :raises SettingsError: the client's certificate cannot be used
    :raises OSError: the CA bundle cannot be
    """
    bundle = DEFAULT_CA_BUNDLE_PATH if verify is True else verify
    return _context(pair, bundle or None, _version_of(bundle) if bundle else ())


@lru_cache(maxsize=_MAX_CONTEXTS)
def _context(pair: KeyPair, bundle: str | None, _version: tuple[int, ...]) -> ssl.SSLContext:
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED if bundle else ssl.CERT_NONE)
    if bundle:
        # urllib3 does the same for each connection; but the first time is not for threads that share a context.
        context.load_verify_locations(**{"capath" if Path(bundle).is_dir() else "cafile": bundle})
    _load(context, pair)
    return context


# A lock of OpenSSL's may be held by a thread that the child does not have.
os.register_at_fork(after_in_child=_context.cache_clear)


def _version_of(bundle: str) -> tuple[int, ...]:
    """Return what changes when the bundle is replaced: an authority that is no more in it is trusted no more."""
    try:
        found = Path(bundle).stat()
    except OSError:
        # As requests says it.
        raise OSError("Could not find the CA bundle") from None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _load(context: ssl.SSLContext, pair: KeyPair) -> None:
    """
    Give *context* the certificate and its key.

    OpenSSL takes them from a file only. The key is encrypted for this one time, so that nothing can be done with what
    a process leaves behind that is killed meanwhile.
    """
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

    from airflow_oauth_provider.oauth2.keys import load_key

    password = secrets.token_hex(32).encode()
    key = load_key(pair.private_key).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))
    with _own_file() as file:
        file.write((pair.certificate or "").encode() + b"\n" + key)
        file.flush()
        path = f"{_OPEN_FILES}/{file.name}" if isinstance(file.name, int) else file.name
        try:
            context.load_cert_chain(path, password=password)
            return
        except ssl.SSLError as error:
            why = (
                "it does not belong to the private key"
                if error.reason in _MISMATCHES
                else f"OpenSSL says {error.reason}"
            )
    raise SettingsError(f"The client certificate cannot be used: {why}. Check {_FIELDS}.")


def _own_file() -> BinaryIO:
    """Return a file that nobody else may open and that is gone when it is closed; on no disk where Linux has that."""
    if hasattr(os, "memfd_create") and Path(_OPEN_FILES).is_dir():
        with suppress(OSError):
            return os.fdopen(os.memfd_create("client-certificate"), "wb")
    return cast("BinaryIO", tempfile.NamedTemporaryFile())


def _alert(error: BaseException, ambient: BaseException | None) -> str:
    """Return the name of the alert by which the server ended TLS; empty when it was none, or a proxy's."""
    chain = list(causes(error, ambient))
    if any(isinstance(cause, requests.exceptions.ProxyError) for cause in chain):
        return ""
    reasons = (cause.reason or "" for cause in chain if isinstance(cause, ssl.SSLError))
    return next((reason.partition("_ALERT_")[2] for reason in reasons if "_ALERT_" in reason), "")
