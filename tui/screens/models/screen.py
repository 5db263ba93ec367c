"""The Models workspace: a table of what this machine can run, a card, load and unload."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.coordinate import Coordinate
from textual.message import Message
from textual.widgets import DataTable, Static

from engine.errors import ErrorInfo, HearthError
from engine.text_safety import clean, plain
from engine.types import Estimate, LoadedModel, ModelEntry
from tui.actions import bindings
from tui.filtered import FilteredScreen
from tui.model_care import ModelCare
from tui.screens.models import memory, presenter
from tui.screens.models.actions import ACTIONS
from tui.screens.models.presenter import RESIDENT, Row
from tui.status import STATES, Sample

COLUMNS = ("model", "family", "params", "quant", "context", "size", "source")
RIGHT = frozenset({"params", "context", "size"})
STATE_WIDTH = 12
RESTS_S = 0.25
"""So long the cursor stays on a model before its memory is estimated: that may try the file in a process."""
DISPENSABLE = {"source": 34, "family": 34, "context": 20, "quant": 20, "params": 20}
"""Columns that give way, in this order, when names would have fewer cells than the number beside it."""


class ModelTable(DataTable[Content], inherit_bindings=False):
    """The table of models. Enter is left to the screen, which knows what it means."""

    HELP = """The models found on this machine: the starter model and the GGUF files of your folders
    (`models.folders`). Filled circles are in memory. Enter makes the chat talk to a model, which is loaded when
    first used."""
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

    def on_resize(self) -> None:
        """Tell the screen."""
        self.post_message(self.Resized())


class ModelCard(VerticalScroll):
    """The card beside the table."""

    HELP = "Everything known about the highlighted model."
    BINDING_GROUP_TITLE = "Card"


class ModelsScreen(FilteredScreen, ModelCare):
    """Which models there are, which are in memory, which one the chat talks to."""

    CSS_PATH = "models.tcss"
    BINDINGS = bindings(ACTIONS, "models")
    INSPECTOR = "#detail"
    AUTO_FOCUS = "#table"
    LIST = "#table"
    FILTERS_BY = "Filter by name, family, quantisation or source"

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[ModelEntry] = []
        self._rows: list[Row] = []
        self._drawn: tuple[Any, ...] = ()
        self._sort = presenter.SORTS[0]
        self._estimates: dict[str, Estimate | ErrorInfo] = {}
        """What loads would take now, or why that cannot be told; forgotten when models come and go."""
        self._asked = ""
        """The model whose memory is being estimated."""
        self._resident: frozenset[str] = frozenset()

    def compose_workspace(self) -> ComposeResult:
        """Filter, table and card, a line of figures."""
        yield self.filter_bar()
        with Container(id="panes"):
            table = ModelTable(id="table", cursor_type="row", cell_padding=1, zebra_stripes=False)
            yield table
            yield Static("Looking for models …", id="empty", markup=False)
            with ModelCard(id="detail"):
                yield Static("", id="name", markup=False)
                yield Static("", id="reason", markup=False)
                yield Static("", id="verdict", markup=False)
                yield Static("", id="memory", markup=False)
                yield Static("", id="facts", markup=False)
                yield Static("", id="adapters", markup=False)
        yield Static("", id="summary", markup=False)

    def on_mount(self) -> None:
        """Listen, and look for models."""
        self.set_class(True, "-empty")
        self.query_one("#panes").styles.layout = "vertical" if self.has_class("-narrow") else "horizontal"
        self.hearth.sampled.subscribe(self, self._sampled)
        self.hearth.model_chosen.subscribe(self, lambda _: self.redraw())
        self.action_rescan()

    def on_resize(self) -> None:
        """Columns and layout follow the width."""
        narrow = self.size.width < 100
        self.query_one("#panes").styles.layout = "vertical" if narrow else "horizontal"

    @on(ModelTable.Resized)
    def _table_resized(self) -> None:
        self.redraw()

    # --- data -------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        try:
            engine = await asyncio.to_thread(lambda: self.hearth.engine)
            self._entries = await engine.models()
        except HearthError as error:
            self.query_one("#empty", Static).update(Content(clean(f"{error.what}\n\nr looks again.")))
            raise
        self.query_one("#empty", Static).update(
            "No model is here.\n\nPut a GGUF file into a folder and name it in the settings under models.folders."
        )
        self.redraw()

    def _sampled(self, sample: Sample) -> None:
        resident = frozenset(model.id for model in sample.loaded)
        if resident != self._resident:
            self._resident = resident
            self._estimates.clear()  # there is more or less free memory than there was
        self.redraw()

    @property
    def _loaded(self) -> dict[str, LoadedModel]:
        return {model.id: model for model in self.hearth.sample.loaded}

    @property
    def _row(self) -> Row | None:
        place = self.query_one(ModelTable).cursor_row
        return self._rows[place] if 0 <= place < len(self._rows) else None

    # --- drawing ----------------------------------------------------------------------------------------------

    def redraw(self) -> None:
        """Show the models as they are now."""
        words = self.words
        rows = presenter.rows(
            self._entries, self.hearth.sample.loaded, self.hearth.chat_model, words=words, sort=self._sort
        )
        now = (rows, self.query_one(ModelTable).scrollable_content_region.width)
        self.set_class(not rows, "-empty")
        if self._entries and not rows:
            self.query_one("#empty", Static).update(f"No model fits “{plain(words, 40)}”.")
        if now != self._drawn:
            self._drawn = now
            self._fill(rows)
        self._draw_card()
        self._draw_summary(rows)

    def _fill(self, rows: list[Row]) -> None:
        table = self.query_one(ModelTable)
        before = self._row.entry.id if self._row is not None else self.hearth.chat_model
        self._rows = rows
        cells = [dict(zip(COLUMNS, row.cells, strict=True)) for row in rows]
        widths = {
            name: max([len(name), *(Content(cell[name]).cell_length for cell in cells)]) for name in COLUMNS
        }
        widths["model"] += 2  # the mark of the chosen one
        columns = self._columns(widths)
        widths["model"] = max(12, self._room(widths, columns))
        with self.app.batch_update():
            table.clear(columns=True)
            table.add_column(Content("state"), width=STATE_WIDTH, key="state")
            for name in columns:
                title = Content(name)
                width = widths[name]
                table.add_column(title.right(width) if name in RIGHT else title, width=width, key=name)
            for row, cell in zip(rows, cells, strict=True):
                table.add_row(_state(row), *(_cell(row, name, cell[name], widths[name]) for name in columns))
            ids = [row.entry.id for row in rows]
            if before in ids:
                table.cursor_coordinate = Coordinate(ids.index(before), 0)

    def _room(self, widths: dict[str, int], columns: tuple[str, ...]) -> int:
        """Cells that the names may take beside the other `columns`."""
        others = STATE_WIDTH + 2 + sum(widths[name] + 2 for name in columns if name != "model")
        return self.query_one(ModelTable).scrollable_content_region.width - others - 1

    def _columns(self, widths: dict[str, int]) -> tuple[str, ...]:
        """The columns that leave the names room, dropping those that matter least."""
        columns = COLUMNS
        for dispensable, worth in DISPENSABLE.items():
            if self._room(widths, columns) < min(widths["model"], worth):
                columns = tuple(name for name in columns if name != dispensable)
        return columns

    def _draw_card(self) -> None:
        row = self._row
        if row is None:
            return
        entry, loaded = row.entry, self._loaded.get(row.entry.id)
        found = self._estimates.get(entry.id)
        self.query_one("#name", Static).update(Content(plain(entry.id)))
        facts = [
            Content.assemble((f"{label:<11}", "$muted"), value)
            for label, value in presenter.card(row, self._loaded)
        ]
        self._tell("#reason", [Content("✗ " + clean(entry.broken))] if entry.broken else [])
        self._tell("#verdict", [] if entry.broken or loaded is not None else memory.verdict(found))
        self._tell("#facts", facts)
        self._tell(
            "#adapters",
            [
                Content.assemble((f"✗ adapter {plain(name, 30)}  ", "$text-error"), (plain(why), "$muted"))
                for name, why in entry.broken_adapters.items()
            ],
        )
        figures: list[Content] = []
        if loaded is not None:
            figures = memory.in_memory(loaded)
        elif isinstance(found, Estimate):
            figures = memory.before_a_load(found)
        self._tell("#memory", figures)
        if found is None and loaded is None and not entry.broken and entry.id != self._asked:
            self._asked = entry.id
            self.run_worker(partial(self._estimate, entry.id), group="estimate", exclusive=True)

    def _tell(self, selector: str, lines: list[Content]) -> None:
        """A part of the card; without lines it takes no room."""
        part = self.query_one(selector, Static)
        part.display = bool(lines)
        part.update(Content("\n").join(lines))

    async def _estimate(self, model: str) -> None:
        """Ask what a load would take, if the cursor rests here."""
        resident = self._resident
        found: Estimate | ErrorInfo
        try:
            await asyncio.sleep(RESTS_S)
            found = await self.hearth.engine.estimate(model)
        except HearthError as error:
            found = error.info
        finally:
            if self._asked == model:
                self._asked = ""
        if resident == self._resident:
            self._estimates[model] = found
        self._draw_card()

    def _draw_summary(self, rows: list[Row]) -> None:
        resident = sum(row.state in RESIDENT for row in rows)
        pinned = sum(row.pinned for row in rows)
        parts = [f"{len(rows)} of {len(self._entries)} models", f"{resident} in memory"]
        parts += [f"{pinned} pinned"] if pinned else []
        self.query_one("#summary", Static).update(" · ".join([*parts, f"sorted by {self._sort}"]))

    # --- what happens -----------------------------------------------------------------------------------------

    @on(DataTable.RowHighlighted)
    def _highlighted(self) -> None:
        self._draw_card()

    @on(DataTable.RowSelected)
    def _selected(self) -> None:
        self.action_use()

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._sort = presenter.SORTS[(presenter.SORTS.index(self._sort) + 1) % len(presenter.SORTS)]
        self.redraw()

    def action_move(self, step: int) -> None:
        """Move the cursor."""
        table = self.query_one(ModelTable)
        table.move_cursor(row=table.cursor_row + step)

    def action_rescan(self) -> None:
        """Look for models again, and think anew about their memory."""
        self._estimates.clear()
        self.run_worker(self._look(), group="look", exclusive=True)

    def action_copy_path(self) -> None:
        """Copy the path."""
        if self._row is not None:
            self.hearth.copy(clean(self._row.entry.path))

    def action_use(self) -> None:
        """Make the chat talk to the highlighted model."""
        row = self._row
        if row is None:
            return
        if row.entry.broken:
            self.hearth.flash("This model cannot be used; the card says why.", "error")
            return
        self.talk_to(row.entry.id)

    def action_load(self) -> None:
        """Load the highlighted model."""
        row = self._row
        if row is None or row.entry.broken:
            self.hearth.flash("This model cannot be loaded; the card says why.", "error")
        elif row.state in ("ready", "busy", "loading"):
            self.hearth.flash(f"{row.entry.id} is {STATES[row.state][1]} already.")
        else:
            self.load_model(row.entry.id)

    def action_unload(self) -> None:
        """Unload the highlighted model; asks first while it answers."""
        row = self._row
        if row is None or row.state in ("", "broken"):
            self.hearth.flash("This model is not in memory.")
            return
        self.unload_model(row.entry.id, answers=row.state == "busy")

    def action_pin(self) -> None:
        """Keep the highlighted model in memory whatever comes, or let it go again."""
        row = self._row
        if row is None or row.state in ("", "broken", "failed"):
            self.hearth.flash("Only a model in memory can be pinned: l loads it.")
        else:
            self.pin_model(row.entry.id, not row.pinned)


def _state(row: Row) -> Content:
    glyph, word, variable = STATES[row.state]
    return Content.assemble((f"{glyph} {word}", f"${variable}"), (" ▪" if row.pinned else "", "$accent"))


def _cell(row: Row, column: str, text: str, width: int) -> Content:
    if column == "model":
        name = Content(text).truncate(width - 2 if row.chosen else width, ellipsis=True)
        if row.entry.broken:
            return name.stylize("$muted")
        return Content.assemble(("▸ ", "$primary"), name.stylize("bold")) if row.chosen else name
    content = Content(text).right(width) if column in RIGHT else Content(text)
    return content.stylize("$muted") if column in ("family", "source") or row.entry.broken else content
