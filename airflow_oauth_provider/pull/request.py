"""A request for one page: a value that can be changed into the next one, and written down to go on from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.oauth2.settings import without_query

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
        return f"PageRequest({self.method} {without_query(self.endpoint or '')})"

    def at(self, url: str) -> Self:
        """Return the request for *url*, a link that is complete: the query of this one is not added again."""
        return replace(self, endpoint=url, params=None)

    def with_params(self, **changes: Any) -> Self:
        """Return the request with these parameters in place of those of the same name."""
        if self.params is not None and not isinstance(self.params, Mapping):
            raise SettingsError("query (params of the hook) must be a mapping, so that parameters can be added to it.")
        return replace(self, endpoint=_without(self.endpoint, changes), params={**(self.params or {}), **changes})

    def with_json(self, path: str, value: Any) -> Self:
        """Return the request with *value* at the dotted *path* of its JSON body."""
        if self.data is not None:
            raise SettingsError("pagination changes the JSON body, but the request has data: give json in its place.")
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
        if unknown := sorted(set(map(str, named)) - set(_PARTS)):
            raise SettingsError(f"pagination: the function returned {unknown[0]!r}, which is no part of a request.")
        merged = {name: value for name, value in named.items() if value}
        for name, value in merged.items():
            before = getattr(self, name)
            if name != "json" and isinstance(value, Mapping) and isinstance(before, Mapping):
                merged[name] = {**before, **value}
        return replace(self, **merged)

    def changes_since(self, begun: PageRequest) -> list[list[Any]]:
        """
        Return the way from *begun* to here: places and what stands there now.

        What a Dag author wrote is not repeated: it may hold what nobody should find in another place.
        """
        parts = ((part, getattr(begun, part), getattr(self, part)) for part in _PARTS)
        return [[list(place), value] for part, then, now in parts for place, value in _changes((part,), then, now)]

    def with_changes(self, changes: Sequence[Sequence[Any]]) -> Self:
        """Return the request to which :meth:`changes_since` leads from this one."""
        parts = {part: getattr(self, part) for part in _PARTS}
        for place, value in changes:
            parts = _put(parts, list(place), value)
        return replace(self, **parts)


_PARTS = tuple(part.name for part in fields(PageRequest))


def _changes(place: tuple[str, ...], then: Any, now: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(then, Mapping) and isinstance(now, Mapping) and set(then) <= set(now):
        for key, value in now.items():
            if key in then:
                yield from _changes((*place, key), then[key], value)
            else:
                yield (*place, key), value
    elif then != now or type(then) is not type(now):
        yield place, now


def _put(tree: Any, keys: list[str], value: Any) -> Any:
    if not keys:
        return value
    if tree is not None and not isinstance(tree, Mapping):
        raise SettingsError("json must be an object, so that paging can change it.")
    return {**(tree or {}), keys[0]: _put((tree or {}).get(keys[0]), keys[1:], value)}


def _without(endpoint: str | None, names: Mapping[str, Any]) -> str | None:
    """Return *endpoint* without these parameters in its query: they would be sent twice."""
    path, mark, query = (endpoint or "").partition("?")
    pairs = parse_qsl(query, keep_blank_values=True) if mark else []
    if not any(name in names for name, _ in pairs):
        return endpoint
    left = urlencode([(name, value) for name, value in pairs if name not in names])
    return f"{path}?{left}" if left else path
