"""The form: a line a field, with what holds of it and who says so; drawn for the width that there is."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui.actions import Action
from tui.screens.aliases.actions import FORM
from tui.screens.aliases.presenter import FormLine, Heading, Row

LABEL = 22
"""Cells that a label takes at most."""
ORIGIN = 8
WIDEST = 72
"""Cells of a value at most, so that the eye finds who says it."""


class Form(OptionList):
    """Shows rows; a click chooses one, a click on the chosen one changes it."""

    HELP = """Everything that an alias can say. Bold is what this one says; the rest is what holds without it, and the
    last column who says so: the model's makers, your settings, or Hearth's defaults. A request goes before all of
    them. Enter changes a field, space turns the next word, delete leaves it open, m shows only what is set."""
    BINDING_GROUP_TITLE = "Form"
    BINDINGS = [  # noqa: RUF012
        Binding("enter", "select", "Change", id="aliases.form.change"),
        *(action.binding for action in FORM),
    ]

    class Resized(Message):
        """There is more or less room for the rows."""

    class Asked(Message):
        """Something is to be done with the highlighted row: `turn`, `back`, `clear`, `leave`, `said`."""

        def __init__(self, what: str, by: int = 1) -> None:
            super().__init__()
            self.what, self.by = what, by

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.lines: list[FormLine] = []
        self._width = 0

    @property
    def row(self) -> Row | None:
        """The highlighted field."""
        at = self.highlighted
        line = self.lines[at] if at is not None and at < len(self.lines) else None
        return line if isinstance(line, Row) else None

    def show(self, lines: Sequence[FormLine], key: str = "") -> None:
        """Show `lines`; only what reads differently is drawn again. `key` is highlighted, else what was before."""
        width = self.scrollable_content_region.width
        before, top = self.row, self.scroll_offset.y
        if [_key(line) for line in lines] == [_key(line) for line in self.lines] and width == self._width:
            for at, (line, known) in enumerate(zip(lines, self.lines, strict=True)):
                if line != known:
                    self.replace_option_prompt_at_index(at, _drawn(line, width))
            self.lines = list(lines)
        else:
            self.lines, self._width = list(lines), width
            with self.prevent(OptionList.OptionHighlighted):
                self.clear_options()
                self.add_options(
                    [Option(_drawn(line, width), disabled=isinstance(line, Heading)) for line in self.lines]
                )
            key = key or (before.key if before is not None else "")
            keys = [_key(line) for line in self.lines]
            self.highlighted = keys.index(key) if key in keys else 1 if len(keys) > 1 else None
            if before is not None and self.row is not None and self.row.key == before.key:
                self.scroll_to(y=top, animate=False, immediate=True)
            return
        if key:
            self.go_to(key)

    def go_to(self, key: str) -> None:
        """Highlight a field."""
        keys = [_key(line) for line in self.lines]
        if key in keys:
            self.highlighted = keys.index(key)

    def action_group(self, step: int) -> None:
        """Go to the first field of the next group, or of the one before."""
        first = [at + 1 for at, line in enumerate(self.lines) if isinstance(line, Heading)]
        if not first:
            return
        here = self.highlighted or 0
        place = max((index for index, at in enumerate(first) if at <= here), default=0)
        self.highlighted = first[max(0, min(len(first) - 1, place + step))]
        self.scroll_to(y=max(0, self.highlighted - 1), animate=False)

    def action_move(self, step: int) -> None:
        """Move the highlight."""
        (self.action_cursor_down if step > 0 else self.action_cursor_up)()

    def action_ask(self, what: str, by: int = 1) -> None:
        """Tell the screen what is wanted."""
        self.post_message(self.Asked(what, by))

    async def _on_click(self, event: events.Click) -> None:
        event.prevent_default()
        at = event.style.meta.get("option")
        if at is None or self.get_option_at_index(at).disabled:
            return
        again = at == self.highlighted
        self.highlighted = at
        if again:
            self.action_select()

    def on_resize(self) -> None:
        """Tell the screen."""
        self.post_message(self.Resized())


def serves(action: Action) -> bool:
    """Whether an action is the form's."""
    return action in FORM


def _key(line: FormLine) -> str:
    return line.key if isinstance(line, Row) else f"[{line.group}]"


def _drawn(line: FormLine, width: int) -> Content:
    if isinstance(line, Heading):
        return Content.styled(line.group, "bold $primary")
    label = min(LABEL, max(8, width // 2 - 4))
    narrow = width < 38
    room = max(6, min(WIDEST, width - label - (0 if narrow else ORIGIN + 1) - 4))
    value = Content(line.value).truncate(room, ellipsis=True)
    if line.wrong:
        value = value.stylize("$text-error")
    elif line.said:
        value = value.stylize("bold")
    else:
        value = value.stylize("$muted")
    origin = Content("") if narrow else _origin(line)
    mark = ("✗ ", "$error") if line.wrong else ("! ", "$warning") if line.conflict else "  "
    return Content.assemble(
        mark,
        Content(line.field.label)
        .truncate(label, ellipsis=True)
        .pad_right(max(0, label - len(line.field.label))),
        " ",
        value.pad_right(max(0, room - value.cell_length)),
        " ",
        origin,
    )


def _origin(line: Row) -> Content:
    if line.wrong:
        return Content.styled("wrong".rjust(ORIGIN), "$text-error")
    if line.conflict:
        return Content.styled("conflict", "$warning")
    return Content.styled(line.origin.rjust(ORIGIN), "$accent" if line.said else "$muted")
