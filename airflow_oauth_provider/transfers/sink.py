"""Where a transfer puts its records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class Sink(Protocol):
    """
    Takes the records of one run in their order.

    Whoever makes one has found the destination to be usable, before the first request is sent.

    :ivar can_start_over: what former tries wrote does no harm when all of it is written again
    :ivar complete: there is nothing to pull: everything was safe in the former try, or the result is there already
    :ivar saves_on_the_way: it may make records safe before the end
    """

    can_start_over: bool
    saves_on_the_way: bool
    complete: bool

    def write(self, batch: list[Any]) -> None:
        """Take records, or for raw bodies pieces of them."""

    def end_page(self) -> None:
        """Know that a page is complete."""

    def finish(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """
        Make the result visible, as a whole.

        :param summary: ``pages``, ``records`` and ``seconds`` of the whole run
        :return: the XCom value
        """

    def abort(self) -> None:
        """Leave the former result as it was; what can be gone on from stays."""
