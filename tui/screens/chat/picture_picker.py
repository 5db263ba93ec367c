"""The picture picker: the pictures of this folder and those below it, the newest first, with a look at each."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.fuzzy import Matcher
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.errors import HearthError
from engine.text_safety import plain
from tui.asking.image_format import ENDINGS
from tui.asking.pictures import look
from tui.dialogue import Dialogue
from tui.pictures.box import Box, fitted
from tui.pictures.gallery import Drawing, Gallery

MOST_LOOKED_AT = 20_000
"""Files and folders that are gone through."""
MOST_SHOWN = 200
PREVIEW = Box(28, 11)
ROOM_FOR_PREVIEW = 72
"""Columns of the screen from which on there is one."""
_SKIPPED = ("node_modules", "__pycache__")


@dataclass(frozen=True, slots=True)
class Found:
    """A file that is called like a picture: its path from the folder, and when it was written."""

    name: str
    changed_ns: int


def pictures_below(folder: Path) -> list[Found]:
    """The files below `folder` that are called like pictures, the newest first. Walks it: for threads."""
    found: list[Found] = []
    left = MOST_LOOKED_AT
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        for name in names:
            if name.lower().endswith(ENDINGS) and not name.startswith("."):
                path = os.path.join(place, name)
                try:
                    found.append(Found(os.path.relpath(path, folder), os.stat(path).st_mtime_ns))
                except OSError:
                    continue
        left -= len(names) + len(folders)
        if left < 0:
            break
    return sorted(found, key=lambda each: (-each.changed_ns, each.name))


class PicturePicker(Dialogue[str | None]):
    """Closes with the path of a picture, from this folder, or None."""

    HELP = """Type a part of a picture's name; the arrow keys choose, enter attaches it, escape leaves all as it was.
    The newest come first. For a picture elsewhere type @ and its path, or drag it onto the prompt."""
    DEFAULT_CSS = """
    PicturePicker .dialogue { width: 92; padding: 1; }
    PicturePicker #choice { height: 13; margin-top: 1; }
    PicturePicker OptionList { height: 1fr; width: 1fr; }
    PicturePicker #preview { width: 30; height: 1fr; padding: 0 0 0 2; color: $muted; }
    PicturePicker #note { color: $muted; padding: 0 1; height: 1; }
    PicturePicker.-short #choice { height: 12; margin-top: 0; }
    """
    BINDINGS = [  # noqa: RUF012
        Binding("escape", "dismiss", "Close", id="pictures.close"),
        Binding("down,ctrl+n", "move(1)", "Next", priority=True, id="pictures.next"),
        Binding("up", "move(-1)", "Previous", priority=True, id="pictures.previous"),
        Binding("enter", "take", "Attach", priority=True, id="pictures.take"),
    ]

    def __init__(self, folder: Path, *, coloured: bool = True) -> None:
        super().__init__()
        self._folder = folder
        self._gallery = Gallery("blocks" if coloured else "placeholder")
        self._every: list[Found] = []
        self._shown: list[Found] = []

    def compose(self) -> ComposeResult:
        """A filter, the names, a look at the highlighted one."""
        with Vertical(classes="dialogue") as box:
            box.border_title = "Attach a picture"
            box.border_subtitle = "enter attach · esc close"
            yield Input(placeholder="Type to narrow", id="narrow")
            with Horizontal(id="choice"):
                yield OptionList(id="pictures", markup=False)
                yield Static("", id="preview", markup=False)
            yield Static("", id="note", markup=False)

    def on_mount(self) -> None:
        """Look for pictures."""
        self.query_one("#note", Static).update("Looking for pictures …")
        self.run_worker(self._look, group="picker")

    def on_resize(self, event: events.Resize) -> None:
        """Without room there is no preview."""
        self.query_one("#preview").display = event.size.width >= ROOM_FOR_PREVIEW

    async def _look(self) -> None:
        self._every = await asyncio.to_thread(pictures_below, self._folder)
        self._narrow(self.query_one("#narrow", Input).value)

    @on(Input.Changed, "#narrow")
    def _typed(self, event: Input.Changed) -> None:
        self._narrow(event.value)

    def _narrow(self, text: str) -> None:
        if text.strip():
            matcher = Matcher(text.strip())
            scored = [(matcher.match(each.name), each) for each in self._every]
            fitting = [each for score, each in sorted(scored, key=lambda pair: -pair[0]) if score > 0]
            shown = [matcher.highlight(plain(each.name, 120)) for each in fitting[:MOST_SHOWN]]
        else:
            fitting = self._every
            shown = [Content(plain(each.name, 120)) for each in fitting[:MOST_SHOWN]]
        self._shown = fitting[:MOST_SHOWN]
        pictures = self.query_one(OptionList)
        pictures.clear_options()
        pictures.add_options(Option(Content(" ") + name) for name in shown)
        if shown:
            pictures.highlighted = 0
        else:
            self.query_one("#preview", Static).update("")
        self.query_one("#note", Static).update(self._note(len(fitting), text))

    def _note(self, fitting: int, text: str) -> str:
        if not self._every:
            return f"There is no picture in {plain(str(self._folder), 40)}. @ and a path takes one from elsewhere."
        if not fitting:
            return f"No picture's name is like “{plain(text, 30)}”."
        return f"{fitting} of {len(self._every)} · {plain(str(self._folder), 50)}"

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_index < len(self._shown) and self.query_one("#preview").display:
            name = self._shown[event.option_index].name
            self.run_worker(partial(self._preview, name), group="preview", exclusive=True)

    async def _preview(self, name: str) -> None:
        preview = self.query_one("#preview", Static)
        try:
            picture = await asyncio.to_thread(look, name, self._folder)
        except HearthError as error:
            preview.update(plain(error.info.why or error.info.what, 200))
            return
        drawing = Drawing()
        if self._gallery.way == "blocks":
            box = fitted((picture.width, picture.height), PREVIEW)
            drawing = self._gallery.cached(picture, box) or await self._gallery.draw(picture, box)
        facts = Content.styled(drawing.problem or picture.facts, "$muted")
        preview.update(Content("\n").join([*drawing.rows, facts]))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._shown[event.option_index].name)

    def action_move(self, step: int) -> None:
        """Move the highlight while typing goes on."""
        pictures = self.query_one(OptionList)
        if step > 0:
            pictures.action_cursor_down()
        else:
            pictures.action_cursor_up()

    def action_take(self) -> None:
        """Close with the highlighted picture."""
        place = self.query_one(OptionList).highlighted
        if place is not None and place < len(self._shown):
            self.dismiss(self._shown[place].name)
