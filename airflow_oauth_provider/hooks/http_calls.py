"""Calls as ``HttpHook`` makes them, so that stock ``HttpOperator`` works on an ``oauth2`` connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.exceptions import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

    from airflow_oauth_provider.http.session import ApiSession

_RUN_OPTIONS = frozenset(
    {"check_response", "timeout", "verify", "cert", "proxies", "stream", "allow_redirects", "max_redirects"}
)


class HttpHookCalls:
    """What a hook for ``HttpOperator`` can do; the hook itself has ``method`` and the sessions."""

    method: str

    def get_conn(self) -> ApiSession:
        """Return the shared session."""
        raise NotImplementedError

    def _new_session(self) -> ApiSession:
        raise NotImplementedError

    def run(
        self,
        endpoint: str | None = None,
        data: Any = None,
        headers: Mapping[str, Any] | None = None,
        extra_options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> requests.Response:
        """
        Do as ``HttpHook.run`` does.

        :param data: the query for GET, nothing for HEAD, the body otherwise
        :param extra_options: ``check_response``, ``timeout``, ``verify``, ``cert``, ``proxies``, ``stream``,
            ``allow_redirects``, ``max_redirects``
        """
        return self._run(None, endpoint, data, headers, extra_options, **kwargs)

    def run_with_advanced_retry(self, _retry_args: Mapping[str, Any], *args: Any, **kwargs: Any) -> requests.Response:
        """
        Do as :meth:`run`, repeating as *_retry_args* say and not as this package would.

        :param _retry_args: for ``tenacity.Retrying``; what they see are this package's errors
        """
        return self._run(_retry_args, *args, **kwargs)

    def _run(
        self,
        retry_args: Mapping[str, Any] | None,
        endpoint: str | None = None,
        data: Any = None,
        headers: Mapping[str, Any] | None = None,
        extra_options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> requests.Response:
        options = dict(extra_options or {})
        if unknown := sorted(set(options) - _RUN_OPTIONS):
            raise SettingsError(f"extra_options: {unknown[0]!r} is none of {', '.join(sorted(_RUN_OPTIONS))}.")
        if data and self.method != "HEAD":
            kwargs["params" if self.method == "GET" else "data"] = data
        session = self.get_conn()
        if (limit := options.pop("max_redirects", None)) is not None:
            # A session of its own: the limit is none of the other calls'.
            session = self._new_session()
            session.max_redirects = min(_whole_number(limit, "max_redirects"), session.max_redirects)
        return session.call(
            self.method,
            endpoint,
            headers=headers,
            check=options.pop("check_response", True),
            retry_args=retry_args,
            **options,
            **kwargs,
        ).response


def _whole_number(value: Any, name: str) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise SettingsError(f"{name}: {str(value)[:30]!r} is not a whole number.") from None
