"""The list of aliases: a line each, with a second one for what they say where there is room."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from engine.text_safety import plain
from tui.screens.aliases.presenter import Line

TALL = 30
"""Rows of the screen from which an alias has two lines."""


class AliasList(OptionList):
    """Shows lines; enter or a click on the highlighted one goes to its form."""

    HELP = """Your aliases. Enter goes to the form of the highlighted one; n makes another, c a copy, r renames,
    d deletes and u brings back. ✱ marks what is not saved, ✗ what cannot be used, ▸ what the chat talks to."""
    BINDING_GROUP_TITLE = "Aliases"
    BINDINGS = [  # noqa: RUF012
        Binding("enter", "select", "Edit", id="aliases.list.edit"),
        Binding("right", "select", "Edit", show=False, id="aliases.list.edit_too"),
    ]

    class Resized(Message):
        """There is more or less room for the lines."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.lines: list[Line] = []
        self._room = (0, False)

    @property
    def name_shown(self) -> str:
        """The highlighted alias; empty for none."""
        at = self.highlighted
        return self.lines[at].name if at is not None and at < len(self.lines) else ""

    def show(self, lines: Sequence[Line], name: str) -> None:
        """Show `lines`, with the alias `name` highlighted, or the first."""
        room = (self.scrollable_content_region.width, self.app.size.height >= TALL)
        if list(lines) == self.lines and room == self._room and name == self.name_shown:
            return
        top = self.scroll_offset.y
        same = [line.name for line in lines] == [line.name for line in self.lines] and room == self._room
        self.lines, self._room = list(lines), room
        with self.prevent(OptionList.OptionHighlighted):
            self.clear_options()
            self.add_options([Option(_drawn(line, *room)) for line in self.lines])
            names = [line.name for line in self.lines]
            self.highlighted = names.index(name) if name in names else 0 if names else None
        if same:
            self.scroll_to(y=top, animate=False, immediate=True)

    async def _on_click(self, event: events.Click) -> None:
        event.prevent_default()
        at = event.style.meta.get("option")
        if at is None:
            return
        again = at == self.highlighted
        self.highlighted = at
        if again:
            self.action_select()

    def on_resize(self) -> None:
        """Tell the screen."""
        self.post_message(self.Resized())


def _drawn(line: Line, width: int, tall: bool) -> Content:
    mark, variable = ("✗", "error") if line.broken else ("✱", "warning") if line.changed else (" ", "muted")
    title = Content.assemble(
        (f"{mark} ", f"${variable}"),
        ("▸ ", "$primary") if line.chosen else "",
        (plain(line.name, 120), "bold" if not line.broken else "$muted"),
        ("  new", "$muted") if line.new else "",
    ).truncate(width, ellipsis=True)
    if not tall:
        return title
    note = line.note if line.broken else f"{line.model} · {line.note}"
    below = Content.styled(f"  {note}", "$muted").truncate(width, ellipsis=True)
    return Content("\n").join([title, below])
