"""What people do with a connection's token: test, look, forget, revoke."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.exceptions import OAuth2Error
from airflow_oauth_provider.telemetry import Telemetry

if TYPE_CHECKING:
    from airflow_oauth_provider.connection import ConnectionSettings
    from airflow_oauth_provider.http.call import Answer
    from airflow_oauth_provider.tokens.source import TokenSource
    from airflow_oauth_provider.tokens.status import TokenStatus

log = logging.getLogger(__name__)


class TokenCare:
    """A part of the hook, which has the connection's settings and its source of tokens."""

    oauth2_conn_id: str
    _telemetry: Telemetry

    @property
    def _settings(self) -> ConnectionSettings:
        raise NotImplementedError

    @property
    def _source(self) -> TokenSource:
        raise NotImplementedError

    def call(self, method: str, endpoint: str | None = None, **kwargs: Any) -> Answer:
        """Send a request."""
        raise NotImplementedError

    def token_status(self) -> TokenStatus:
        """
        Return what is known of the stored token, without asking the authorization server.

        :raises SettingsError: the connection cannot be right
        """
        return self._source.status()

    def forget_token(self) -> None:
        """Forget the stored token, and what is remembered of refusals; processes that hold the token keep it."""
        self._source.forget()

    def revoke_token(self) -> bool:
        """
        End the stored token at the authorization server (RFC 7009), and forget it.

        :return: False when there is none
        :raises OAuth2Error: the server does not do it, or the connection names no ``revocation_url``
        """
        return self._source.revoke()

    def test_connection(self) -> tuple[bool, str]:
        """
        Fetch a new token, never a stored one, and call the test endpoint where there is one.

        :return: whether it worked, and one line without any secret: Airflow does not redact it
        """
        # The form's Test makes up a connection id; as a tag it would be a new time series each time.
        self._telemetry = Telemetry(None)
        try:
            return True, self._test()
        except OAuth2Error as error:
            return False, str(error)
        except Exception as error:  # its text may hold anything
            log.debug("The test of %s failed", self.oauth2_conn_id, exc_info=True)
            return False, f"The test failed with {type(error).__name__}; the debug log has the details."

    def _test(self) -> str:
        from airflow_oauth_provider.oauth2.token_response import narrower_scope

        client = self._settings.client
        token = self._source.fetch_new()
        said = f"Got a token that lives {token.lifetime_s:.0f} s"
        said += f", scope {token.scope[:200]!r}" if token.scope else ", no scope named"
        said += f", by {client.auth_method}"
        said += ", bound to a key by DPoP." if token.proof_key is not None else "."
        if missing := narrower_scope(client, token):
            said += f" The server did not grant {missing[:200]!r}."
        if (endpoint := self._settings.test_endpoint) is None:
            return said
        import tenacity

        answer = self.call("GET", endpoint, retry_args={"stop": tenacity.stop_after_attempt(1)})
        return f"{said} The test endpoint answered {answer.response.status_code}."
