"""`LineView`: a widget that paints a list of `Line`s and nothing else.

It is the one drawing surface of the conversation: `FrozenMessage` and `StreamingAnswer` only differ in where
their lines come from. A row becomes a strip the first time it is painted and is kept until its line, the
theme or the selection changes, so painting costs what is visible and new. Native mouse selection works.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.geometry import Offset, Region, Size
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style
from textual.widget import Widget

from tui.stream.lines import Line, extract

_KEPT_STRIPS = 600


class LineView(Widget):
    """Paints lines made for one width. Subclasses give `lay_out(width)`.

    The widget is as high as its lines, takes the width it is given and never takes focus.
    """

    DEFAULT_CSS = """
    LineView { width: 1fr; height: auto; padding: 0 1; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: list[Line] = []
        self._lines_width = -1
        self._strips: dict[int, Strip] = {}

    if TYPE_CHECKING:

        def lay_out(self, width: int) -> list[Line]:
            """All lines for `width` cells."""
            ...

    @property
    def lines(self) -> Sequence[Line]:
        """The lines as last laid out."""
        return self._lines

    def height_at(self, width: int) -> int:
        """Rows needed at a content width of `width` cells; lays the lines out if needed."""
        if width != self._lines_width:
            self._lines_width = width
            self._lines = self.lay_out(width)
            self._strips.clear()
        return len(self._lines)

    def forget_layout(self) -> None:
        """Lay out anew at the next chance, after the text behind the lines changed."""
        self._lines_width = -1
        self.refresh(layout=True)

    def replace_from(self, row: int, lines: Sequence[Line]) -> None:
        """Replace all rows from `row` on; repaints only those, lays out only if the height changed."""
        before = len(self._lines)
        self._lines[row:] = lines
        for y in [y for y in self._strips if y >= row]:
            del self._strips[y]
        changed = Region(0, row, max(1, self.size.width + 2), max(before, len(self._lines), row + 1) - row)
        self.refresh(changed, layout=len(self._lines) != before)

    def replace_rows(self, row: int, lines: Sequence[Line]) -> None:
        """Replace as many rows from `row` on as `lines` are; the others stay, so nothing is laid out."""
        for y, line in enumerate(lines, row):
            self._lines[y] = line
            self._strips.pop(y, None)
        self.refresh(Region(0, row, max(1, self.size.width + 2), max(1, len(lines))))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Rows for `width` cells, as Textual's layout asks."""
        return self.height_at(width)

    def notify_style_update(self) -> None:
        """Forget painted rows when the theme or a class changed."""
        super().notify_style_update()
        self._strips.clear()

    def selection_updated(self, selection: Selection | None) -> None:
        """Repaint when the selection moved."""
        self._strips.clear()
        self.refresh()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text without decoration, wrapped rows joined again."""
        return extract(self._lines, _place(selection.start), _place(selection.end)), "\n"

    def render_line(self, y: int) -> Strip:
        """One painted row."""
        width = self.size.width
        self.height_at(width)
        if not 0 <= y < len(self._lines):
            return Strip.blank(width, self.visual_style.rich_style)
        strip = self._strips.get(y)
        if strip is None:
            if len(self._strips) > _KEPT_STRIPS:
                self._strips.clear()
            strip = self._strips[y] = self._paint(self._lines[y], y, width)
        return strip

    def _paint(self, line: Line, y: int, width: int) -> Strip:
        base = self.visual_style
        content = line.content
        selection = self.text_selection if self.is_attached else None
        span = selection.get_span(y) if selection is not None and line.copied else None
        if span is not None:
            start = max(span[0], line.gutter)
            end = len(content.plain) - line.tail
            end = end if span[1] < 0 else min(end, span[1])
            marked = Style.from_styles(self.screen.get_component_styles("screen--selection"))
            content = content.stylize(marked, start, max(start, end))
        segments: list[Segment] = []
        x = 0
        for text, style in content.render(base, end="", parse_style=self._get_style):
            segments.append(Segment(text, (base + style).rich_style_with_offset(x, y)))
            x += len(text)
        if not segments:
            segments.append(Segment(" " * width, base.rich_style_with_offset(0, y)))
        return Strip(segments).adjust_cell_length(width, base.rich_style)


def _place(offset: Offset | None) -> tuple[int, int] | None:
    return None if offset is None else (offset.x, offset.y)
