"""The models that are here: a table, a card with what a load would take, load and unload, delete."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import DataTable, Static

from engine.errors import ErrorInfo, HearthError
from engine.text_safety import clean, plain
from engine.types import Estimate, Fit, LoadedModel, ModelEntry, NewRevision
from tui.screens.models import deleting, memory, newer, rows
from tui.screens.models.actions import LOCAL
from tui.screens.models.found import VERDICTS
from tui.screens.models.rows import RESIDENT, Row
from tui.screens.models.table import Layout, Table, cut
from tui.status import STATES, Sample

if TYPE_CHECKING:
    from tui.app import HearthApp
    from tui.model_care import ModelCare

NAMES = ("state", "model", "family", "params", "quant", "context", "size", "fit", "source")
COLUMNS = Layout(
    NAMES,
    "model",
    right=frozenset({"params", "context", "size"}),
    dispensable={"source": 34, "family": 34, "context": 24, "fit": 22, "quant": 20, "params": 20},
    fixed={"state": 12, "fit": 9},
)
RESTS_S = 0.25
"""So long the cursor stays on a model before its memory is estimated: that may try the file in a process."""
NOTHING = (
    "No model is here.\n\nPut a GGUF file into a folder and name it in the settings under models.folders,\n"
    "or press h and pull one from the hub."
)


class ModelTable(Table):
    """The table of models."""

    HELP = """The models found on this machine: the starter model, the GGUF files and model folders of your folders
    (`models.folders`) and what was pulled from the hub. Filled circles are in memory. Enter makes the chat talk to a
    model, which is loaded when first used; d deletes what was pulled, after saying what that frees."""


class ModelCard(VerticalScroll):
    """The card beside the table."""

    HELP = "Everything known about the highlighted model."
    BINDING_GROUP_TITLE = "Card"


class LocalView(Container):
    """What is on this machine, what is in memory, which model the chat talks to."""

    BINDING_GROUP_TITLE = "Models here"
    BINDINGS = [action.binding for action in LOCAL]  # noqa: RUF012

    class Changed(Message):
        """The line of figures reads differently."""

    class Looked(Message):
        """The models of this machine were looked for anew."""

    def __init__(self) -> None:
        super().__init__(id="local", classes="view")
        self.entries: list[ModelEntry] = []
        self.figures = ""
        self._rows: list[Row] = []
        self._words = ""
        self._drawn: tuple[Any, ...] = ()
        self._sort = rows.SORTS[0]
        self._fits: dict[str, Fit] = {}
        self._only_fitting = False
        self._estimates: dict[str, Estimate | ErrorInfo] = {}
        """What loads would take now, or why that cannot be told; forgotten when models come and go."""
        self._asked = ""
        """The model whose memory is being estimated."""
        self._resident: frozenset[str] = frozenset()
        self._newer: frozenset[str] = frozenset()
        """Repositories of which the hub has something newer."""

    @property
    def hearth(self) -> HearthApp:
        """The app, by its own type."""
        return cast("HearthApp", self.app)

    @property
    def care(self) -> ModelCare:
        """The screen, which loads and unloads."""
        return cast("ModelCare", self.screen)

    @property
    def table(self) -> Table:
        """The table."""
        return self.query_one(ModelTable)

    def compose(self) -> ComposeResult:
        """Table and card."""
        yield ModelTable("table")
        yield Static("Looking for models …", id="empty", classes="message", markup=False)
        with ModelCard(id="detail", classes="beside"):
            for part in ("name", "reason", "verdict", "memory", "facts", "adapters"):
                yield Static("", id=part, markup=False)

    def on_mount(self) -> None:
        """Listen, and look for models."""
        self.set_class(True, "-empty")
        self.hearth.sampled.subscribe(self, self._sampled)
        self.hearth.model_chosen.subscribe(self, lambda _: self.redraw())
        self.look()

    @on(Table.Resized)
    def _table_resized(self) -> None:
        self.redraw()

    # --- data -------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Look for models again."""
        self.run_worker(self._look(), group="look", exclusive=True)

    async def _look(self) -> None:
        try:
            engine = await self.hearth.connection.reached()
            self.entries = await engine.models()
        except HearthError as error:
            self.query_one("#empty", Static).update(Content(clean(f"{error.what}\n\nr looks again.")))
            raise
        self.query_one("#empty", Static).update(NOTHING)
        self.redraw()
        self.post_message(self.Looked())
        self._judge()

    def _judge(self) -> None:
        """Find out which models would fit now."""
        self.run_worker(self._ask_what_fits(), group="fits", exclusive=True)

    async def _ask_what_fits(self) -> None:
        engine = await self.hearth.connection.reached()
        with contextlib.suppress(HearthError):
            self._fits = {fit.model: fit for fit in await engine.fits()}
            self.redraw()

    def narrow(self, words: str) -> None:
        """Show what holds `words`."""
        self._words = words
        self.redraw()

    def go_to(self, model: str) -> None:
        """Highlight a model."""
        ids = [row.entry.id for row in self._rows]
        if model in ids:
            self.table.move_cursor(row=ids.index(model))

    def _sampled(self, sample: Sample) -> None:
        resident = frozenset(model.id for model in sample.loaded)
        if resident != self._resident:
            self._resident = resident
            self._estimates.clear()  # there is more or less free memory than there was
            self._judge()
        self.redraw()

    @property
    def _loaded(self) -> dict[str, LoadedModel]:
        return {model.id: model for model in self.hearth.sample.loaded}

    @property
    def row(self) -> Row | None:
        """The highlighted row."""
        place = self.table.cursor_row
        return self._rows[place] if 0 <= place < len(self._rows) else None

    # --- drawing ----------------------------------------------------------------------------------------------

    def redraw(self) -> None:
        """Show the models as they are now."""
        found = rows.rows(
            self.entries,
            self.hearth.sample.loaded,
            self.hearth.chat_model,
            words=self._words,
            sort=self._sort,
            newer=self._newer,
            fits=self._fits,
            only_fitting=self._only_fitting,
        )
        now = (found, self.table.room)
        self.set_class(not found, "-empty")
        if self.entries and not found:
            none = f"No model here fits “{plain(self._words, 40)}”.\n\nh looks for it at the hub."
            if self._only_fitting:
                none += "\n\nf shows those that do not fit into memory too."
            self.query_one("#empty", Static).update(none)
        if now != self._drawn:
            self._drawn = now
            self._fill(found)
        self._draw_card()
        self._sum_up(found)

    def _fill(self, found: list[Row]) -> None:
        before = self.row.entry.id if self.row is not None else self.hearth.chat_model
        self._rows = found
        ids = [row.entry.id for row in found]
        cells = [dict(zip(NAMES, ("", *row.cells), strict=True)) for row in found]
        self.table.fill(
            COLUMNS,
            cells,
            lambda place, name, text, width: _cell(found[place], name, text, width),
            ids.index(before) if before in ids else None,
        )

    def _draw_card(self) -> None:
        row = self.row
        if row is None:
            return
        entry, loaded = row.entry, self._loaded.get(row.entry.id)
        found = self._estimates.get(entry.id)
        self.query_one("#name", Static).update(Content(plain(entry.id)))
        facts = [
            Content.assemble((f"{label:<11}", "$muted"), value)
            for label, value in rows.card(row, self._loaded)
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
            engine = self.hearth.engine
            if any(each.id == model for each in engine.loaded()):
                return  # the next sample will show it
            found = await engine.estimate(model)
        except HearthError as error:
            found = error.info
        finally:
            if self._asked == model:
                self._asked = ""
        if resident == self._resident:
            self._estimates[model] = found
        self._draw_card()

    def _sum_up(self, found: list[Row]) -> None:
        resident = sum(row.state in RESIDENT for row in found)
        pinned = sum(row.pinned for row in found)
        parts = [f"{len(found)} of {len(self.entries)} models", f"{resident} in memory"]
        parts += [f"{pinned} pinned"] if pinned else []
        parts += ["what fits"] if self._only_fitting else []
        figures = " · ".join([*parts, f"sorted by {self._sort}"])
        if figures != self.figures:
            self.figures = figures
            self.post_message(self.Changed())

    # --- what happens -----------------------------------------------------------------------------------------

    @on(DataTable.RowHighlighted)
    def _highlighted(self) -> None:
        self._draw_card()

    @on(DataTable.RowSelected)
    async def _selected(self) -> None:
        await self.action_use()

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._sort = rows.SORTS[(rows.SORTS.index(self._sort) + 1) % len(rows.SORTS)]
        self.redraw()

    def action_fits(self) -> None:
        """Show only what fits into memory, or all."""
        self._only_fitting = not self._only_fitting
        self.redraw()

    def action_move(self, step: int) -> None:
        """Move the cursor."""
        self.table.step(step)

    def action_rescan(self) -> None:
        """Look for models again, and think anew about their memory."""
        self._estimates.clear()
        self.look()

    def action_copy_path(self) -> None:
        """Copy the path."""
        if self.row is not None:
            self.hearth.copy(clean(self.row.entry.path))

    async def action_use(self) -> None:
        """Make the chat talk to the highlighted model, and go there."""
        row = self.row
        if row is None:
            return
        if row.entry.broken:
            self.hearth.flash("This model cannot be used; the card says why.", "error")
            return
        await self.care.talk_to(row.entry.id)

    async def action_make_alias(self) -> None:
        """Make an alias of the highlighted model."""
        row = self.row
        if row is None or row.entry.broken:
            self.hearth.flash("No alias is made of a model that cannot be used.", "error")
        else:
            await self.hearth.make_alias(row.entry.id)

    def action_load(self) -> None:
        """Load the highlighted model."""
        row = self.row
        if row is None or row.entry.broken:
            self.hearth.flash("This model cannot be loaded; the card says why.", "error")
        elif row.state in ("ready", "busy", "loading"):
            self.hearth.flash(f"{row.entry.id} is {STATES[row.state][1]} already.")
        else:
            self.care.load_model(row.entry.id)

    def action_unload(self) -> None:
        """Unload the highlighted model; asks first while it answers."""
        row = self.row
        if row is None or row.state in ("", "broken"):
            self.hearth.flash("This model is not in memory.")
            return
        self.care.unload_model(row.entry.id, answers=row.state == "busy")

    def action_pin(self) -> None:
        """Keep the highlighted model in memory whatever comes, or let it go again."""
        row = self.row
        if row is None or row.state in ("", "broken", "failed"):
            self.hearth.flash("Only a model in memory can be pinned: l loads it.")
        else:
            self.care.pin_model(row.entry.id, not row.pinned)

    def action_delete(self, everything: bool = False) -> None:
        """Delete the highlighted model, or everything of its repository, after a question."""
        row = self.row
        if row is None:
            return
        # A repository of that name may lie in the hub's cache too.
        everything = everything and row.entry.source == "huggingface"
        name = rows.repository(row.entry) if everything else row.entry.id
        self.run_worker(deleting.ask(self.hearth, self.screen, name, self.look), group="delete")

    def action_newer(self, every: bool = False) -> None:
        """Ask the hub whether it has a newer revision of the highlighted model, or of any."""
        row = self.row
        if not every and (row is None or row.entry.source != "huggingface"):
            self.hearth.flash("This model did not come from the hub.")
            return
        repository = None if every or row is None else rows.repository(row.entry)
        model = "" if row is None else row.entry.id
        self.run_worker(
            newer.check(self.hearth, self.screen, repository, model, self._take_newer),
            group="newer",
            exclusive=True,
        )

    def _take_newer(self, answers: Sequence[NewRevision]) -> None:
        asked = {answer.id for answer in answers}
        self._newer = self._newer - asked | {answer.id for answer in answers if answer.newer}
        self.redraw()


def _cell(row: Row, column: str, text: str, width: int) -> Content:
    if column == "state":
        glyph, word, variable = STATES[row.state]
        return Content.assemble((f"{glyph} {word}", f"${variable}"), (" ▪" if row.pinned else "", "$accent"))
    if column == "model":
        name = cut(text, width - 2 * (row.chosen + row.newer))
        if row.entry.broken:
            return name.stylize("$muted")
        mark = ("▸ ", "$primary") if row.chosen else ("", "")
        newest = (" ↑", "$accent") if row.newer else ("", "")
        return Content.assemble(mark, name.stylize("bold") if row.chosen else name, newest)
    if column == "fit":
        glyph, word, variable = VERDICTS[row.fit.verdict if row.fit is not None else "unknown"]
        return Content.styled(f"{glyph} {word}", f"${variable}") if text else Content("")
    content = Content(text).right(width) if column in COLUMNS.right else Content(text)
    return content.stylize("$muted") if column in ("family", "source") or row.entry.broken else content
