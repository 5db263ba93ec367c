"""The Metrics workspace: views of one span of time, and of the requests that it is narrowed to.

Questions go to the engine, and answers are drawn when they are there; the one that was asked last counts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from typing import Any, Final

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from engine.errors import HearthError
from engine.text_safety import clean, plain
from engine.types import Distribution, MetricsQuery, SlowRequest, Traffic, TrafficGroup
from tui import units
from tui.actions import bindings
from tui.board import board
from tui.row_list import RowList
from tui.screens.metrics import views
from tui.screens.metrics.actions import ACTIONS
from tui.screens.metrics.console import Console, Statement
from tui.screens.metrics.overview import cards, energy, sums
from tui.view_line import ViewLine

INTERVAL_S: Final = 5.0
LONG_INTERVAL_S: Final = 30.0
"""Between two looks: what takes a day to change is looked at less often."""
POINTS: Final = 240
SLOW_ROWS: Final = 200
_ONLY_IN: Final = {
    "by": ("groups", "slow"),
    "open": ("groups", "slow", "sql"),
    "write_sql": views.NAMES,
    "run_sql": ("sql",),
    "saved_sql": ("sql",),
    "save_sql": ("sql",),
    "export": ("groups", "percentiles", "slow", "sql"),
    "copy_row": ("groups", "percentiles", "slow", "sql"),
    "span": ("overview", "groups", "percentiles", "slow"),
}
"""Actions, and the views in which they mean something."""


class MetricsRows(RowList):
    """The rows of the view that is shown."""

    HELP = """Left and right go to the other views, + and - to a longer or shorter time. Enter shows the requests of a
    model, alias, adapter or client alone, or all about a request; b tells apart by another thing, or sorts by another
    phase; e exports the rows, y copies one."""
    BINDING_GROUP_TITLE = "Rows"


class Roomy(VerticalScroll):
    """A pane whose text is laid out for its width."""

    class Resized(Message):
        """There is another width to lay out for."""

    def on_resize(self) -> None:
        """Tell the screen."""
        self.post_message(self.Resized())


class Board(Roomy):
    """The cards of the overview."""

    HELP = """Tokens, time to first token, requests, queue, prompt cache, memory and energy over the time that + and -
    choose. Left and right go to the other views."""
    BINDING_GROUP_TITLE = "Overview"


class Detail(Roomy):
    """Everything about the highlighted row."""

    HELP = "Everything about the highlighted row; of a request also where its time went."
    BINDING_GROUP_TITLE = "Detail"


class MetricsScreen(Console):
    """What was asked, how fast it was answered, where the time went."""

    CSS_PATH = "metrics.tcss"
    BINDINGS = bindings(ACTIONS, "metrics")
    INSPECTOR = "#detail"
    AUTO_FOCUS = "#board"

    def __init__(self) -> None:
        super().__init__()
        self.view = "overview"
        self.span: float | None = 86_400.0
        self.dimension: Any = "model"
        self.phase: Any = "total"
        self.only: dict[str, str] = {}
        """What requests are narrowed to, by column."""
        self.traffic: Traffic | None = None
        self.groups: list[TrafficGroup] = []
        self.spreads: list[Distribution] = []
        self.slow: list[SlowRequest] = []
        self._asked = 0
        self._looked = float("-inf")
        self._answered: set[str] = set()
        """Views whose answer is there."""

    def compose_workspace(self) -> ComposeResult:
        """The views, what they are about, and the panes, of which each view shows some."""
        yield ViewLine()
        yield Static("", id="caption", markup=False)
        with Board(id="board"):
            yield Static("Reading the metrics …", id="cards", markup=False)
        yield Statement(id="statement")
        yield Static("", id="status", markup=False)
        with Container(id="lists"):
            yield MetricsRows(id="rows")
            yield Static("", id="empty", markup=False)
            with Detail(id="detail"):
                yield Static("", id="about", markup=False)

    def on_mount(self) -> None:
        """Read now, and now and again while in sight."""
        self.set_interval(1.0, self._look_if_due)
        self._show_view()

    def on_screen_resume(self) -> None:
        """Come back with what changed meanwhile."""
        super().on_screen_resume()
        if self.is_mounted:
            self._look()

    @on(Roomy.Resized)
    def _pane_resized(self) -> None:
        self.redraw()

    def views(self) -> Sequence[tuple[str, str, int]]:
        """The views."""
        return [(name, views.TITLES[name], 0) for name in views.NAMES]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what means something in this view."""
        if action in _ONLY_IN:
            return self.view in _ONLY_IN[action]
        return super().check_action(action, parameters)

    # --- data

    @property
    def query_now(self) -> MetricsQuery:
        """The span, and what it is narrowed to."""
        return msgspec.structs.replace(MetricsQuery(seconds=self.span), **self.only)

    def _look_if_due(self) -> None:
        every = INTERVAL_S if self.span is not None and self.span <= 6 * 3600 else LONG_INTERVAL_S
        if self.is_current and time.monotonic() - self._looked >= every:
            self._look()

    def _look(self) -> None:
        self._looked = time.monotonic()
        if self.view != "sql":
            self.run_worker(self._read, group="look", exclusive=True)

    async def _read(self) -> None:
        """Ask for what this view shows; an answer that comes after another question was asked is dropped."""
        self._asked += 1
        asked, view, query = self._asked, self.view, self.query_now
        try:
            metrics = (await asyncio.to_thread(lambda: self.hearth.engine)).metrics
            answer: Awaitable[Any]
            match view:
                case "overview":
                    answer = metrics.traffic(query, POINTS)
                case "groups":
                    answer = metrics.groups(query, self.dimension)
                case "percentiles":
                    answer = metrics.distributions(query)
                case _:
                    answer = metrics.slowest(query, self.phase, SLOW_ROWS)
            found: Any = await answer
        except HearthError as error:
            if asked == self._asked and self.is_mounted:
                self._say_nothing(clean(error.info.sentence()))
            return
        if asked != self._asked or not self.is_mounted:
            return
        match view:
            case "overview":
                self.traffic = found
            case "groups":
                self.groups = found
            case "percentiles":
                self.spreads = found
            case _:
                self.slow = found
        self._answered.add(view)
        self.redraw()

    # --- drawing

    def redraw(self) -> None:
        """Show what is known of this view."""
        if not self.is_mounted:
            return
        self.query_one("#caption", Static).update(self._caption())
        if self.view == "sql":
            self.draw_answer()
            return
        if self.view not in self._answered:
            return
        if self.view == "overview":
            self._draw_cards()
            return
        rows = self.query_one(RowList)
        keys = self._keys
        self._say_nothing("" if keys else self._nothing())
        rows.show(views.COLUMNS[self.view], keys, self._cell)
        self._draw_detail()

    def _say_nothing(self, text: str) -> None:
        """Show `text` in place of rows and cards; nothing shows them."""
        self.set_class(bool(text), "-empty")
        self.query_one("#empty", Static).update(text)

    def _nothing(self) -> str:
        if self.view == "percentiles" and self.spreads and not any(each.count for each in self.spreads):
            return views.nothing_within(self.span, " ".join(self.only.values()))
        return views.nothing_within(self.span, " ".join(self.only.values()))

    @property
    def _keys(self) -> list[str]:
        match self.view:
            case "groups":
                return [group.name for group in self.groups]
            case "percentiles":
                return [each.measure for each in self.spreads if any(one.count for one in self.spreads)]
            case _:
                return [request.id for request in self.slow]

    def _cell(self, place: int, column: str) -> Content:
        match self.view:
            case "groups":
                return views.group_cell(self.groups[place], column)
            case "percentiles":
                return views.spread_cell(self.spreads[place], column)
            case _:
                return views.slow_cell(self.slow[place], column)

    def _draw_cards(self) -> None:
        traffic = self.traffic
        if traffic is None:
            return
        quiet = not traffic.points and not traffic.machine
        self._say_nothing(self._nothing() if quiet else "")
        room = self.query_one(Board).scrollable_content_region
        span = traffic.until - traffic.since
        lines = board(cards(traffic), max(20, room.width), room.height, now=traffic.until, span=span)
        self.query_one("#cards", Static).update(Content("\n").join(lines))

    def _caption(self) -> Content:
        """The span, what it is narrowed to, and the sums or the order of the view."""
        if self.view == "sql":
            return Content.styled(
                "ctrl+r runs · ctrl+f saved statements · ctrl+s saves · escape to the rows", "$muted"
            )
        parts = [Content.styled(views.SPANS[self.span], "bold")]
        parts += [
            Content.assemble((f"{column} ", "$muted"), (plain(name, 40) or "none", "bold"))
            for column, name in self.only.items()
        ]
        match self.view:
            case "overview" if self.traffic is not None:
                found = sums(self.traffic)
                said = f"{units.count(found['requests'])} requests"
                said += f", {units.count(found['failed'])} failed" if found["failed"] else ""
                said += f" · {units.count(found['written'])} tokens written"
                said += f" · {energy(self.traffic.energy)}" if self.traffic.energy is not None else ""
                parts.append(Content.styled(said, "$muted"))
            case "groups":
                parts.append(
                    Content.assemble(("by ", "$muted"), (self.dimension, "bold"), ("  (b)", "$muted"))
                )
            case "percentiles":
                parts.append(Content.styled("exact, of all requests", "$muted"))
            case "slow":
                parts.append(
                    Content.assemble(("slowest by ", "$muted"), (self.phase, "bold"), ("  (b)", "$muted"))
                )
        return Content.styled("  ·  ", "$muted").join(parts)

    @on(RowList.Moved)
    def _draw_detail(self) -> None:
        about = self.query_one("#about", Static)
        room = max(20, self.query_one(Detail).scrollable_content_region.width)
        if self.view == "sql":
            about.update(Content("\n").join(self.row_detail()))
        elif self.view == "slow" and (chosen := self._chosen_request) is not None:
            about.update(Content("\n").join(views.detail(chosen, room)))
        else:
            about.update("")

    @property
    def _chosen_request(self) -> SlowRequest | None:
        key = self.query_one(RowList).key
        return next((request for request in self.slow if request.id == key), None)

    # --- what happens

    def _show_view(self) -> None:
        for name in views.NAMES:
            self.set_class(name == self.view, f"-{name}")
        self.remove_class("-opened")
        self._say_nothing("")
        if self.view not in ("overview", "sql"):
            self.query_one(RowList).show((), [], lambda place, column: Content(""))
        self.query_one(ViewLine).refresh()
        self.refresh_bindings()
        self.redraw()
        self._look()

    def action_go(self, view: str) -> None:
        """Show another view."""
        self.view = view
        self._show_view()
        if view == "sql" and not self.answer.columns:
            self.query_one(Statement).focus()
        else:
            self.query_one("#board" if view == "overview" else "#rows").focus()

    def action_view(self, step: int) -> None:
        """Show the next view, or the one before."""
        self.action_go(views.NAMES[(views.NAMES.index(self.view) + step) % len(views.NAMES)])

    def action_span(self, step: int) -> None:
        """Show a longer or shorter time."""
        spans = list(views.SPANS)
        self.span = spans[max(0, min(len(spans) - 1, spans.index(self.span) + step))]
        self._answered.clear()
        self.redraw()
        self._look()

    def action_by(self, step: int) -> None:
        """Tell apart by the next thing, or sort by the next phase."""
        if self.view == "groups":
            place = views.DIMENSIONS.index(self.dimension) + step
            self.dimension = views.DIMENSIONS[place % len(views.DIMENSIONS)]
        else:
            self.phase = views.PHASES[(views.PHASES.index(self.phase) + step) % len(views.PHASES)]
        self._answered.discard(self.view)
        self.redraw()
        self._look()

    @on(RowList.Chosen)
    def action_open(self) -> None:
        """Narrow to what is highlighted; of a request or a row, show everything."""
        if self.view == "groups":
            if self.dimension in views.ONLY and self.groups:
                self.only[self.dimension] = self.query_one(RowList).key
                self._answered.clear()
                self.redraw()
                self._look()
            return
        if not self.query_one(RowList).key:
            return
        self.toggle_class("-opened")
        self.query_one("#detail" if self.has_class("-opened") else "#rows").focus()
        self.call_after_refresh(self._draw_detail)

    def action_back(self) -> None:
        """Close the detail; leave the statement; then show all requests again."""
        rows = self.query_one(RowList)
        if self.has_class("-opened"):
            self.remove_class("-opened")
            rows.focus()
            self.call_after_refresh(self._draw_detail)
        elif self.view == "sql":
            rows.focus()
        elif self.only:
            self.only.popitem()
            self._answered.clear()
            self.redraw()
            self._look()

    def action_refresh_now(self) -> None:
        """Read again."""
        self._look()

    def action_copy_row(self) -> None:
        """Copy what is highlighted as JSON."""
        key = self.query_one(RowList).key
        row: Any = None
        if self.view == "sql":
            row = self.row_values()
        elif self.view == "slow":
            row = self._chosen_request
        elif self.view == "groups":
            row = next((group for group in self.groups if group.name == key), None)
        else:
            row = next((each for each in self.spreads if each.measure == key), None)
        if row is not None:
            self.hearth.copy(msgspec.json.format(msgspec.json.encode(row)).decode())

    def export_statement(self) -> str:
        """The statement whose rows `e` exports."""
        if self.view == "sql":
            return super().export_statement()
        where = []
        if self.span is not None:
            where.append(f"requests.time >= make_timestamp({round((time.time() - self.span) * 1e6)})")
        where += [f"{column} = '{name.replace(chr(39), chr(39) * 2)}'" for column, name in self.only.items()]
        order = f"{self.phase}_ms DESC" if self.view == "slow" else "time"
        condition = f" WHERE {' AND '.join(where)}" if where else ""
        return f"SELECT * FROM requests{condition} ORDER BY {order}"
