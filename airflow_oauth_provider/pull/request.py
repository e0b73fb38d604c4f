"""A request for one page: a value that can be changed into the next one, and written down to go on from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from airflow_oauth_provider.exceptions import SettingsError

_MERGED = ("params", "headers", "options")
_OPTIONS = frozenset({"timeout", "verify", "cert", "proxies", "allow_redirects"})


@dataclass(frozen=True)
class PageRequest:
    """
    What is asked for one page.

    :param endpoint: below the base URL, or an absolute URL
    :param params: the URL's query
    :param json: body, sent as JSON
    :param data: body, sent as a form when it is a dict, otherwise as it is
    :param headers: besides the connection's
    :param options: ``timeout``, ``verify``, ``cert``, ``proxies`` and ``allow_redirects``, as requests takes them
    """

    method: str = "GET"
    endpoint: str | None = None
    params: Any = None
    json: Any = None
    data: Any = None
    headers: Mapping[str, str] | None = None
    options: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        """Show no parameter, body or header: they may hold what is nobody's business."""
        return f"PageRequest({self.method} {(self.endpoint or '').partition('?')[0]})"

    def at(self, url: str) -> Self:
        """Return the request for *url*, a link that is complete: the query of this one is not added again."""
        return replace(self, endpoint=url, params=None)

    def with_params(self, **changes: Any) -> Self:
        """Return the request with these parameters in place of those of the same name."""
        if self.params is not None and not isinstance(self.params, Mapping):
            raise SettingsError("params must be a mapping, so that paging can change them.")
        return replace(self, params={**(self.params or {}), **changes})

    def with_json(self, path: str, value: Any) -> Self:
        """Return the request with *value* at the dotted *path* of its JSON body."""
        return replace(self, json=_put(self.json, path.split("."), value))

    def json_at(self, path: str) -> Any:
        """Return what stands at the dotted *path* of the JSON body, None when nothing does."""
        value = self.json
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def changed_by(self, changes: Mapping[str, Any]) -> Self:
        """
        Return the request with what a pagination function returned, as ``HttpOperator`` merges it.

        :param changes: ``endpoint``, ``data`` (of a GET: its query), ``headers``, ``extra_options``, ``params`` and
            ``json``
        :raises SettingsError: something else is in it
        """
        named = dict(changes)
        if self.method == "GET" and isinstance(named.get("data"), Mapping):
            named["params"] = {**named.pop("data"), **(named.get("params") or {})}
        options = named.pop("extra_options", None) or {}
        named["options"] = {name: value for name, value in options.items() if name in _OPTIONS}
        if unknown := sorted(set(named) - {"endpoint", "params", "json", "data", "headers", "options"}):
            raise SettingsError(f"pagination: the function returned {unknown[0]!r}, which is no part of a request.")
        merged = {name: value for name, value in named.items() if value}
        for name, value in merged.items():
            before = getattr(self, name)
            if isinstance(value, Mapping) and isinstance(before, Mapping) and (name in _MERGED or name == "data"):
                merged[name] = {**before, **value}
        return replace(self, **merged)

    def changes_since(self, begun: PageRequest) -> dict[str, Any]:
        """
        Return what JSON can hold of the way from *begun* to here.

        What a Dag author wrote is not repeated: it may hold what nobody should find in another place.
        """
        changes: dict[str, Any] = {}
        for part in _PARTS:
            now, then = getattr(self, part), getattr(begun, part)
            if now == then:
                continue
            if isinstance(now, Mapping) and isinstance(then, Mapping) and set(then) <= set(now):
                now = {name: value for name, value in now.items() if name not in then or value != then[name]}
            changes[part] = now
        return changes

    def with_changes(self, changes: Mapping[str, Any]) -> Self:
        """Return the request to which :meth:`changes_since` leads from this one."""
        merged = dict(changes)
        for part, value in merged.items():
            before = getattr(self, part)
            if isinstance(value, Mapping) and isinstance(before, Mapping):
                merged[part] = {**before, **value}
        return replace(self, **merged)


_PARTS = tuple(part.name for part in fields(PageRequest))


def _put(tree: Any, keys: list[str], value: Any) -> Any:
    if not keys:
        return value
    if tree is not None and not isinstance(tree, Mapping):
        raise SettingsError("json must be an object, so that paging can change it.")
    return {**(tree or {}), keys[0]: _put((tree or {}).get(keys[0]), keys[1:], value)}
