"""The SQL console of the Metrics workspace: a statement, its rows, saved statements, and files of rows."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static, TextArea
from textual.widgets.option_list import Option

from engine.errors import ErrorInfo, HearthError
from engine.text_safety import clean, plain
from engine.types import ExportForm, SavedQuery, SqlAnswer
from tui import units
from tui.dialogue import Dialogue
from tui.line_dialogue import LineDialogue
from tui.new_file import write_new
from tui.row_list import RowList
from tui.screens.metrics import views
from tui.workspace_screen import WorkspaceScreen

FIRST = (
    "SELECT model, count(*) AS requests, sum(completion_tokens) AS written\n"
    "FROM requests GROUP BY model ORDER BY requests DESC"
)
ROWS = 1000
TABLES = "requests · model_events · hardware_samples · gpu_samples · jobs · evals · bench"


class Statement(TextArea):
    """Where a statement is written."""

    HELP = f"""One SELECT over the tables {TABLES.replace(" · ", ", ")}; `DESCRIBE requests` lists columns. ctrl+r runs
    it, ctrl+f chooses a saved one, ctrl+s saves it, escape leads to the rows. It can read these and nothing else."""
    BINDING_GROUP_TITLE = "Statement"

    def __init__(self, *, id: str) -> None:
        super().__init__(FIRST, compact=True, tab_behavior="focus", soft_wrap=True, id=id)


class SavedDialogue(Dialogue[tuple[str, SavedQuery] | None]):
    """Closes with `use` or `drop` and a statement; None for escape."""

    DEFAULT_CSS = """
    SavedDialogue .dialogue { width: 84; }
    SavedDialogue OptionList { height: auto; max-height: 12; }
    SavedDialogue #shown { height: auto; max-height: 8; margin-top: 1; color: $muted; }
    """
    BINDINGS = [  # noqa: RUF012
        Binding("escape", "dismiss", "Close", id="queries.close"),
        Binding("d,delete", "drop", "Forget", id="queries.drop"),
    ]

    def __init__(self, queries: list[SavedQuery]) -> None:
        super().__init__()
        self._queries = queries

    def compose(self) -> ComposeResult:
        """The names, and the statement of the highlighted one."""
        with Vertical(classes="dialogue") as box:
            box.border_title = "Saved statements"
            box.border_subtitle = "enter take · d forget · esc close"
            yield OptionList(*(Option(self._line(query)) for query in self._queries), markup=False)
            yield Static("", id="shown", markup=False)

    def _line(self, query: SavedQuery) -> Content:
        return Content.assemble(
            plain(query.name, 60), ("  comes with Hearth" if query.shipped else "", "$muted")
        )

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self.query_one("#shown", Static).update(clean(self._queries[event.option_index].sql))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(("use", self._queries[event.option_index]))

    def action_drop(self) -> None:
        """Forget the highlighted one."""
        place = self.query_one(OptionList).highlighted
        if place is None:
            return
        if self._queries[place].shipped:
            self.hearth.flash("It comes with Hearth, and stays.")
            return
        self.dismiss(("drop", self._queries[place]))


class Console(WorkspaceScreen):
    """The part of the Metrics screen that asks in SQL."""

    view: str

    def __init__(self) -> None:
        super().__init__()
        self.answer = SqlAnswer()
        self._names: tuple[str, ...] = ()
        self._sent = 0
        self._problem: ErrorInfo | None = None

    if TYPE_CHECKING:

        def redraw(self) -> None:
            """Show what is known."""
            ...

    def draw_answer(self) -> None:
        """Show the rows of the last answer, and what is to be said of it."""
        rows = self.query_one(RowList)
        answer = self.answer
        width = rows.scrollable_content_region.width or self.size.width
        columns = views.answer_columns(self._names, answer.types, answer.rows, width)
        places = {name: place for place, name in enumerate(self._names)}
        rows.show(
            columns,
            [str(place) for place in range(len(answer.rows))],
            lambda place, name: Content(views.said(answer.rows[place][places[name]])),
        )
        self.query_one("#status", Static).update(self._status())

    def _status(self) -> Content:
        if self._sent:
            return Content.styled("Running …", "$muted")
        if self._problem is not None:
            info = self._problem
            return Content.assemble(
                ("✗ ", "$error"), clean(" ".join(filter(None, (info.what, info.why, info.fix))))
            )
        if not self.answer.columns:
            return Content.styled(TABLES, "$muted")
        number = len(self.answer.rows)
        count = f"{number:,} row{'s' if number != 1 else ''}" + (", and more" if self.answer.more else "")
        return Content.styled(f"{count} · {units.seconds(self.answer.took)}", "$muted")

    def row_values(self) -> dict[str, Any] | None:
        """The highlighted row by column; None where there is none."""
        key = self.query_one(RowList).key
        if not key.isdigit() or int(key) >= len(self.answer.rows):
            return None
        return dict(zip(self._names, self.answer.rows[int(key)], strict=True))

    def row_detail(self) -> list[Content]:
        """The highlighted row, a line a column."""
        values = self.row_values() or {}
        return [
            Content.assemble((f"{plain(name, 40)}  ", "$muted"), clean("–" if value is None else str(value)))
            for name, value in values.items()
        ]

    # --- what happens

    if TYPE_CHECKING:

        def action_go(self, view: str) -> None:
            """Show another view."""
            ...

    def action_write_sql(self) -> None:
        """Go to the statement."""
        if self.view != "sql":
            self.action_go("sql")
        self.query_one(Statement).focus()

    def action_run_sql(self) -> None:
        """Run the statement."""
        statement = self.query_one(Statement).text.strip()
        if statement:
            self.run_worker(self._run_sql(statement), group="sql", exclusive=True)

    async def _run_sql(self, statement: str) -> None:
        self._sent += 1
        self._problem = None
        self.redraw()
        try:
            answer = await (await asyncio.to_thread(lambda: self.hearth.engine)).metrics.sql(statement, ROWS)
        except HearthError as error:
            # Not the exception itself: its traceback would hold on to the database.
            self._problem = error.info
        else:
            self.answer, self._names = answer, _apart(answer.columns)
            self.query_one(RowList).focus()
        finally:
            self._sent -= 1
            if self.is_mounted:
                self.redraw()

    def action_saved_sql(self) -> None:
        """Choose a saved statement."""
        self.run_worker(self._saved_sql(), group="saved", exclusive=True)

    async def _saved_sql(self) -> None:
        metrics = self.hearth.engine.metrics
        try:
            chosen = await self.app.push_screen_wait(SavedDialogue(await metrics.queries()))
            if chosen is None:
                return
            what, query = chosen
            if what == "drop":
                await metrics.drop_query(query.name)
                self.hearth.flash(f"{plain(query.name, 40)} is forgotten.")
                return
        except HearthError as error:
            self.hearth.show_error(error)
            return
        self.query_one(Statement).load_text(query.sql)
        self.action_run_sql()

    def action_save_sql(self) -> None:
        """Save the statement under a name."""
        statement = self.query_one(Statement).text.strip()
        if not statement:
            self.hearth.flash("There is no statement to save.")
            return
        self.app.push_screen(
            LineDialogue("Save the statement as", note="ctrl+f lists it."), partial(self._save_sql, statement)
        )

    def _save_sql(self, statement: str, name: str | None) -> None:
        if name and name.strip():
            self.run_worker(self._kept_sql(SavedQuery(name=name.strip(), sql=statement)), group="saved")

    async def _kept_sql(self, query: SavedQuery) -> None:
        try:
            await self.hearth.engine.metrics.save_query(query)
        except HearthError as error:
            self.hearth.show_error(error)
        else:
            self.hearth.flash(f"Saved as {plain(query.name, 40)}.", "success")

    def export_statement(self) -> str:
        """The statement whose rows are exported."""
        return self.query_one(Statement).text.strip()

    def action_export(self) -> None:
        """Ask for a file, and write the rows into it."""
        statement = self.export_statement()
        name = f"hearth-{self.view}-{time.strftime('%Y%m%d-%H%M%S')}.csv"
        self.app.push_screen(
            LineDialogue(
                "Export to which file?",
                name,
                note="A name that ends in .parquet makes a Parquet file. All requests are written, not only rows in "
                "sight.",
            ),
            partial(self._export, statement),
        )

    def _export(self, statement: str, path: str | None) -> None:
        if path and path.strip():
            self.run_worker(self._write_rows(statement, path.strip()), group="export")

    async def _write_rows(self, statement: str, path: str) -> None:
        form: ExportForm = "parquet" if path.lower().endswith(".parquet") else "csv"
        self.hearth.flash(f"Writing {plain(path, 60)} …")
        try:
            data = await self.hearth.engine.metrics.export(statement, form)
            await asyncio.to_thread(write_new, path, data)
        except HearthError as error:
            self.hearth.show_error(error)
        else:
            self.hearth.flash(f"{plain(path, 60)} is written, {units.size(len(data))}.", "success")


def _apart(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of columns, those that were there before with their place."""
    found: list[str] = []
    for place, name in enumerate(names):
        shown = plain(name, 60)
        found.append(f"{shown} {place + 1}" if shown in found else shown)
    return tuple(found)
