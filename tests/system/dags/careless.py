"""What a careless Dag author might do with a token: none of it may put the token where others read it."""

from __future__ import annotations

import logging

from airflow.providers.common.compat.sdk import dag, task


@dag("careless", schedule=None)
def careless() -> None:
    @task
    def returns_token() -> object:
        from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook

        return OAuth2Hook("shop").get_token()

    @task
    def shows_token() -> str:
        from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook

        token = OAuth2Hook("shop").get_token()
        print("careless print:", token.value)  # noqa: T201 - careless, as it says
        logging.getLogger(__name__).warning("careless log: %s", token.value)
        return repr(token)

    @task
    def raises_with_token() -> None:
        from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook

        raise ValueError(f"careless raise: {OAuth2Hook('shop').get_token().value}")

    returns_token()
    shows_token()
    raises_with_token()


careless()
