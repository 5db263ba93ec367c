"""Empty rows in place of messages that are not mounted.

Textual keeps a list for every 20 rows that a widget covers, and marks each of its rows when it changes: a spacer in
place of ten thousand messages would cost more than all the rest of a layout. So it is laid out as its last row alone,
at the place of that row; what is before it is background.
"""

from __future__ import annotations

from textual.geometry import Region, Size
from textual.layout import WidgetPlacement
from textual.strip import Strip
from textual.widget import Widget


class Spacer(Widget):
    """Takes the rows set."""

    DEFAULT_CSS = "Spacer { width: 1fr; height: auto; }"

    def __init__(self) -> None:
        super().__init__()
        self.rows = 0

    def set_rows(self, rows: int) -> None:
        """Change the height, in rows."""
        if rows != self.rows:
            self.rows = rows
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """The rows set."""
        return self.rows

    def render_line(self, y: int) -> Strip:
        """An empty row."""
        return Strip.blank(self.size.width, self.visual_style.rich_style)


def at_the_end(placement: WidgetPlacement) -> WidgetPlacement:
    """The place of a spacer, reduced to its last row."""
    x, y, width, height = placement.region
    return placement._replace(region=Region(x, y + height - 1, width, 1)) if height > 1 else placement
