"""The Models workspace: a table of what this machine can run, a card, load and unload."""

from __future__ import annotations

from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.coordinate import Coordinate
from textual.message import Message
from textual.widgets import DataTable, Input, Static

from engine.errors import HearthError
from engine.text_safety import clean, plain
from engine.types import LoadedModel, ModelEntry
from tui.actions import bindings
from tui.screens.models import presenter
from tui.screens.models.actions import ACTIONS
from tui.screens.models.presenter import Row
from tui.status import STATES, Sample
from tui.workspace_screen import WorkspaceScreen

COLUMNS = ("model", "family", "params", "quant", "context", "size", "source")
RIGHT = frozenset({"params", "context", "size"})
STATE_WIDTH = 10
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


class ModelsScreen(WorkspaceScreen):
    """Which models there are, which are in memory, which one the chat talks to."""

    CSS_PATH = "models.tcss"
    BINDINGS = bindings(ACTIONS, "models")
    INSPECTOR = "#detail"
    AUTO_FOCUS = "#table"

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[ModelEntry] = []
        self._rows: list[Row] = []
        self._drawn: tuple[Any, ...] = ()
        self._sort = presenter.SORTS[0]

    def compose_workspace(self) -> ComposeResult:
        """Filter, table and card, a line of figures."""
        yield Input(
            placeholder="Filter by name, family, quantisation or source", id="filter", classes="filter"
        )
        with Container(id="panes"):
            table = ModelTable(id="table", cursor_type="row", cell_padding=1, zebra_stripes=False)
            yield table
            yield Static("Looking for models …", id="empty", markup=False)
            with ModelCard(id="detail"):
                yield Static("", id="name", markup=False)
                yield Static("", id="reason", markup=False)
                yield Static("", id="facts", markup=False)
        yield Static("", id="summary", markup=False)

    def on_mount(self) -> None:
        """Listen, and look for models."""
        self.set_class(True, "-empty")
        self.query_one("#panes").styles.layout = "vertical" if self.has_class("-narrow") else "horizontal"
        self.hearth.sampled.subscribe(self, self._sampled)
        self.hearth.model_chosen.subscribe(self, lambda _: self._draw())
        self.action_rescan()

    def on_resize(self) -> None:
        """Columns and layout follow the width."""
        narrow = self.size.width < 100
        self.query_one("#panes").styles.layout = "vertical" if narrow else "horizontal"

    @on(ModelTable.Resized)
    def _table_resized(self) -> None:
        self._draw()

    # --- data -------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        import asyncio

        try:
            engine = await asyncio.to_thread(lambda: self.hearth.engine)
            self._entries = await engine.models()
        except HearthError as error:
            self.query_one("#empty", Static).update(Content(clean(f"{error.what}\n\nr looks again.")))
            raise
        self.query_one("#empty", Static).update(
            "No model is here.\n\nPut a GGUF file into a folder and name it in the settings under models.folders."
        )
        self._draw()

    def _sampled(self, sample: Sample) -> None:
        self._draw()

    @property
    def _loaded(self) -> dict[str, LoadedModel]:
        return {model.id: model for model in self.hearth.sample.loaded}

    @property
    def _row(self) -> Row | None:
        place = self.query_one(ModelTable).cursor_row
        return self._rows[place] if 0 <= place < len(self._rows) else None

    # --- drawing ----------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        words = self.query_one("#filter", Input).value
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
        self.query_one("#name", Static).update(Content(plain(row.entry.id)))
        reason = self.query_one("#reason", Static)
        reason.display = bool(row.entry.broken)
        reason.update(Content("✗ " + clean(row.entry.broken or "")))
        lines = [
            Content.assemble((f"{label:<11}", "$muted"), value)
            for label, value in presenter.card(row, self._loaded)
        ]
        self.query_one("#facts", Static).update(Content("\n").join(lines))

    def _draw_summary(self, rows: list[Row]) -> None:
        resident = sum(row.state in ("ready", "busy") for row in rows)
        text = f"{len(rows)} of {len(self._entries)} models · {resident} in memory · sorted by {self._sort}"
        self.query_one("#summary", Static).update(text)

    # --- what happens -----------------------------------------------------------------------------------------

    @on(DataTable.RowHighlighted)
    def _highlighted(self) -> None:
        self._draw_card()

    @on(DataTable.RowSelected)
    def _selected(self) -> None:
        self.action_use()

    @on(Input.Changed, "#filter")
    def _typed(self) -> None:
        self._draw()

    @on(Input.Submitted, "#filter")
    def _submitted(self) -> None:
        self.query_one(ModelTable).focus()

    def action_filter(self) -> None:
        """Open the filter."""
        field = self.query_one("#filter", Input)
        field.add_class("-open")
        field.focus()

    def action_leave_filter(self) -> None:
        """Close the filter and show everything."""
        field = self.query_one("#filter", Input)
        field.value = ""
        field.remove_class("-open")
        self.query_one(ModelTable).focus()

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._sort = presenter.SORTS[(presenter.SORTS.index(self._sort) + 1) % len(presenter.SORTS)]
        self._draw()

    def action_move(self, step: int) -> None:
        """Move the cursor."""
        table = self.query_one(ModelTable)
        table.move_cursor(row=table.cursor_row + step)

    def action_rescan(self) -> None:
        """Look for models again."""
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
        self.hearth.choose_model(row.entry.id)
        self.hearth.flash(f"The chat talks to {row.entry.id} now.", "success")

    def action_load(self) -> None:
        """Load the highlighted model."""
        row = self._row
        if row is None or row.entry.broken:
            self.hearth.flash("This model cannot be loaded; the card says why.", "error")
        elif row.state in ("ready", "busy", "loading"):
            self.hearth.flash(f"{row.entry.id} is {STATES[row.state][1]} already.")
        else:
            self.run_worker(self._load(row.entry.id), group="load")

    async def _load(self, model: str) -> None:
        self.hearth.flash(f"Loading {model} …")
        try:
            await self.hearth.engine.load(model)
        except HearthError as error:
            self.hearth.show_error(error)
        else:
            self.hearth.flash(f"{model} is loaded.", "success")

    def action_unload(self) -> None:
        """Unload the highlighted model; asks first while it answers."""
        row = self._row
        if row is None or row.state in ("", "broken"):
            self.hearth.flash("This model is not in memory.")
            return
        model = row.entry.id
        if row.state != "busy":
            self.run_worker(self._unload(model), group="load")
            return
        from tui.confirm import Confirm

        self.app.push_screen(
            Confirm(f"Unload {model}?", "It is answering; what it has not said yet is lost."),
            lambda sure: self.run_worker(self._unload(model), group="load") if sure else None,
        )

    async def _unload(self, model: str) -> None:
        try:
            await self.hearth.engine.unload(model)
        except HearthError as error:
            self.hearth.show_error(error)
        else:
            self.hearth.flash(f"{model} is unloaded.", "success")


def _state(row: Row) -> Content:
    glyph, word, variable = STATES[row.state]
    return Content.assemble((f"{glyph} {word}", f"${variable}"))


def _cell(row: Row, column: str, text: str, width: int) -> Content:
    if column == "model":
        name = Content(text).truncate(width - 2 if row.chosen else width, ellipsis=True)
        if row.entry.broken:
            return name.stylize("$muted")
        return Content.assemble(("▸ ", "$primary"), name.stylize("bold")) if row.chosen else name
    content = Content(text).right(width) if column in RIGHT else Content(text)
    return content.stylize("$muted") if column in ("family", "source") or row.entry.broken else content
