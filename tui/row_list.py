"""A list of rows in columns that draws only what is in sight and keeps its cursor on a row by the row's own key."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct
from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style
from textual.visual import Visual

GAP, SMALL_GAP = 2, 1
"""Cells between columns, and where there is little room."""
AMPLE = 100
MARGIN = 2


class Column(Struct, frozen=True):
    """`width` cells; 0 takes what the others leave. `least` cells are the least screen in which it is shown."""

    name: str
    width: int
    right: bool = False
    least: int = 0


class RowList(ScrollView, can_focus=True):
    """Shows rows under a line of names. Posts `Moved` when another row is highlighted, `Chosen` on enter or a click."""

    HELP = "Up and down choose a row; enter opens it."
    BINDING_GROUP_TITLE = "List"
    COMPONENT_CLASSES = frozenset({"rows--cursor", "rows--head"})  # type: ignore[assignment]
    DEFAULT_CSS = """
    RowList {
        background: $background; color: $foreground; overflow-x: hidden;
        & > .rows--head { color: $muted; text-style: bold; }
        & > .rows--cursor { background: $panel; }
        &:focus > .rows--cursor { background: $block-cursor-blurred-background; text-style: bold; }
        &:nocolor > .rows--cursor, &:ansi > .rows--cursor { text-style: reverse; }
    }
    """
    BINDINGS = [  # noqa: RUF012
        Binding("up,k", "move(-1)", "Up", show=False, id="rows.up"),
        Binding("down,j", "move(1)", "Down", show=False, id="rows.down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="rows.page_up"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="rows.page_down"),
        Binding("home,g", "first", "First", show=False, id="rows.first"),
        Binding("end,G", "last", "Last", show=False, id="rows.last"),
    ]

    cursor: reactive[int] = reactive(0)

    class Moved(Message):
        """Another row is highlighted."""

    class Chosen(Message):
        """A row was clicked twice."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._columns: Sequence[Column] = ()
        self._keys: Sequence[str] = ()
        self._draw: Callable[[int, str], Content] = lambda place, column: Content("")

    def show(
        self, columns: Sequence[Column], keys: Sequence[str], draw: Callable[[int, str], Content]
    ) -> None:
        """Show a row for each of `keys`; `draw` makes the content of row and column.

        The cursor stays on its key; on the first row it stays on the first, so that what is newest is seen.
        """
        before = self.key
        same = [column.name for column in columns] == [column.name for column in self._columns]
        self._columns, self._keys, self._draw = columns, keys, draw
        self.virtual_size = Size(self.size.width, len(keys) + 1)
        place = 0
        if same and self.cursor and before in keys:
            place = keys.index(before)
        elif same and self.cursor:
            place = min(self.cursor, max(0, len(keys) - 1))
        if place != self.cursor:
            self.cursor = place
        if self.key != before:
            self.post_message(self.Moved())
        self.refresh()

    @property
    def key(self) -> str:
        """The key of the highlighted row; empty where there is none."""
        return self._keys[self.cursor] if 0 <= self.cursor < len(self._keys) else ""

    def render_line(self, y: int) -> Strip:
        """The names, or one visible row under them."""
        width = self.scrollable_content_region.width
        # The names stay where they are.
        place = -1 if y == 0 else y + self.scroll_offset.y - 1
        if place >= len(self._keys):
            return Strip.blank(width, self.rich_style)
        part = "rows--head" if place < 0 else "rows--cursor" if place == self.cursor else ""
        style = self.visual_style
        if part:
            rich = self.get_component_rich_style(part, partial=True)
            style = style + Style.from_rich_style(rich)
        strips = Visual.to_strips(self, self._row(place, width), width, 1, style)
        return strips[0] if strips else Strip.blank(width, self.rich_style)

    def _row(self, place: int, width: int) -> Content:
        shown = [column for column in self._columns if width >= column.least]
        gap = GAP if width >= AMPLE else SMALL_GAP
        taken = sum(column.width for column in shown) + gap * (len(shown) - 1) + MARGIN + 1
        left = max(0, width - taken)
        pieces: list[Content] = [Content(" " * MARGIN)]
        for number, column in enumerate(shown):
            room = column.width or left
            cell = Content(column.name) if place < 0 else self._draw(place, column.name)
            cell = cell.truncate(room, ellipsis=True)
            space = room - cell.cell_length
            cell = cell.pad_left(space) if column.right else cell.pad_right(space)
            pieces += [Content(" " * gap)] if number else []
            pieces.append(cell)
        row = Content("").join([*pieces, Content(" ")])
        return row.pad_right(max(0, width - row.cell_length))

    def action_move(self, step: int) -> None:
        """Move the cursor."""
        place = max(0, min(len(self._keys) - 1, self.cursor + step))
        if place != self.cursor:
            self.cursor = place
            self.post_message(self.Moved())
        self._keep_in_sight()

    def action_page(self, step: int) -> None:
        """Move by a screenful."""
        self.action_move(step * max(1, self.size.height - 2))

    def action_first(self) -> None:
        """Go to the first row."""
        self.action_move(-len(self._keys))

    def action_last(self) -> None:
        """Go to the last row."""
        self.action_move(len(self._keys))

    def on_click(self, event: events.Click) -> None:
        """The clicked row gets the cursor; a second click opens it."""
        at = event.get_content_offset(self)
        if at is None or at.y == 0 or at.y + self.scroll_offset.y > len(self._keys):
            return
        self.action_move(at.y + self.scroll_offset.y - 1 - self.cursor)
        if event.chain > 1:
            self.post_message(self.Chosen())

    def _keep_in_sight(self) -> None:
        # The names cover the topmost line.
        top, height = round(self.scroll_target_y), max(1, self.scrollable_content_region.height - 1)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False)
