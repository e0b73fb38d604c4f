"""The hook: a connection of type ``oauth2`` at work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.form import UI_FIELD_BEHAVIOUR
from airflow_oauth_provider.get_provider_info import CONNECTION_TYPE, HOOK_NAME
from airflow_oauth_provider.hooks.http_calls import HttpHookCalls
from airflow_oauth_provider.hooks.token_care import TokenCare
from airflow_oauth_provider.lazy import lazy_property

# What a Dag file imports is paid at every parse: requests and what needs it come with the first call.
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import requests
    from airflow.providers.common.compat.sdk import Connection

    from airflow_oauth_provider.config import ProviderConfig
    from airflow_oauth_provider.connection import ConnectionSettings
    from airflow_oauth_provider.http.auth import OAuth2Auth
    from airflow_oauth_provider.http.call import Answer
    from airflow_oauth_provider.http.session import ApiSession
    from airflow_oauth_provider.oauth2.token import AccessToken
    from airflow_oauth_provider.pull.page import Page
    from airflow_oauth_provider.pull.plan import Position
    from airflow_oauth_provider.pull.progress import Progress
    from airflow_oauth_provider.telemetry import Telemetry
    from airflow_oauth_provider.tokens.source import TokenSource

_CACHED = frozenset({"_config", "_settings", "_source", "_session", "_telemetry"})


class OAuth2Hook(HttpHookCalls, TokenCare, BaseHook):
    """
    Calls an API that is protected by OAuth 2.0 client credentials (RFC 6749 §4.4).

    The token is shared by all tasks that use the same store until it nears its end. Token and connections belong to
    the process, so hooks are cheap; each reads its connection once.

    :param oauth2_conn_id: connection of type ``oauth2``
    :param method: HTTP method of :meth:`run`
    :param auth_type: must be None: the connection authorizes
    :param tcp_keep_alive: probe idle connections
    :param tcp_keep_alive_idle: seconds before the first probe
    :param tcp_keep_alive_count: probes before a connection is given up
    :param tcp_keep_alive_interval: seconds between probes
    """

    conn_name_attr = "oauth2_conn_id"
    default_conn_name = "oauth2_default"
    conn_type = CONNECTION_TYPE
    hook_name = HOOK_NAME

    def __init__(
        self,
        oauth2_conn_id: str = default_conn_name,
        *,
        method: str = "GET",
        auth_type: None = None,
        tcp_keep_alive: bool = True,
        tcp_keep_alive_idle: int = 120,
        tcp_keep_alive_count: int = 20,
        tcp_keep_alive_interval: int = 30,
    ) -> None:
        super().__init__()
        if auth_type is not None:
            raise SettingsError("auth_type cannot be given: the oauth2 connection authorizes the calls.")
        self.oauth2_conn_id = oauth2_conn_id
        self.method = method.upper()
        self._keep_alive = (tcp_keep_alive, tcp_keep_alive_idle, tcp_keep_alive_count, tcp_keep_alive_interval)

    # Tokens and sessions ----------------------------------------------------------------------------------------

    def get_token(self) -> AccessToken:
        """
        Return the shared token, good for the next call.

        Ask anew for each use instead of keeping it: this costs microseconds, and a kept token ends.

        :raises OAuth2Error: why there is none
        """
        return self._source.get()

    @property
    def auth(self) -> OAuth2Auth:
        """The token as a ``requests.auth.AuthBase``, for any library that is based on requests."""
        return self.get_conn().auth

    def get_conn(self) -> ApiSession:
        """Return a ``requests.Session`` that knows base URL, token, timeouts, TLS, allowed origins and retries."""
        return self._session

    # Calls ------------------------------------------------------------------------------------------------------

    def request(self, method: str, endpoint: str | None = None, **kwargs: Any) -> requests.Response:
        """
        Send a request and return the checked response.

        :param endpoint: below the connection's base URL; or an absolute URL of an allowed origin
        :param kwargs: as ``requests.request`` takes them (``params``, ``json``, ``data``, ``headers``, ``timeout``,
            ``stream`` …), and those of :meth:`call`
        :raises OAuth2Error: see :mod:`airflow_oauth_provider.exceptions`
        """
        return self.call(method, endpoint, **kwargs).response

    def call(self, method: str, endpoint: str | None = None, **kwargs: Any) -> Answer:
        """
        Do as :meth:`request`, and return the number of attempts and the seconds, too.

        :param kwargs: besides those of requests: ``check=False`` returns refused responses as well; ``idempotent=True``
            lets POST and PATCH be repeated like GET; ``retry_args`` is a dict for ``tenacity.Retrying``
        """
        return self.get_conn().call(method, endpoint, **kwargs)

    # Pages --------------------------------------------------------------------------------------------------------

    def pages(
        self,
        endpoint: str | None = None,
        *,
        pagination: Any = None,
        records: str | None = None,
        response_format: str = "json",
        method: str = "GET",
        params: Any = None,
        json: Any = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        csv_options: Mapping[str, Any] | None = None,
        use_decimal: bool = False,
        max_pages: int | None = None,
        max_records: int | None = None,
        concurrency: int = 1,
        idempotent: bool | None = None,
        retry_args: Mapping[str, Any] | None = None,
        start: Position | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Page]:
        """
        Pull page after page, with one of them in memory.

        :param endpoint: below the connection's base URL; or an absolute URL of an allowed origin
        :param pagination: how the API says what is next: a class of :mod:`airflow_oauth_provider.pull.pagination`,
            its dict, or a function from a response to the parameters of the next request; by default there is one page
        :param records: JMESPath to the list of records; by default a JSON array is the list and an object one record
        :param response_format: ``json``, ``ndjson``, ``csv``, ``xml`` or ``raw``
        :param method, params, json, data, headers: of the first request, as ``requests.request`` takes them
        :param csv_options: for ``csv.reader``; and ``fieldnames`` where the first line is no header
        :param use_decimal: JSON numbers with a fraction become ``Decimal``
        :param max_pages: stop after so many pages
        :param max_records: stop after so many records
        :param concurrency: requests in flight, for ``Offset`` and ``PageNumber``; records come in order all the same
        :param idempotent: lets POST and PATCH be repeated like GET
        :param retry_args: for ``tenacity.Retrying``, in place of this package's policy, for each page
        :param start: where a former pull stopped
        :param progress: counts the pull; by default a line is logged each 30 seconds and at the end
        :raises SettingsError: the parameters cannot be right; at once
        :raises OAuth2Error: see :mod:`airflow_oauth_provider.exceptions`; while pages come
        """
        from airflow_oauth_provider.pull.plan import PullPlan
        from airflow_oauth_provider.pull.progress import Progress
        from airflow_oauth_provider.pull.puller import Puller
        from airflow_oauth_provider.pull.request import PageRequest

        if json is not None and data is not None:
            raise SettingsError("json and data are both given: a request has one body.")
        plan = PullPlan.of(
            pagination=pagination,
            records=records,
            response_format=response_format,
            csv_options=csv_options,
            use_decimal=use_decimal,
            max_pages=max_pages,
            max_records=max_records,
            concurrency=concurrency,
        )
        return Puller(
            self.get_conn(),
            plan,
            PageRequest(method.upper(), endpoint, params, json, data, headers),
            progress=progress or Progress(self.log),
            start=start,
            idempotent=idempotent,
            retry_args=retry_args,
        ).pages()

    def records(self, endpoint: str | None = None, **kwargs: Any) -> Iterator[Any]:
        """
        Pull record after record.

        :param endpoint: as in :meth:`pages`
        :param kwargs: as in :meth:`pages`
        """
        pages = self.pages(endpoint, **kwargs)
        return (record for page in pages for record in page.records)

    def redact(self, text: str, limit: int) -> str:
        """Return a server's *text* on one line, without this connection's secrets, cut to *limit* characters."""
        return self.get_conn().redactor().server_text(text, limit)

    # The connection ---------------------------------------------------------------------------------------------

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """Return the connection; in Airflow's CLI and API server, too, where the SDK's hook finds none."""
        from airflow_oauth_provider import airflow_access

        return airflow_access.connection(conn_id)

    @lazy_property
    def _telemetry(self) -> Telemetry:
        from airflow_oauth_provider.telemetry import Telemetry

        return Telemetry(self.oauth2_conn_id)

    @lazy_property
    def _config(self) -> ProviderConfig:
        from airflow_oauth_provider.config import read_config

        return read_config()

    @lazy_property
    def _settings(self) -> ConnectionSettings:
        from airflow_oauth_provider.connection import read_connection
        from airflow_oauth_provider.masking import Redactor, mask_in_airflow

        connection, problem = self.get_connection(self.oauth2_conn_id), ""
        try:
            settings = read_connection(connection, self._config)
        except SettingsError as error:
            problem = Redactor([connection.password or ""])(str(error))
        # Not where that is handled: an error's context is shown by whoever collects errors.
        if problem:
            raise SettingsError(f"Connection {self.oauth2_conn_id!r}: {problem}")
        mask_in_airflow(settings.secrets())
        return settings

    @lazy_property
    def _source(self) -> TokenSource:
        from airflow_oauth_provider.tokens.registry import token_source

        return token_source(self._settings.client, self._config, self._telemetry)

    @lazy_property
    def _session(self) -> ApiSession:
        return self._new_session()

    def _new_session(self) -> ApiSession:
        from airflow_oauth_provider.http.pool import KeepAlive
        from airflow_oauth_provider.http.session import ApiSession

        settings = self._settings
        return ApiSession(
            settings.api,
            self._source,
            secrets=settings.client.secrets(),
            keep_alive=KeepAlive(*self._keep_alive),
            telemetry=self._telemetry,
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what was read and made: a pickled hook holds no secret."""
        return {name: value for name, value in self.__dict__.items() if name not in _CACHED}

    # The form on Airflow 2.11 to 3.1, which looks for these in the class itself and in no base of it ---------------

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return which standard fields are hidden, and what the others are called."""
        return {name.replace("-", "_"): value for name, value in UI_FIELD_BEHAVIOUR.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's own fields, without objects and lists: there is no widget for them, they stay in Extra."""
        from airflow_oauth_provider.hooks.form_widgets import form_widgets

        return form_widgets()
