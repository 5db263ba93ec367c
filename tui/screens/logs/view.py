"""A list of log lines that draws only what is in sight, keeps a cursor, and follows the end until it is moved."""

from __future__ import annotations

import time

from rich.segment import Segment
from textual import events
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.text_safety import plain
from engine.types import LogLine

LEVELS = ("debug", "info", "warning", "error")
GLYPHS = {"debug": "·", "info": "•", "warning": "!", "error": "✗"}
ORIGIN_WIDTH = 14


def text_of(line: LogLine) -> str:
    """A line as it is copied: time, level, origin, text, all clean."""
    clock = time.strftime("%H:%M:%S", time.localtime(line.t_unix))
    return f"{clock} {line.level:<7} {plain(line.origin)}: {plain(line.text)}"


class LogView(ScrollView, can_focus=True):
    """Shows `lines`. Posts `FollowChanged` when it starts or stops following."""

    HELP = """The newest lines of Hearth and of the models' native libraries. The view follows the end; moving up
    stops that, f or End starts it again. Enter shows a line in full."""
    BINDING_GROUP_TITLE = "Log lines"
    COMPONENT_CLASSES = frozenset(
        {"log--cursor", "log--muted", "log--debug", "log--info", "log--warning", "log--error"}
    )  # type: ignore[assignment]
    DEFAULT_CSS = """
    LogView {
        background: $background; color: $foreground;
        & > .log--muted { color: $muted; }
        & > .log--debug { color: $muted; }
        & > .log--info { color: $secondary; }
        & > .log--warning { color: $warning; text-style: bold; }
        & > .log--error { color: $error; text-style: bold; }
        & > .log--cursor { background: $panel; }
        &:focus > .log--cursor { background: $block-cursor-blurred-background; }
        &:nocolor > .log--cursor { text-style: reverse; }
        &:ansi > .log--cursor { text-style: reverse; }
    }
    """
    BINDINGS = [  # noqa: RUF012
        Binding("up,k", "move(-1)", "Up", show=False, id="log.up"),
        Binding("down,j", "move(1)", "Down", show=False, id="log.down"),
        Binding("pageup", "move_page(-1)", "Page up", show=False, id="log.page_up"),
        Binding("pagedown", "move_page(1)", "Page down", show=False, id="log.page_down"),
        Binding("home,g", "top", "Top", show=False, id="log.top"),
        Binding("end,G", "end", "End and follow", show=False, id="log.end"),
    ]

    cursor: reactive[int] = reactive(0)
    following: reactive[bool] = reactive(True)

    class FollowChanged(Message):
        """Following started or stopped."""

    class Moved(Message):
        """Another line is under the cursor."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines: list[LogLine] = []

    def show(self, lines: list[LogLine]) -> None:
        """Show `lines` in place of those before, keeping the cursor on its line where that still is."""
        current = self.current
        self.lines = lines
        width = max((len(plain(line.text)) for line in lines[-2000:]), default=0) + ORIGIN_WIDTH + 14
        self.virtual_size = Size(width, len(lines))
        if self.following or current is None:
            self.cursor = max(0, len(lines) - 1)
        elif current in lines:
            self.cursor = lines.index(current)
        else:
            self.cursor = min(self.cursor, max(0, len(lines) - 1))
        self.call_after_refresh(self._keep_in_sight)  # the new height counts only after a layout
        self.refresh()

    @property
    def current(self) -> LogLine | None:
        """The line under the cursor."""
        return self.lines[self.cursor] if 0 <= self.cursor < len(self.lines) else None

    def render_line(self, y: int) -> Strip:
        """One visible line."""
        scroll_x, scroll_y = self.scroll_offset
        place = y + scroll_y
        base = self.rich_style
        if place >= len(self.lines):
            return Strip.blank(self.size.width, base)
        line = self.lines[place]
        if place == self.cursor:
            base = base + self.get_component_rich_style("log--cursor", partial=True)
        level = base + self.get_component_rich_style(f"log--{line.level}", partial=True)
        muted = base + self.get_component_rich_style("log--muted", partial=True)
        clock = time.strftime("%H:%M:%S", time.localtime(line.t_unix))
        origin = plain(line.origin, ORIGIN_WIDTH)
        segments = [
            Segment(f" {clock} ", muted),
            Segment(f"{GLYPHS[line.level]} ", level),
            Segment(f"{origin:<{ORIGIN_WIDTH}} ", muted),
            Segment(plain(line.text), level if line.level == "error" else base),
        ]
        return Strip(segments).crop_extend(scroll_x, scroll_x + self.size.width, base)

    def action_move(self, step: int) -> None:
        """Move the cursor; up stops following, down to the last line starts it."""
        self.cursor = max(0, min(len(self.lines) - 1, self.cursor + step))
        self.following = self.cursor >= len(self.lines) - 1 and step > 0
        self._keep_in_sight()

    def action_move_page(self, step: int) -> None:
        """Move by a screenful."""
        self.action_move(step * max(1, self.size.height - 1))

    def action_top(self) -> None:
        """Go to the oldest line."""
        self.action_move(-len(self.lines))

    def action_end(self) -> None:
        """Go to the newest line and follow."""
        self.cursor = max(0, len(self.lines) - 1)
        self.following = True
        self._keep_in_sight()

    def on_mouse_scroll_up(self) -> None:
        """Reading back stops following."""
        if self.max_scroll_y > 0:
            self.following = False

    def on_click(self, event: events.Click) -> None:
        """The clicked line gets the cursor."""
        at = event.get_content_offset(self)
        if at is not None and at.y + self.scroll_offset.y < len(self.lines):
            self.action_move(at.y + self.scroll_offset.y - self.cursor)

    def watch_cursor(self) -> None:
        """Tell whoever shows the line in full."""
        self.post_message(self.Moved())

    def watch_following(self) -> None:
        """Tell whoever shows it."""
        self.post_message(self.FollowChanged())

    def _keep_in_sight(self) -> None:
        top, height = round(self.scroll_target_y), max(1, self.scrollable_content_region.height)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False)
