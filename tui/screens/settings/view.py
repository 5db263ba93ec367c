"""The list of settings: a line each, under the heading of its section; drawn for the width that there is."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from engine.text_safety import plain
from tui.screens.settings import presenter
from tui.screens.settings.presenter import Heading, Line, Row

SOURCE = 8
"""Cells of the column that says where a value comes from."""
MARK = "↻"
"""Behind a value that holds only after the next start."""


class SettingList(OptionList):
    """Shows lines; a click chooses, a click on the chosen one changes it."""

    HELP = """Every setting, section by section. Enter changes the highlighted one, r goes back to its default,
    / searches, c shows only what is set. ↻ marks what waits for the next start; env, flag and project mark what is
    set elsewhere and cannot be changed here."""
    BINDING_GROUP_TITLE = "Settings"
    BINDINGS = [Binding("enter", "select", "Change", id="setting.choose")]  # noqa: RUF012

    class Resized(Message):
        """There is more or less room for the lines."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.lines: list[Line] = []
        self._width = 0

    @property
    def row(self) -> Row | None:
        """The highlighted setting."""
        at = self.highlighted
        line = self.lines[at] if at is not None and at < len(self.lines) else None
        return line if isinstance(line, Row) else None

    def show(self, lines: Sequence[Line]) -> None:
        """Show `lines`, keeping the highlight and the place on the screen where that setting is still there."""
        width = self.scrollable_content_region.width
        if list(lines) == self.lines and width == self._width:
            return
        before, top = self.row, self.scroll_offset.y
        same = [_key(line) for line in lines] == [_key(line) for line in self.lines]
        self.lines, self._width = list(lines), width
        keys = [_key(line) for line in self.lines]
        name = min(
            max((len(line.setting.name) for line in self.lines if isinstance(line, Row)), default=0), 24
        )
        self.clear_options()
        self.add_options([_option(line, name, width) for line in self.lines])
        if before is not None and before.key in keys:
            self.highlighted = keys.index(before.key)
        else:
            self.highlighted = next((at for at, line in enumerate(self.lines) if isinstance(line, Row)), None)
        if same:
            self.scroll_to(y=top, animate=False, immediate=True)

    def go_to_section(self, step: int) -> None:
        """Highlight the first setting of the next section, or of the one before."""
        first = [at + 1 for at, line in enumerate(self.lines) if isinstance(line, Heading)]
        if not first:
            return
        here = self.highlighted or 0
        place = max((index for index, at in enumerate(first) if at <= here), default=0)
        self.highlighted = first[max(0, min(len(first) - 1, place + step))]
        self.scroll_to(y=max(0, self.highlighted - 1), animate=False)

    async def _on_click(self, event: events.Click) -> None:
        event.prevent_default()
        at = event.style.meta.get("option")
        if at is None or self.get_option_at_index(at).disabled:
            return
        if at == self.highlighted:
            self.action_select()
        self.highlighted = at

    def on_resize(self) -> None:
        """Tell the screen."""
        self.post_message(self.Resized())


def _key(line: Line) -> str:
    return line.key if isinstance(line, Row) else f"[{line.section}]"


def _option(line: Line, name: int, width: int) -> Option:
    if isinstance(line, Heading):
        purpose = Content.styled(f"  {line.purpose}", "$muted")
        title = Content.styled(line.section, "bold $primary")
        return Option(Content.assemble(title, purpose).truncate(width, ellipsis=True), disabled=True)
    muted = line.layer == "default"
    room = max(6, width - name - SOURCE - 6)
    value = Content(plain(presenter.value(line), 200))
    if line.is_waiting:
        value = Content.assemble(value.truncate(room - 2, ellipsis=True), (f" {MARK}", "$warning"))
    value = value.truncate(room, ellipsis=True)
    return Option(
        Content.assemble(
            "  ",
            Content(line.setting.name)
            .truncate(name, ellipsis=True)
            .pad_right(max(0, name - len(line.setting.name))),
            "  ",
            value.pad_right(max(0, room - value.cell_length)).stylize("$muted" if muted else "bold"),
            "  ",
            (presenter.LAYERS[line.layer].rjust(SOURCE - 2), "$warning" if line.is_locked else "$accent"),
        )
    )
