"""Tokens that are bound to keys, for an API of our own making."""

from __future__ import annotations

from typing import Any

from airflow_oauth_provider.http.auth import OAuth2Auth
from airflow_oauth_provider.http.origin import OriginGuard
from airflow_oauth_provider.http.session import ApiSession
from airflow_oauth_provider.oauth2.dpop import ProofKey
from airflow_oauth_provider.oauth2.token import AccessToken
from tests.support.dpop_api import DpopServer
from tests.support.sessions import session_at
from tests.support.token_sources import Processes, ScriptedEndpoint


class BoundTokens(ScriptedEndpoint):
    """Issues numbered tokens that are bound to a key each, and tells the API."""

    def __init__(self, api: DpopServer) -> None:
        super().__init__()
        self._api = api

    def token(self, **changes: Any) -> AccessToken:
        key = ProofKey.generate("ES256")
        token = super().token(**{"token_type": "DPoP", "proof_key": key, **changes})
        self._api.tokens[token.value] = token.expires_at
        self._api.bound[token.value] = key.thumbprint
        return token


def session_on(api: DpopServer, processes: Processes, **settings: Any) -> ApiSession:
    """Return a session on *api*."""
    return session_at(f"{api.url}/api", processes, **settings)


def auth_on(api: DpopServer, processes: Processes) -> OAuth2Auth:
    """Return what a plain session on *api* needs."""
    return OAuth2Auth(processes.start(), OriginGuard(api.url))
