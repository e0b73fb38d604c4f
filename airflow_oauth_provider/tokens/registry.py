"""Token sources belong to the process: every hook of one client in it gets the same one."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

from airflow_oauth_provider.masking import Redactor
from airflow_oauth_provider.telemetry import Telemetry
from airflow_oauth_provider.tokens.credential import credential_of
from airflow_oauth_provider.tokens.endpoint import TokenEndpoint
from airflow_oauth_provider.tokens.entries import SealedEntries
from airflow_oauth_provider.tokens.seal import seals_for
from airflow_oauth_provider.tokens.source import TokenSource
from airflow_oauth_provider.tokens.stores.opening import open_store

if TYPE_CHECKING:
    from airflow_oauth_provider.config import ProviderConfig
    from airflow_oauth_provider.oauth2.settings import ClientSettings
    from airflow_oauth_provider.tokens.credential import Credential
    from airflow_oauth_provider.tokens.discovery import Discovery
    from airflow_oauth_provider.tokens.stores.guarded import GuardedStore

log = logging.getLogger(__name__)

# A triggerer lives for months and sees secrets rotate; what falls out is only fetched from the store again.
_MAX_SOURCES = 1024

_lock = threading.Lock()
_sources: dict[tuple[ClientSettings, ProviderConfig, str | None, str], TokenSource] = {}
_stores: dict[tuple[str, str], GuardedStore] = {}


def token_source(settings: ClientSettings, config: ProviderConfig, telemetry: Telemetry | None = None) -> TokenSource:
    """
    Return this process's source of the client's token.

    :param config: which store, and how it is sealed
    :param telemetry: of the connection; connections that agree in all settings share by way of the store
    :raises SettingsError: there is no such kind of store
    :raises AssertionUnavailableError: the platform's assertion is not there, which says whose token it is
    """
    telemetry = telemetry or Telemetry()
    credential = credential_of(settings)
    # With the identity: the platform may come to vouch for somebody else while this process lives.
    name = (settings, config, telemetry.conn_id, credential.identity)
    with _lock:
        if name not in _sources:
            while len(_sources) >= _MAX_SOURCES:
                del _sources[next(iter(_sources))]
            entries, lasts = _entries(settings, credential, config)
            endpoint = TokenEndpoint(
                settings,
                discovery=_discovery(settings, entries, config),
                telemetry=telemetry,
                on_request=lambda: entries.count(made=1),
                vouched_for=credential.vouched_for,
            )
            source = TokenSource(settings, entries, endpoint, telemetry)
            if not lasts:
                return source
            _sources[name] = source
        else:
            _sources[name] = _sources.pop(name)  # the one that was used longest ago comes first
        return _sources[name]


def _entries(settings: ClientSettings, credential: Credential, config: ProviderConfig) -> tuple[SealedEntries, bool]:
    """
    Return where the client's tokens are shared; with nobody, where there is nothing to seal them by.

    :return: also whether that lasts: not where the store only has not given its key just now
    """
    store, own_key, lasts = _store(config), None, True
    if not credential.material and not config.token_store_keys and (own_key := store.own_key()) is None:
        lasts = store.available
        if lasts:
            log.warning(
                "%s has no lasting secret, so its tokens are not kept in %s and each process asks for its own: set "
                "[oauth2] token_store_key on all machines.",
                settings.client_id or settings.server,
                store.describe(),
            )
        store = _opened("memory://", config)
        own_key = store.own_key()
    seals = seals_for(settings, credential, config.token_store_keys, own_key)
    return SealedEntries(settings, credential, store, seals), lasts


def _discovery(settings: ClientSettings, entries: SealedEntries, config: ProviderConfig) -> Discovery | None:
    if not settings.discover:
        return None
    # Imported late: most connections name their token endpoint.
    from airflow_oauth_provider.tokens.discovery import Discovery

    redactor = Redactor(settings.secrets())
    return Discovery(settings, entries, allowed_origins=config.allowed_token_endpoints, redactor=redactor)


def _store(config: ProviderConfig) -> GuardedStore:
    return _opened(config.token_store, config)


def _opened(url: str, config: ProviderConfig) -> GuardedStore:
    name = (url, config.token_store_prefix)
    if name not in _stores:
        _stores[name] = open_store(url, prefix=config.token_store_prefix, airflow_home=config.airflow_home)
    return _stores[name]


def _forget_after_fork() -> None:
    """Start anew in a child: its parent's locks may be held by threads that the child does not have."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _sources.clear()
    _stores.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
