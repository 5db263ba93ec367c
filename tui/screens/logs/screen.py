"""The Logs workspace: the newest lines, narrowed by words and level, followed until the reader moves."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.widgets import Static

from engine.text_safety import plain
from engine.types import LogLine
from tui.actions import bindings
from tui.filtered import FilteredScreen
from tui.screens.logs.actions import ACTIONS
from tui.screens.logs.view import LEVELS, LogView, text_of

LIMIT = 2000
INTERVAL_S = 0.5


class LogsScreen(FilteredScreen):
    """What Hearth and the native libraries say."""

    CSS_PATH = "logs.tcss"
    BINDINGS = bindings(ACTIONS, "logs")
    AUTO_FOCUS = "#lines"
    LIST = "#lines"
    FILTERS_BY = "Filter by words in the line or its origin"

    def __init__(self) -> None:
        super().__init__()
        self._all: list[LogLine] = []
        self._least = 0

    def compose_workspace(self) -> ComposeResult:
        """Filter, lines, a line of figures."""
        yield self.filter_bar()
        yield LogView(id="lines")
        yield Static("Nothing has been logged yet.", id="empty", markup=False)
        yield Static("", id="summary", markup=False)

    def on_mount(self) -> None:
        """Read now and twice a second while in sight."""
        self._read()
        self.set_interval(INTERVAL_S, self._read_if_shown)

    def _read_if_shown(self) -> None:
        if self.is_current:
            self._read()

    def _read(self) -> None:
        engine = self.hearth.connection.ready
        lines = engine.logs(LIMIT) if engine is not None else []
        if lines != self._all or not self._all:
            self._all = lines
            self.redraw()

    def redraw(self) -> None:
        """Show what words and level leave."""
        words = self.words.lower().split()
        shown = [
            line
            for line in self._all
            if LEVELS.index(line.level) >= self._least
            and all(word in f"{line.origin} {line.text}".lower() for word in words)
        ]
        self.set_class(not shown, "-empty")
        empty = "Nothing has been logged yet."
        if self._all and not shown:
            empty = (
                "No line fits the filter." if words else f"No line is as serious as {LEVELS[self._least]}."
            )
        self.query_one("#empty", Static).update(empty)
        view = self.query_one(LogView)
        view.show(shown)
        self._draw_summary()

    def _draw_summary(self) -> None:
        view = self.query_one(LogView)
        level = "every level" if not self._least else f"{LEVELS[self._least]} and above"
        follow = "↓ following" if view.following else "⏸ paused, f follows"
        text = f"{len(view.lines)} of {len(self._all)} lines · {level} · {follow}"
        self.query_one("#summary", Static).update(text)

    @on(LogView.FollowChanged)
    def _follow_changed(self) -> None:
        self._draw_summary()

    def action_level(self) -> None:
        """Raise the least level shown; after errors comes everything again."""
        self._least = (self._least + 1) % len(LEVELS)
        self.redraw()

    def action_follow(self) -> None:
        """Go to the end and follow."""
        self.query_one(LogView).action_end()

    def action_copy_line(self) -> None:
        """Copy the line under the cursor."""
        line = self.query_one(LogView).current
        if line is not None:
            self.hearth.copy(text_of(line))

    def action_copy_all(self) -> None:
        """Copy every line that is shown."""
        lines = self.query_one(LogView).lines
        if lines:
            self.hearth.copy("\n".join(plain(text_of(line)) for line in lines))
