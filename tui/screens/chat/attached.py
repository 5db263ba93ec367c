"""What goes along with the message being written: text files and pictures, each a chip above the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textual import events
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.widget import Widget

from engine.errors import HearthError, InvalidRequest
from engine.text_safety import clean, plain
from tui import units
from tui.asking import files
from tui.asking.pasted import readings, typed
from tui.asking.pictures import Picture, is_picture_at, look, placed

NAME = 28
"""Cells of a chip's name."""
GAP = "   "
PICTURE, FILE, TAKE_OUT = "▣", "⊕", "✕"


@dataclass(frozen=True, slots=True)
class Chip:
    """`name` is the mention's; `problem` says why it cannot go along."""

    name: str
    glyph: str
    label: str
    note: str = ""
    problem: str = ""

    def content(self, doubtful: bool) -> Content:
        """As it is drawn; `doubtful` is a picture for a model that takes none."""
        wrong = bool(self.problem) or doubtful
        return Content.assemble(
            (f"{'!' if wrong else self.glyph} ", "$warning" if wrong else "$primary"),
            Content(self.label).truncate(NAME, ellipsis=True),
            (f"  {self.problem or self.note}", "$text-warning" if self.problem else "$muted"),
            (f" {TAKE_OUT}", "$muted"),
        )


class Attachments:
    """What the text mentions, as far as it was looked at. Knows no widget and no disk."""

    def __init__(self) -> None:
        self.files: dict[str, int | None] = {}
        """Text files put in by completion, and their tokens once counted."""
        self.looked: dict[str, Picture | str | None] = {}
        """Mentions that were looked at: the picture, why it cannot go along, or None for what is no picture."""

    def unlooked(self, text: str) -> list[str]:
        """The mentions that nobody has looked at, and forget those that are gone."""
        if "@" not in text:
            self.looked, self.files = {}, {}
            return []
        names = {reading.name for span in files.spans(text) for reading in span.readings}
        self.looked = {name: found for name, found in self.looked.items() if name in names}
        self.files = {name: tokens for name, tokens in self.files.items() if name in names}
        return [name for name in dict.fromkeys(files.mentioned(text)) if name not in self.looked]

    def pictures(self, text: str) -> list[Picture]:
        """The pictures of `text`, in order."""
        known = [found for found in self.looked.values() if isinstance(found, Picture)]
        return [picture for _, picture in placed(text, known)]

    def chips(self, text: str, most: int) -> list[Chip]:
        """Files, then pictures (a request takes `most`), then what cannot go along."""
        if not self.looked and not self.files:
            return []
        pictures = self.pictures(text)
        chips = [
            Chip(
                name,
                FILE,
                plain(name, 60),
                "counting …" if count is None else f"{units.tokens(count)} tokens",
            )
            for name, count in self.files.items()
        ]
        for place, picture in enumerate(pictures, 1):
            problem = f"at most {most}" if place > most else ""
            chips.append(Chip(picture.name, PICTURE, picture.label, picture.facts, problem))
        chips += [
            Chip(name, PICTURE, plain(name.rpartition("/")[2], 60), problem=why)
            for name, why in self.looked.items()
            if isinstance(why, str)
        ]
        return chips


def look_at(name: str, folder: Path) -> dict[str, Picture | str | None]:
    """What a mention is, by the reading of it that is there. Reads the disk: for threads."""
    there = files.existing(name, folder)
    if there is None or not is_picture_at(there, folder):
        return {name: None}
    try:
        return {name: None, there: look(there, folder)}
    except HearthError as error:
        return {name: None, there: (error.why or error.what).partition(".")[0]}


def mentions_of(names: Sequence[str], folder: Path) -> str:
    """What is written for pictures of these paths. Reads the disk: for threads. Raises InvalidRequest."""
    return "".join(f"{_mention(look(name, folder).path, folder)} " for name in names)


def mention_typed(text: str, folder: Path) -> str:
    """What is written for a picture whose path was typed, quoted or escaped or as it is. For threads, as above."""
    paths = typed(text)
    return mentions_of([next((path for path in paths if is_picture_at(path, folder)), paths[0])], folder)


def mentions_pasted(text: str, folder: Path) -> str:
    """What is written in place of pasted paths, if all of them are pictures that are there; else nothing."""
    for paths in readings(text):
        if all(is_picture_at(path, folder) for path in paths):
            try:
                return "".join(f"{_mention(path, folder)} " for path in paths)
            except InvalidRequest:
                return ""
    return ""


def _mention(path: str, folder: Path) -> str:
    """The mention of a file, as short as it can be: seen from here, or from home. Raises InvalidRequest."""
    full = folder / Path(path).expanduser()
    short = str(full)
    if full.is_relative_to(folder):
        short = str(full.relative_to(folder))
    elif full.is_relative_to(home := Path.home()):
        short = f"~/{full.relative_to(home)}"
    if any(character in short for character in '"\n') or clean(short) != short:
        raise InvalidRequest(
            f"{plain(full.name, 60)} cannot be mentioned.",
            "Its name holds a quote, a line end or a control code.",
            "Rename it.",
        )
    return files.written(short)


class AttachedStrip(Widget):
    """Draws the chips, as many in a row as fit, and says it if the model takes no pictures."""

    ALLOW_SELECT = False

    class Removed(Message):
        """A chip's cross was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self) -> None:
        super().__init__(id="attached")
        self._chips: list[Chip] = []
        self._blind = ""

    @property
    def chips(self) -> list[Chip]:
        """What is shown."""
        return self._chips

    def show(self, chips: list[Chip], blind: str) -> None:
        """Show `chips`; `blind` is the model that takes no pictures, empty if it takes them."""
        if (chips, blind) == (self._chips, self._blind):
            return
        self._chips, self._blind = chips, blind
        self.display = bool(chips)
        self.refresh(layout=True)

    @property
    def warning(self) -> str:
        """What is to be known before the message is sent; empty if nothing is."""
        if not self._blind or all(chip.glyph != PICTURE for chip in self._chips):
            return ""
        return f"{plain(self._blind, 24)} takes no pictures · ^k another model"

    def _rows(self, width: int) -> list[list[tuple[Chip, Content]]]:
        doubtful = bool(self.warning)
        rows: list[list[tuple[Chip, Content]]] = []
        used = 0
        for chip in self._chips:
            drawn = chip.content(doubtful and chip.glyph == PICTURE).truncate(max(8, width), ellipsis=True)
            need = drawn.cell_length + (len(GAP) if rows else 0)
            if not rows or used + need > width:
                rows.append([])
                used = drawn.cell_length
            else:
                used += need
            rows[-1].append((chip, drawn))
        return rows

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """A row for each that is needed."""
        return len(self._rows(width)) + bool(self.warning)

    def render(self) -> Content:
        """The chips, the warning below them."""
        width = self.content_region.width
        lines = [Content(GAP).join([drawn for _, drawn in row]) for row in self._rows(width)]
        if self.warning:
            lines.append(Content.styled(self.warning, "$text-warning").truncate(width, ellipsis=True))
        return Content("\n").join(lines)

    def on_click(self, event: events.Click) -> None:
        """A click on a chip's cross takes it out."""
        at = event.get_content_offset(self)
        rows = self._rows(self.content_region.width)
        if at is None or at.y >= len(rows):
            return
        end = 0
        for chip, drawn in rows[at.y]:
            end += drawn.cell_length
            if end - 2 <= at.x < end:
                self.post_message(self.Removed(chip.name))
                return
            end += len(GAP)
