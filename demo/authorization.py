"""The authorization server: Authlib's client credentials grant behind Flask."""

from __future__ import annotations

import time
from typing import Any, cast

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from flask import Flask, Response

from demo.ledger import IssuedToken, Ledger


class ClientCredentials(ClientCredentialsGrant):
    """The grant with both ways to send a client secret; which one a client may use is the client's matter."""

    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]  # noqa: RUF012 - Authlib reads it so


def create_authorization_app(ledger: Ledger, *, expires_in_s: int) -> Flask:
    """
    Build the application that serves ``/oauth2/token``.

    :param ledger: where clients are looked up and issued tokens are kept
    :param expires_in_s: lifetime of every token
    """
    app = Flask("demo-authorization-server")
    app.config["OAUTH2_TOKEN_EXPIRES_IN"] = {"client_credentials": expires_in_s}

    def save_token(token: dict[str, Any], request: Any) -> None:
        ledger.add(
            IssuedToken(
                access_token=token["access_token"],
                client_id=request.client.client_id,
                scope=token["scope"],
                expires_at=time.time() + token["expires_in"],
            )
        )

    server = AuthorizationServer(app, query_client=ledger.client, save_token=save_token)
    server.register_grant(ClientCredentials)

    @app.post("/oauth2/token")
    def issue_token() -> Response:
        ledger.count("token_requests")
        # Flask's integration answers with a Response; its stubs promise the tuple of the base class.
        return cast("Response", server.create_token_response())

    @app.get("/demo/counts")
    def counts() -> dict[str, int]:
        return ledger.counts()

    return app
