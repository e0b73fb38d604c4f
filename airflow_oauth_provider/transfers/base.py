"""What all transfers do: pull, hand on in batches, keep a checkpoint, and say what came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.pull.pagination import as_template_field
from airflow_oauth_provider.pull.templates import has_template
from airflow_oauth_provider.retry import check_retry_args
from airflow_oauth_provider.retry_policy import DEFAULT_RETRY_POLICY, retry_policy_arguments
from airflow_oauth_provider.transfers.interval import check_interval_format, check_interval_params, lookback_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import Context

    from airflow_oauth_provider.transfers.checkpoint import Checkpoint
    from airflow_oauth_provider.transfers.run import TransferRun
    from airflow_oauth_provider.transfers.sink import Sink

PULL_TEMPLATE_FIELDS = (
    *("oauth2_conn_id", "endpoint", "method", "query", "json", "data", "headers"),
    *("pagination", "records", "max_pages", "max_records", "interval_params"),
)
RENDERERS = {"query": "json", "json": "json", "data": "py", "headers": "json", "pagination": "py"}


class OAuth2TransferOperator(BaseOperator):
    """
    Pulls from an API into somewhere else; the base of the transfers.

    :param oauth2_conn_id: connection of type ``oauth2`` (templated)
    :param endpoint: below the connection's base URL; or an absolute URL of an allowed origin (templated)
    :param method: HTTP method (templated)
    :param query: parameters of the URL's query (templated)
    :param json: body, sent as JSON (templated)
    :param data: body, sent as a form when it is a dict, otherwise as it is (templated)
    :param headers: besides the connection's (templated)
    :param pagination: how the API says which page is next; see ``OAuth2Hook.pages`` (templated)
    :param records: JMESPath to the list of records (templated)
    :param response_format: ``json``, ``ndjson``, ``csv``, ``xml`` or ``raw``
    :param csv_options: for ``csv.reader``; and ``fieldnames`` where the first line is no header
    :param use_decimal: JSON numbers with a fraction stay exact
    :param max_pages: stop after so many pages (templated)
    :param max_records: stop after so many records (templated)
    :param concurrency: requests in flight, for ``Offset`` and ``PageNumber``
    :param idempotent: sending a request twice does no harm, so that POST is repeated like GET
    :param retry_args: for ``tenacity.Retrying``, in place of this package's policy, for each page
    :param interval_params: query parameter → ``start`` or ``end`` of the run's data interval (templated)
    :param interval_format: ``iso``, ``epoch``, ``epoch_ms``, or what ``strftime`` takes; in UTC
    :param interval_lookback: timedelta or seconds by which the interval begins earlier
    :param watermark: JMESPath to a value of a record; the largest is kept with the outlet asset (Airflow 3.3+)
    :param watermark_param: query parameter in which the next run sends it
    :param resume: let a retry go on where this try stops (Airflow 3.3+)
    :param retry_policy: of the task's retries (Airflow 3.3+); None for none
    """

    template_fields: Sequence[str] = PULL_TEMPLATE_FIELDS
    template_fields_renderers: ClassVar[dict[str, str]] = RENDERERS
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
        response_format: str = "json",
        csv_options: Mapping[str, Any] | None = None,
        use_decimal: bool = False,
        max_pages: int | None = None,
        max_records: int | None = None,
        concurrency: int = 1,
        idempotent: bool | None = None,
        retry_args: Mapping[str, Any] | None = None,
        interval_params: Mapping[str, str] | None = None,
        interval_format: str = "iso",
        interval_lookback: timedelta | float = 0,
        watermark: str | None = None,
        watermark_param: str | None = None,
        resume: bool = True,
        retry_policy: Any = DEFAULT_RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        super().__init__(**retry_policy_arguments(retry_policy), **kwargs)
        self.oauth2_conn_id = oauth2_conn_id
        self.endpoint = endpoint
        self.method = method
        self.query = query
        self.json = json
        self.data = data
        self.headers = headers
        self.pagination = as_template_field(pagination)
        self.records = records
        self.response_format = response_format
        self.csv_options = csv_options
        self.use_decimal = use_decimal
        self.max_pages = max_pages
        self.max_records = max_records
        self.concurrency = concurrency
        self.idempotent = idempotent
        self.retry_args = retry_args
        self.interval_params = interval_params
        self.interval_format = interval_format
        self.interval_lookback = interval_lookback
        self.watermark = watermark
        self.watermark_param = watermark_param
        self.resume = resume
        self._run: TransferRun | None = None
        self._killed = False
        check_retry_args(retry_args)
        self._check_pull(templated=False)

    # For the transfers ------------------------------------------------------------------------------------------------

    def open_sink(self, context: Context, checkpoint: Checkpoint) -> Sink:
        """
        Return where the records go, found to be usable.

        :raises SettingsError: it is not
        """
        raise NotImplementedError

    def destination_identity(self) -> Any:
        """Return what JSON can hold of the destination: a checkpoint of another one is not gone on from."""
        raise NotImplementedError

    def reads_decimals(self) -> bool:
        """Whether JSON numbers with a fraction are read as ``Decimal``."""
        return self.use_decimal

    def plan_parameters(self) -> dict[str, Any]:
        """Return the parameters of the pull, besides the request."""
        return {
            "pagination": self.pagination,
            "records": self.records,
            "response_format": self.response_format,
            "csv_options": self.csv_options,
            "use_decimal": self.reads_decimals(),
            "max_pages": self.max_pages,
            "max_records": self.max_records,
            "concurrency": self.concurrency,
        }

    def _check_pull(self, *, templated: bool) -> None:
        """Raise SettingsError for what cannot be right; templates are looked at when they are rendered."""
        from airflow_oauth_provider.pull.plan import PullPlan
        from airflow_oauth_provider.transfers.watermark import check_watermark

        if self.json is not None and self.data is not None:
            raise SettingsError("json and data are both given: a request has one body.")
        self._check_kinds(templated=templated)
        lookback_of(self.interval_lookback)
        check_interval_format(self.interval_format)
        if self.watermark is not None and self.response_format == "raw":
            raise SettingsError("watermark: raw bodies have no records.")
        if self.watermark is not None and self.interval_params is not None:
            raise SettingsError("watermark and interval_params are both given: a run asks by one of them.")
        check_watermark(self.watermark, self.watermark_param, self.outlets)
        parameters = self.plan_parameters()
        if templated or not has_template(parameters):
            PullPlan.of(**parameters)
        if templated or not has_template(self.interval_params):
            check_interval_params(self.interval_params)

    def _check_kinds(self, *, templated: bool) -> None:
        for name in ("use_decimal", "resume"):
            if not isinstance(getattr(self, name), bool):
                raise SettingsError(f"{name} must be True or False.")
        for name in ("method", "endpoint"):
            value = getattr(self, name)
            if (templated or not has_template(value)) and not isinstance(value, str) and (value or name == "method"):
                raise SettingsError(f"{name} must be a text.")
        known = self.headers is not None and (templated or not has_template(self.headers))
        if known and not isinstance(self.headers, Mapping):
            raise SettingsError("headers must be a dict of names to values.")

    # The run ----------------------------------------------------------------------------------------------------------

    def execute(self, context: Context) -> dict[str, Any]:
        """Pull everything, and return what came where."""
        from airflow_oauth_provider.transfers.run import TransferRun

        self._check_pull(templated=True)
        self._run = TransferRun(self, context)
        if self._killed:
            self._run.stop()
        return self._run()

    def on_kill(self) -> None:
        """Send nothing more; the pull ends at its next step."""
        self._killed = True
        if self._run is not None:
            self._run.stop()
