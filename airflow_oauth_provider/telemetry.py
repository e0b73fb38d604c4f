"""
What operators of a fleet see: metrics through Airflow's Stats, spans through OpenTelemetry.

Both follow Airflow's own switches, ``[metrics]`` and ``[traces]``; while they are off nothing is imported or counted.
What their backends raise fails nobody's task. ``docs/operations.md`` lists names and tags.
"""

from __future__ import annotations

import logging
import re
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.trace import Span

log = logging.getLogger(__name__)

# Under InfluxDB's protocol tags stand in the name: Airflow drops a metric whose name has anything else, or is longer
# than 250 characters, and logs a traceback each time.
_NOT_IN_TAGS = re.compile(r"[^A-Za-z0-9_.-]")
_MAX_TAG_LENGTH = 100

_said: list[str] = []


class Telemetry:
    """
    Counts and times on behalf of one connection.

    :param conn_id: the Dag author's; None for the form's *Test*, whose connections have random ids
    """

    def __init__(self, conn_id: str | None = None) -> None:
        self.conn_id = conn_id
        self._tags = {"conn_id": _NOT_IN_TAGS.sub("_", conn_id)[:_MAX_TAG_LENGTH]} if conn_id else {}

    def count(self, name: str, amount: int = 1, **tags: str) -> None:
        """Add *amount* to the counter ``oauth2.<name>``."""
        if amount and _metrics_on():
            with _harmless():
                from airflow.providers.common.compat.sdk import Stats

                Stats.incr(f"oauth2.{name}", count=amount, tags={**self._tags, **tags})

    def time(self, name: str, seconds: float, **tags: str) -> None:
        """Record a duration under ``oauth2.<name>``."""
        if _metrics_on():
            with _harmless():
                from airflow.providers.common.compat.sdk import Stats

                Stats.timing(f"oauth2.{name}", seconds * 1000, tags={**self._tags, **tags})

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, Any] | None = None) -> Iterator[Span | None]:
        """Trace what happens inside as a client's span; None while Airflow's tracing is off."""
        if not _traces_on():
            yield None
            return
        span: Span | None = None
        entered = ExitStack()
        with _harmless():
            span = entered.enter_context(self._started(name, attributes or {}))
        try:
            yield span
        except BaseException as error:
            with _harmless():
                _mark_failed(span, error)
            raise
        finally:
            with _harmless():
                entered.close()

    def _started(self, name: str, attributes: Mapping[str, Any]) -> Any:
        from opentelemetry import trace

        tags = {f"airflow.oauth2.{key}": value for key, value in self._tags.items()}
        return trace.get_tracer("airflow_oauth_provider", __version__).start_as_current_span(
            name, kind=trace.SpanKind.CLIENT, attributes={**tags, **attributes}
        )


def annotate(span: Span | None, attributes: Mapping[str, Any]) -> None:
    """
    Add what is known of *span* by now.

    :param attributes: those that are None are left out
    """
    if span is not None:
        with _harmless():
            span.set_attributes({name: value for name, value in attributes.items() if value is not None})


def _mark_failed(span: Span | None, error: BaseException) -> None:
    """Name an exception by its type alone: a message may be long, and a traceback holds what we do not."""
    if span is None:
        return
    from opentelemetry.trace import StatusCode

    span.set_attribute("error.type", type(error).__name__)
    span.set_status(StatusCode.ERROR)


@contextmanager
def _harmless() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a backend may raise anything
        _say_once(type(error).__name__)
        log.debug("This was lost", exc_info=True)


def _say_once(kind: str) -> None:
    """Warn of the first error in this process, of whatever *kind* the others are."""
    if not _said:
        _said.append(kind)
        log.warning("Metrics or spans are lost: their backend raises %s.", kind)


@cache
def _metrics_on() -> bool:
    return any(_is_on("metrics", name) for name in ("statsd_on", "statsd_datadog_enabled", "otel_on"))


@cache
def _traces_on() -> bool:
    return _is_on("traces", "otel_on")


def _is_on(section: str, name: str) -> bool:
    from airflow.providers.common.compat.sdk import conf

    try:
        return bool(conf.getboolean(section, name, fallback=False))
    except Exception:  # noqa: BLE001  # a broken switch is Airflow's to complain about
        return False
