"""The tables of the Models workspace: how they are walked, and columns that give way where there is little room."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from textual.binding import Binding
from textual.content import Content
from textual.coordinate import Coordinate
from textual.message import Message
from textual.widgets import DataTable

LEAST = 10
"""Cells that the first of the columns that stretch gets at least."""


class Table(DataTable[Content], inherit_bindings=False):
    """A table of rows. Enter is left to the view around it, which knows what it means."""

    BINDING_GROUP_TITLE = "Table"
    BINDINGS = [  # noqa: RUF012
        Binding("up", "cursor_up", "Up", show=False, id="table.up"),
        Binding("down", "cursor_down", "Down", show=False, id="table.down"),
        Binding("pageup", "page_up", "Page up", show=False, id="table.page_up"),
        Binding("pagedown", "page_down", "Page down", show=False, id="table.page_down"),
        Binding("home,g", "scroll_top", "First", show=False, id="table.first"),
        Binding("end,G", "scroll_bottom", "Last", show=False, id="table.last"),
    ]

    class Resized(Message):
        """The room for the columns changed."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id, cursor_type="row", cell_padding=1, zebra_stripes=False)

    def on_resize(self) -> None:
        """Tell the view."""
        self.post_message(self.Resized())

    @property
    def room(self) -> int:
        """Cells for all columns."""
        return self.scrollable_content_region.width

    def step(self, by: int) -> None:
        """Move the cursor."""
        self.move_cursor(row=self.cursor_row + by)

    def fill(
        self,
        layout: Layout,
        cells: Sequence[Mapping[str, str]],
        draw: Callable[[int, str, str, int], Content],
        place: int | None,
    ) -> None:
        """Show `cells`, a mapping a row; `draw` makes the content of row, column, text and width.

        The cursor goes to the row `place`.
        """
        widths = layout.widths(cells)
        columns = layout.columns(widths, self.room)
        left = layout.left(widths, columns, self.room)
        widths[layout.stretched] = max(LEAST, min(left, layout.most or left))
        with self.app.batch_update():
            self.clear(columns=True)
            for name in columns:
                title, width = Content(name), widths[name]
                self.add_column(title.right(width) if name in layout.right else title, width=width, key=name)
            for number, row in enumerate(cells):
                self.add_row(*(draw(number, name, row[name], widths[name]) for name in columns))
            if place is not None:
                self.cursor_coordinate = Coordinate(place, 0)


class Layout:
    """Columns in their order; `stretched` takes what is left, `right` stand at their right edge.

    Those in `dispensable` give way, in this order, where `stretched` would have fewer cells than the number beside
    them; `fixed` have a width whatever they say, `beside` is what `stretched` needs beside its text, and
    `most` how wide it gets at most (0: as wide as there is room).
    """

    def __init__(
        self,
        names: Sequence[str],
        stretched: str,
        *,
        right: frozenset[str] = frozenset(),
        dispensable: Mapping[str, int],
        fixed: Mapping[str, int],
        beside: int = 2,
        most: int = 0,
    ) -> None:
        self.names, self.stretched, self.right = tuple(names), stretched, right
        self.dispensable, self.fixed, self.beside, self.most = dispensable, fixed, beside, most

    def widths(self, cells: Sequence[Mapping[str, str]]) -> dict[str, int]:
        """Cells that each column would like."""
        found = {
            name: self.fixed.get(name) or max([len(name), *(Content(row[name]).cell_length for row in cells)])
            for name in self.names
        }
        found[self.stretched] += self.beside
        return found

    def left(self, widths: Mapping[str, int], columns: Sequence[str], room: int) -> int:
        """Cells that `stretched` may take beside the other `columns`."""
        return room - sum(widths[name] + 2 for name in columns if name != self.stretched) - 2 - 1

    def columns(self, widths: Mapping[str, int], room: int) -> tuple[str, ...]:
        """The columns that leave `stretched` room, without those that matter least."""
        columns = self.names
        for dispensable, worth in self.dispensable.items():
            if self.left(widths, columns, room) < min(widths[self.stretched], worth):
                columns = tuple(name for name in columns if name != dispensable)
        return columns


def cut(text: str, width: int) -> Content:
    """`text` in `width` cells, with an ellipsis if it is longer."""
    return Content(text).truncate(width, ellipsis=True)
