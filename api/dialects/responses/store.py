"""Responses that can be fetched and gone on from, for as long as the server lives; those of the background are jobs."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from api.answering.result import Choice
from api.dialects.responses.items import said
from api.dialects.responses.request import Asked
from api.errors import NoRoute
from engine.types import Message

if TYPE_CHECKING:
    from api.security.credentials import Principal

MOST: Final = 256
"""Responses that are kept; the oldest go first."""


class Kept:
    """One response: its object, and the conversation up to it."""

    def __init__(self, asked: Asked, owner: str) -> None:
        self.asked, self.owner = asked, owner
        self.response: dict[str, Any] = dict(asked.envelope)
        self.messages: tuple[Message, ...] = ()

    def finish(self, response: dict[str, Any], choice: Choice) -> None:
        """The answer is there, or has failed."""
        self.response = response
        self.messages = gone_on(self.asked, choice)


def gone_on(asked: Asked, choice: Choice) -> tuple[Message, ...]:
    """The conversation with the answer at its end. Instructions are not handed on."""
    before = asked.request.messages or ()
    return (*(before[1:] if asked.envelope["instructions"] else before), said(choice))


class Responses:
    """Those of one server."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def keep(self, kept: Kept) -> None:
        self._kept[kept.response["id"]] = kept
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)

    def find(self, id: str, principal: Principal) -> Kept:
        """Raises NoRoute for one that is not there or another's."""
        kept = self._kept.get(id)
        if kept is None or (kept.owner != principal.name and "admin" not in principal.scopes):
            raise NoRoute(f"There is no response {id[:80]!r}.", "It is unknown or no longer kept.")
        return kept

    def drop(self, id: str) -> None:
        self._kept.pop(id, None)
