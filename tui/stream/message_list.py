"""The messages of a conversation as a window asks for them: by place, each made when it comes near the screen.

    MessageList.of(views)                             # views that there are
    MessageList(ids, view=lambda place: ..., guess=lambda place, width: rows)

A conversation of ten thousand messages costs ten thousand ids; what a message shows is worked out for those in sight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import overload

from tui.stream.frozen import MessageView
from tui.stream.heights import guess_height


class MessageList(Sequence[MessageView]):
    """Oldest first. `view` makes what the message at a place shows, `guess` how many rows that takes at a width."""

    def __init__(
        self, ids: Sequence[str], view: Callable[[int], MessageView], guess: Callable[[int, int], int]
    ) -> None:
        self.ids = list(ids)
        self._make, self._guess = view, guess
        self._lazy = len(self.ids)
        """From this place on the views were appended."""
        self._made: dict[int, MessageView] = {}

    @classmethod
    def of(cls, views: Sequence[MessageView]) -> MessageList:
        """Views that are made already."""
        if isinstance(views, MessageList):
            return views
        made = cls([], views.__getitem__, lambda place, width: 0)
        for view in views:
            made.append(view)
        return made

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> MessageView: ...

    @overload
    def __getitem__(self, index: slice) -> list[MessageView]: ...

    def __getitem__(self, index: int | slice) -> MessageView | list[MessageView]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        view = self._made.get(place)
        if view is None:
            view = self._made[place] = self._make(place)
        return view

    def __iter__(self) -> Iterator[MessageView]:
        return (self[place] for place in range(len(self)))

    def __setitem__(self, index: int, view: MessageView) -> None:
        self._made[index] = view

    def append(self, view: MessageView) -> None:
        """One more message at the end."""
        self._made[len(self.ids)] = view
        self.ids.append(view.id)

    def rows(self, index: int, width: int) -> int:
        """A guess of how many rows a message takes, without making it."""
        view = self._made.get(index)
        if view is None and index < self._lazy:
            return self._guess(index, width)
        return guess_height(self[index], width)

    def heights(self, width: int) -> list[int]:
        """The guesses of all of them."""
        return [self.rows(index, width) for index in range(len(self))]
