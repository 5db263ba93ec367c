"""The pictures of a message as rows: beside each other where they fit, a line below each that says what it is.

    shelf = PictureShelf(view.pictures, width, gallery)
    shelf.rows()          # as far as they are drawn; always as many rows
    shelf.places          # where each is: for what draws it

A picture that is not drawn is a frame with its name, its size and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content

from engine.text_safety import plain
from tui.asking.pictures import Picture
from tui.pictures.box import Box, fitted, largest
from tui.pictures.gallery import Drawing, Gallery
from tui.stream.lines import Line

GLYPH = "▣"
BETWEEN = 3
"""Cells between two pictures."""
SLOT = 22
"""Cells that a picture has at least, for the line below it."""
FRAME = 44
"""Cells of a placeholder's frame at most."""
DIM = "$foreground-muted"
NAME_STYLE = "$text-secondary"


@dataclass(slots=True)
class Place:
    """A picture's place in the shelf, in cells; `drawing` once there is one."""

    picture: Picture
    box: Box
    x: int
    y: int
    slot: int
    """Cells that it has with what is below it."""
    drawing: Drawing | None = None


class PictureShelf:
    """Lays out the pictures of one message for one width."""

    def __init__(self, pictures: Sequence[Picture], width: int, gallery: Gallery | None = None) -> None:
        self._width = max(1, width)
        self._gallery = gallery or Gallery()
        self._framed = self._gallery.way == "placeholder"
        self.places: list[Place] = []
        self.height = 0
        """Rows."""
        self._lay(pictures)

    def _lay(self, pictures: Sequence[Picture]) -> None:
        most = largest(self._width, len(pictures))
        boxes = [self._box(picture, most) for picture in pictures]
        slots = [
            max(box.columns, _whole_caption(picture).cell_length)
            for box, picture in zip(boxes, pictures, strict=True)
        ]
        if sum(slots) + BETWEEN * (len(slots) - 1) > self._width:
            slots = [min(self._width, max(box.columns, SLOT)) for box in boxes]
        row: list[Place] = []
        x = 0
        for picture, box, slot in zip(pictures, boxes, slots, strict=True):
            if row and x + slot > self._width:
                self._end_row(row)
                row, x = [], 0
            row.append(Place(picture, box, x, self.height, slot, self._gallery.cached(picture, box)))
            x += slot + BETWEEN
        if row:
            self._end_row(row)

    def _end_row(self, row: list[Place]) -> None:
        row[-1].slot = self._width - row[-1].x
        self.places += row
        self.height += max(place.box.rows for place in row) + (not self._framed)

    def _box(self, picture: Picture, most: Box) -> Box:
        if self._framed:
            return Box(min(self._width, FRAME), 3 + bool(self._gallery.why))
        return fitted((picture.width, picture.height), most, self._gallery.cell)

    def rows(self) -> list[Line]:
        """Every row, top to bottom."""
        return [self._line(y) for y in range(self.height)]

    def _line(self, y: int) -> Line:
        pieces: list[Content | tuple[str, str] | str] = []
        at = 0
        for place in self.places:
            if not place.y <= y < place.y + self._rows_of(place):
                continue
            piece = self._piece(place, y - place.y)
            pieces += (" " * (place.x - at), piece)
            at = place.x + piece.cell_length
        return Line(Content.assemble(*pieces), copied=False, mark="picture")

    def _rows_of(self, place: Place) -> int:
        return place.box.rows + (not self._framed)

    def _piece(self, place: Place, row: int) -> Content:
        if self._framed:
            return _frame(place.picture, place.box, self._gallery.why)[row]
        if row == place.box.rows:
            return _caption(place.picture, place.slot)
        drawing = place.drawing
        if drawing is None or drawing.problem:
            return _blank(place.box, row, drawing.problem if drawing else "")
        return drawing.rows[row] if drawing.rows else Content(" " * place.box.columns)


def _caption(picture: Picture, room: int) -> Content:
    whole = _whole_caption(picture)
    return whole if whole.cell_length <= room else Content.styled(_cut(picture.label, room), NAME_STYLE)


def _whole_caption(picture: Picture) -> Content:
    return Content.assemble((picture.label, NAME_STYLE), (f"  {picture.facts}", DIM))


def _blank(box: Box, row: int, problem: str) -> Content:
    """A row of a picture that is not there: still to be drawn, or not to be."""
    text = plain(problem)[: box.columns - 2] if problem and row == box.rows // 2 else ""
    left = (box.columns - len(text)) // 2
    filled = f"{' ' * left}{text}{' ' * (box.columns - left - len(text))}"
    return Content.styled(filled, "$text-warning on $surface" if text else "on $surface")


def _frame(picture: Picture, box: Box, why: str) -> list[Content]:
    inner = box.columns - 4
    if inner < 8:
        return [Content(_cut(f"{GLYPH} {picture.label}", box.columns))] + [Content("")] * (box.rows - 1)
    name = _cut(f"{GLYPH} {picture.label}", inner - 2)
    rule = "─" * (box.columns - 5 - Content(name).cell_length)
    facts = f"{picture.facts} · {picture.media_type.rpartition('/')[2].upper()}"
    rows = [Content.assemble(("╭─ ", DIM), (name, NAME_STYLE), (f" {rule}╮", DIM))]
    for text in (facts, why) if why else (facts,):
        shown = Content(_cut(text, inner))
        pad = " " * (inner - shown.cell_length)
        rows.append(Content.assemble(("│ ", DIM), (shown.plain, DIM), pad, (" │", DIM)))
    return [*rows, Content.styled(f"╰{'─' * (inner + 2)}╯", DIM)]


def _cut(text: str, cells: int) -> str:
    return Content(text).truncate(max(1, cells), ellipsis=True).plain
