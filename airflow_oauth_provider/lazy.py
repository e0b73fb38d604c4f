"""What an object makes when it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class lazy_property(Generic[T]):  # noqa: N801  # as property is written
    """
    ``functools.cached_property`` as it is since Python 3.12: without a lock.

    Up to 3.11 there is one for all objects of a class, held while the value is made: one connection that is slow to be
    read would hold up all others, and a child that is forked meanwhile would wait for it for ever. Two threads that
    come at once may both make a value; both get the one that was there first.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        made: T = self._make(instance)
        return vars(instance).setdefault(self._name, made)  # type: ignore[no-any-return]
