"""An operator for one call to an API."""

from __future__ import annotations

import json as jsonlib
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_oauth_provider.exceptions import ResponseCheckError, SettingsError, XComTooLargeError
from airflow_oauth_provider.operators.values import described, text_of, value_of
from airflow_oauth_provider.pull.pagination import as_template_field
from airflow_oauth_provider.pull.templates import has_template
from airflow_oauth_provider.retry import check_retry_args
from airflow_oauth_provider.retry_policy import DEFAULT_RETRY_POLICY, retry_policy_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import requests
    from airflow.providers.common.compat.sdk import Context

    from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook

DEFAULT_MAX_XCOM_BYTES = 1_048_576
MAX_LOGGED_CHARACTERS = 10_000

_BATCH = 1000


class _DefaultLimit(int):
    """The limit that nobody chose: it is off under a custom XCom backend, which stores elsewhere."""


class OAuth2HttpOperator(BaseOperator):
    """
    Calls an endpoint and puts the answer into XCom: JSON as objects, anything else as text, 204 as None.

    With ``pagination``, ``records`` or a limit it pulls page after page, and the records are the XCom value.

    The XCom ``request_info`` holds ``status``, ``elapsed_s``, ``bytes`` and ``attempts``; and ``pages`` and ``records``
    of a pull.

    :param oauth2_conn_id: connection of type ``oauth2`` (templated)
    :param endpoint: below the connection's base URL; or an absolute URL of an allowed origin (templated)
    :param method: HTTP method (templated)
    :param query: parameters of the URL's query; ``params`` belongs to BaseOperator (templated)
    :param json: body, sent as JSON (templated)
    :param data: body, sent as a form when it is a dict, otherwise as it is (templated)
    :param headers: besides the connection's (templated)
    :param response_check: called with the response and whatever of the context it names; false fails the task
    :param response_filter: called likewise; what it returns is the XCom value
    :param pagination: how the API says which page is next; see ``OAuth2Hook.pages`` (templated)
    :param records: JMESPath to the list of records (templated)
    :param max_pages: stop after so many pages (templated)
    :param max_records: stop after so many records (templated)
    :param concurrency: requests in flight, for ``Offset`` and ``PageNumber``
    :param retry_args: for ``tenacity.Retrying``, in place of this package's policy
    :param idempotent: sending it twice does no harm, so that POST and PATCH are repeated like GET
    :param log_response: log the body, up to 10,000 characters
    :param max_xcom_bytes: a value whose JSON is larger fails before it reaches the metadata database; None lifts the
        limit, and by default it is off under a custom XCom backend
    :param retry_policy: of the task's retries (Airflow 3.3+); None for none
    """

    template_fields: Sequence[str] = (
        *("oauth2_conn_id", "endpoint", "method", "query", "json", "data", "headers"),
        *("pagination", "records", "max_pages", "max_records"),
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "query": "json",
        "json": "json",
        "data": "py",
        "headers": "json",
        "pagination": "py",
    }
    ui_color = "#d8e8f5"

    def __init__(
        self,
        *,
        oauth2_conn_id: str = "oauth2_default",
        endpoint: str | None = None,
        method: str = "GET",
        query: Mapping[str, Any] | None = None,
        json: Any = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        pagination: Any = None,
        records: str | None = None,
        max_pages: int | None = None,
        max_records: int | None = None,
        concurrency: int = 1,
        response_check: Callable[..., bool] | None = None,
        response_filter: Callable[..., Any] | None = None,
        retry_args: Mapping[str, Any] | None = None,
        idempotent: bool | None = None,
        log_response: bool = False,
        max_xcom_bytes: int | None = _DefaultLimit(DEFAULT_MAX_XCOM_BYTES),
        retry_policy: Any = DEFAULT_RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        super().__init__(**retry_policy_arguments(retry_policy), **kwargs)
        if json is not None and data is not None:
            raise SettingsError("json and data are both given: a call has one body.")
        if max_xcom_bytes is not None and not (isinstance(max_xcom_bytes, int) and max_xcom_bytes > 0):
            raise SettingsError("max_xcom_bytes must be a positive whole number, or None for no limit.")
        self.oauth2_conn_id = oauth2_conn_id
        self.endpoint = endpoint
        self.method = method
        self.query = query
        self.json = json
        self.data = data
        self.headers = headers
        self.pagination = as_template_field(pagination)
        self.records = records
        self.max_pages = max_pages
        self.max_records = max_records
        self.concurrency = concurrency
        self.response_check = response_check
        self.response_filter = response_filter
        self.retry_args = retry_args
        self.idempotent = idempotent
        self.log_response = log_response
        self.max_xcom_bytes = max_xcom_bytes
        check_retry_args(retry_args)
        self._check_pull(templated=False)

    def execute(self, context: Context) -> Any:
        """Call the endpoint and return the XCom value."""
        from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook

        hook = OAuth2Hook(oauth2_conn_id=self.oauth2_conn_id)
        if self._pulls:
            return self._pull(hook, context)
        answer = hook.call(**self._request())
        response, size = answer.response, len(answer.response.content)
        what = described(response, hook)
        self.log.info("%s answered %d with %d bytes in %.2f s.", what, response.status_code, size, answer.elapsed_s)
        self._push_info(
            context,
            status=response.status_code,
            elapsed_s=round(answer.elapsed_s, 3),
            bytes=size,
            attempts=answer.attempts,
        )
        self._look_at(response, what, hook, context)
        if self.response_filter is not None:
            value = _call(self.response_filter, response, context)
        else:
            value = value_of(response, what, hook)
        self._checked_size(value)
        return value

    def _request(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "endpoint": self.endpoint,
            "params": self.query,
            "json": self.json,
            "data": self.data,
            "headers": self.headers,
            "retry_args": self.retry_args,
            "idempotent": self.idempotent,
        }

    # Page after page --------------------------------------------------------------------------------------------------

    @property
    def _pulls(self) -> bool:
        return self.concurrency != 1 or any(
            value is not None for value in (self.pagination, self.records, self.max_pages, self.max_records)
        )

    def _pull_parameters(self) -> dict[str, Any]:
        return {
            "pagination": self.pagination,
            "records": self.records,
            "max_pages": self.max_pages,
            "max_records": self.max_records,
            "concurrency": self.concurrency,
        }

    def _check_pull(self, *, templated: bool) -> None:
        """Raise SettingsError for what cannot be right; templates are looked at when they are rendered."""
        if not self._pulls:
            return
        from airflow_oauth_provider.pull.plan import PullPlan

        if self.response_filter is not None:
            raise SettingsError("response_filter takes one response, not pages: select by records, a JMESPath.")
        if templated or not has_template(self._pull_parameters()):
            PullPlan.of(**self._pull_parameters())

    def _pull(self, hook: OAuth2Hook, context: Context) -> list[Any]:
        from airflow_oauth_provider.pull.progress import Progress

        self._check_pull(templated=True)
        progress, value, size = Progress(self.log), list[Any](), 0
        response: requests.Response | None = None
        for page in hook.pages(**self._request(), progress=progress, **self._pull_parameters()):
            response = page.response
            self._look_at(response, described(response, hook), hook, context)
            reading = iter(page.records)
            while batch := list(islice(reading, _BATCH)):
                size += self._checked_size(batch, size)
                value += batch
        self._push_info(
            context,
            status=response.status_code if response is not None else None,
            elapsed_s=round(progress.seconds, 3),
            bytes=progress.bytes,
            attempts=progress.pages + progress.pace.retries,
            pages=progress.pages,
            records=progress.records,
        )
        return value

    # What comes -------------------------------------------------------------------------------------------------------

    def _look_at(self, response: requests.Response, what: str, hook: OAuth2Hook, context: Context) -> None:
        if self.log_response:
            self.log.info("Body: %s", hook.redact(text_of(response), MAX_LOGGED_CHARACTERS))
        if self.response_check is not None and not _call(self.response_check, response, context):
            raise ResponseCheckError(
                f"response_check returned false for {what} ({response.status_code}).", status_code=response.status_code
            )

    def _push_info(self, context: Context, **info: Any) -> None:
        if self.do_xcom_push:
            context["ti"].xcom_push(key="request_info", value=info)

    def _checked_size(self, value: Any, before: int = 0) -> int:
        """Return the bytes of *value* as JSON; those that came *before* count, too."""
        limit = self.max_xcom_bytes
        if limit is None or not self.do_xcom_push or (isinstance(limit, _DefaultLimit) and _has_custom_xcom_backend()):
            return 0
        try:
            size = len(jsonlib.dumps(value, default=str).encode())
        except (TypeError, ValueError, RecursionError):
            size = len(repr(value))  # no JSON: Airflow may know how to store it all the same
        if before + size > limit:
            raise XComTooLargeError(
                f"The result is {'at least ' if before else ''}{before + size:,} bytes of JSON, more than "
                f"max_xcom_bytes={limit:,}: it would lie in the metadata database. Return less by response_filter or "
                "records, ask for less by query, raise max_xcom_bytes, or use a transfer."
            )
        return size


def _call(function: Callable[..., Any], response: requests.Response, context: Context) -> Any:
    """Call *function* as Airflow calls callables: with whatever of the context it names."""
    from airflow.providers.common.compat.sdk import determine_kwargs

    return function(response, **determine_kwargs(function, [response], context))


def _has_custom_xcom_backend() -> bool:
    return not str(conf.get("core", "xcom_backend", fallback="BaseXCom")).endswith("BaseXCom")
