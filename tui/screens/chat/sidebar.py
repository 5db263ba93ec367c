"""The list of conversations, newest first; those in which an answer is being written have a spinner."""

from __future__ import annotations

from collections.abc import Set

from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from engine.text_safety import plain
from tui.screens.chat.activity import SPINNER
from tui.screens.chat.conversation import Conversations


class Sidebar(OptionList):
    """Opens the conversation that is chosen."""

    HELP = "The conversations of this run. Enter opens one; answers go on being written in the others."
    BINDING_GROUP_TITLE = "Conversations"

    class Opened(Message):
        """A conversation was chosen."""

        def __init__(self, conversation_id: str) -> None:
            super().__init__()
            self.conversation_id = conversation_id

    def __init__(self) -> None:
        super().__init__(id="conversations", markup=False)
        self.border_title = "Conversations"
        self._drawn: tuple[object, ...] = ()
        self._turn = 0
        self._told: tuple[Conversations, Set[str]] | None = None

    def tell(self, conversations: Conversations, running: Set[str]) -> None:
        """Show this, at once or when the list is shown; cheap when nothing changed."""
        self._told = conversations, running
        if self.display:
            self._draw(conversations, running)

    def on_show(self) -> None:
        """Fill it: while hidden it drew nothing."""
        if self._told is not None:
            self._draw(*self._told)

    def _draw(self, conversations: Conversations, running: Set[str]) -> None:
        self._turn += 1
        turn = self._turn // 2 % len(SPINNER) if running else 0
        width = max(8, self.content_region.width - 4)
        shown = [
            talk
            for talk in reversed(conversations.every)
            if talk.nodes or talk.id == conversations.current_id
        ]
        now = (
            turn,
            width,
            conversations.current_id,
            *((talk.id, talk.title, talk.id in running) for talk in shown),
        )
        if now == self._drawn:
            return
        self._drawn = now
        place = self.highlighted
        self.clear_options()
        for talk in shown:
            here = talk.id == conversations.current_id
            mark = SPINNER[turn] if talk.id in running else "●" if here else " "
            title = plain(talk.title, width) or "New conversation"
            line = Content.assemble((f"{mark} ", "$state-busy"), (title, "bold" if here else ""))
            self.add_option(Option(line, id=talk.id))
        if shown:
            self.highlighted = (
                min(place, len(shown) - 1)
                if place is not None and self.has_focus
                else next(
                    (index for index, talk in enumerate(shown) if talk.id == conversations.current_id), 0
                )
            )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Open it."""
        event.stop()
        if event.option.id is not None:
            self.post_message(self.Opened(event.option.id))
