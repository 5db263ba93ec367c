"""The models of the hub: filters, results, details; pulls what is chosen. Without a network, what is here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import DataTable, Static

from engine.errors import ErrorInfo, HearthError
from engine.text_safety import clean, plain
from engine.types import HubCard, HubFiles, HubPage, ModelEntry, PullRequest, PullState, Quantisation
from tui.screens.models import found
from tui.screens.models.actions import HUB
from tui.screens.models.filters import FilterLine, Filters
from tui.screens.models.found import Found
from tui.screens.models.hub_detail import HubDetail
from tui.screens.models.table import Layout, Table, cut
from tui.status import Sample

if TYPE_CHECKING:
    from tui.app import HearthApp

NAMES = ("state", "model", "params", "fit", "formats", "downloads", "likes", "updated")
COLUMNS = Layout(
    NAMES,
    "model",
    right=frozenset({"params", "downloads", "likes"}),
    dispensable={"likes": 40, "updated": 36, "formats": 36, "downloads": 28, "params": 24, "fit": 20},
    fixed={"state": 9, "fit": 9},
)
TYPED_S, RESTS_S = 0.3, 0.35
"""So long nothing is typed before the hub is asked; so long the cursor stays before it is asked for files and card."""
MOST_KEPT = 200
"""Repositories whose details are kept."""


class ResultTable(Table):
    """The table of results."""

    HELP = """Models of the hub that match the search and the filters above; those that are here come first. Enter shows
    the forms in which one can be pulled, p pulls the best for this machine. Without a network this lists what is
    here."""
    BINDING_GROUP_TITLE = "Results"


class HubView(Container):
    """Search, look, pull."""

    BINDING_GROUP_TITLE = "Hub"
    BINDINGS = [action.binding for action in HUB]  # noqa: RUF012

    class Changed(Message):
        """The line of figures reads differently."""

    class Here(Message):
        """A model of this machine is to be shown among those."""

        def __init__(self, model: str) -> None:
            super().__init__()
            self.model = model

    def __init__(self, here: Callable[[], list[ModelEntry]]) -> None:
        super().__init__(id="hub", classes="view")
        self._here = here
        """The models of this machine as far as they are known."""
        self.figures = ""
        self.filters = Filters()
        self._words = ""
        self._asked: tuple[str, Filters] | None = None
        self._page: HubPage | None = None
        self._searching = False
        self._found: list[Found] = []
        self._drawn: tuple[Any, ...] = ()
        self._files: dict[str, HubFiles | ErrorInfo] = {}
        self._cards: dict[str, HubCard | ErrorInfo] = {}
        self._looked_at = ""
        self._pulls: tuple[PullState, ...] = ()
        self._ended: frozenset[str] = frozenset()

    @property
    def hearth(self) -> HearthApp:
        """The app, by its own type."""
        return cast("HearthApp", self.app)

    @property
    def table(self) -> Table:
        """The table of results."""
        return self.query_one(ResultTable)

    @property
    def detail(self) -> HubDetail:
        """The details."""
        return self.query_one(HubDetail)

    def compose(self) -> ComposeResult:
        """Filters, results, details."""
        with Vertical(id="searched"):
            yield FilterLine(self)
            yield Static("", id="problem", markup=False)
            yield ResultTable("results")
            yield Static("… asking the hub", id="none", classes="message", markup=False)
        yield HubDetail()

    def on_mount(self) -> None:
        """Ask the hub for what is most wanted."""
        self._pulls = self.hearth.sample.pulls
        self._ended = frozenset(state.id for state in self._pulls if state.ended)
        self.hearth.sampled.subscribe(self, self._sampled)
        self._redraw()

    @on(Table.Resized)
    def _resized(self) -> None:
        self._redraw()

    # --- data -------------------------------------------------------------------------------------------------

    def narrow(self, words: str) -> None:
        """Search for `words` once nothing more is typed; what is here is shown at once."""
        words = " ".join(words.split())
        if (words, self.filters) == self._asked:
            return
        first = self._asked is None
        self._words, self._asked = words, (words, self.filters)
        self._searching = True
        self.query_one(FilterLine).show(self.filters)
        self._redraw()
        self.run_worker(
            partial(self._search, words, self.filters, 0.0 if first else TYPED_S),
            group="search",
            exclusive=True,
        )

    async def _search(self, words: str, filters: Filters, after_s: float) -> None:
        await asyncio.sleep(after_s)
        try:
            engine = await self.hearth.connection.reached()
            page = await engine.search_hub(filters.query(words))
        except HearthError as error:
            page = HubPage(problem=error.info)
        self._page, self._searching = page, False
        self._redraw()

    def _look_into(self, model: str) -> None:
        """Ask for files and card of a repository, if the cursor rests on it."""
        if model == self._looked_at:
            return
        self._looked_at = model
        for group, kept, ask in (("files", self._files, "hub_files"), ("card", self._cards, "hub_card")):
            if model and model not in kept:
                work = partial(self._ask, model, cast(dict[str, Any], kept), ask)
                self.run_worker(work, group=group, exclusive=True)
            else:
                self.workers.cancel_group(self, group)

    async def _ask(self, model: str, kept: dict[str, Any], ask: str) -> None:
        await asyncio.sleep(RESTS_S)
        engine = await self.hearth.connection.reached()
        question: Callable[[str], Awaitable[Any]] = getattr(engine, ask)
        try:
            answer = await question(model)
        except HearthError as error:
            answer = error.info
        if len(kept) >= MOST_KEPT:
            kept.clear()
        kept[model] = answer
        self._draw_detail()
        self._move_into_forms()

    def here_changed(self) -> None:
        """There are other models on this machine than there were."""
        self._redraw()

    def _sampled(self, sample: Sample) -> None:
        ended = frozenset(state.id for state in sample.pulls if state.ended)
        for state in sample.pulls:
            if state.id in ended - self._ended:
                # More of it is here than its files say; a pull may be over between two looks.
                self._files.pop(state.model.partition(":")[0].partition("@")[0], None)
                self._looked_at = ""
        if sample.pulls != self._pulls:
            self._pulls, self._ended = sample.pulls, ended
            self._draw_detail()

    # --- drawing ----------------------------------------------------------------------------------------------

    @property
    def found(self) -> Found | None:
        """The highlighted result."""
        place = self.table.cursor_row
        return self._found[place] if 0 <= place < len(self._found) else None

    def _redraw(self) -> None:
        page = self._page
        if self._searching and page is not None:
            page = found.narrowed(page, self._words)  # until there is an answer
        results = found.results(page, self._here(), self._words)
        now = (results, self.table.room)
        if now != self._drawn:
            self._drawn = now
            self._fill(results)
        self.set_class(not results, "-empty")
        self.table.show_header = bool(results)
        self._draw_problem()
        self._draw_detail()
        self._sum_up()

    def _fill(self, results: list[Found]) -> None:
        before = self.found.id if self.found is not None else ""
        self._found = results
        ids = [each.id for each in results]
        cells = [dict(zip(NAMES, each.cells, strict=True)) for each in results]
        place = ids.index(before) if before in ids else 0
        self.table.fill(COLUMNS, cells, self._cell, place if results else None)

    def _cell(self, place: int, column: str, text: str, width: int) -> Content:
        each = self._found[place]
        if column == "state":
            glyph, word, variable = each.state
            return Content.styled(f"{glyph} {word}", f"${variable}")
        if column == "fit":
            glyph, word, variable = each.fit
            return (
                Content.styled(f"{glyph} {word}", f"${variable}") if text not in ("", "–") else Content(text)
            )
        if column == "model":
            owner, slash, name = text.partition("/")
            if slash and len(owner) + 1 < width:
                return Content.assemble((owner + slash, "$muted"), cut(name, width - len(owner) - 1))
            return cut(text, width)
        content = Content(text).right(width) if column in COLUMNS.right else Content(text)
        return content.stylize("$muted") if column in ("formats", "updated") else content

    def _draw_problem(self) -> None:
        info = self._page.problem if self._page is not None and not self._searching else None
        part = self.query_one("#problem", Static)
        part.display = info is not None
        if info is not None:
            part.update(
                Content.assemble(
                    ("! ", "$text-warning"),
                    (clean(info.what), "bold"),
                    (
                        " ".join(
                            ["", clean(info.why), clean(info.fix), "Shown is what is here; r asks again."]
                        )
                    ),
                )
            )
        none = "Nothing at the hub fits this search.\n\nf m t z turn the filters, / changes the words."
        if "/" in self._words:
            none += f"\np pulls {plain(self._words, 60)} by that name."
        if self._searching:
            none = "… asking the hub"
        elif info is not None:
            none = "And nothing on this machine fits this search."
        self.query_one("#none", Static).update(none)

    def _draw_detail(self) -> None:
        shown = self.found
        model = shown.id if shown is not None and shown.model is not None else ""
        self._look_into(model)
        pulls = self.hearth.sample.pulls
        self.detail.show(shown, self._files.get(model), self._cards.get(model), pulls)

    def _sum_up(self) -> None:
        hub = sum(each.model is not None for each in self._found)
        here = len(self._found) - hub
        parts = ["asking the hub …"] if self._searching else [f"{hub} at the hub"]
        if not self._searching and self._page is not None and self._page.problem is not None:
            parts = ["without the hub"]
        parts += [f"{here} here"] if here else []
        figures = " · ".join(parts)
        if figures != self.figures:
            self.figures = figures
            self.post_message(self.Changed())

    # --- what happens -----------------------------------------------------------------------------------------

    @property
    def _inside(self) -> bool:
        """Whether the details have the focus."""
        focused = self.screen.focused
        return focused is not None and self.detail in focused.ancestors_with_self

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is a way back from the details alone."""
        return self._inside if action == "back" else True

    @on(DataTable.RowHighlighted)
    def _highlighted(self) -> None:
        self._draw_detail()

    @on(DataTable.RowSelected)
    def _selected(self) -> None:
        self.action_open()

    def action_open(self) -> None:
        """Go into the details; there, pull what is highlighted."""
        shown = self.found
        if shown is None:
            return
        if shown.model is None:
            self.post_message(self.Here(shown.id))
        elif self._inside:
            self.action_pull()
        else:
            self.add_class("-opened")
            self.detail.display = True
            forms = self.detail.forms
            (forms if forms.display else self.detail).focus(scroll_visible=False)

    def _move_into_forms(self) -> None:
        """The focus goes on to the forms once there are some."""
        if self.screen.focused is self.detail and self.detail.forms.display:
            self.detail.forms.focus(scroll_visible=False)

    def action_back(self) -> None:
        """Go back to the results."""
        self.remove_class("-opened")
        self.table.focus()

    def action_pull(self) -> None:
        """Pull the highlighted form, or the best one where the cursor is on a result; asks first if it is too big."""
        shown = self.found
        if shown is None and "/" in self._words:
            self._pull(self._words, None)
        if shown is None:
            return
        if shown.model is None:
            self.hearth.flash("That is on this machine already.")
            return
        files = self._files.get(shown.id)
        forms = files.quantisations if isinstance(files, HubFiles) else ()
        best = next((form for form in forms if form.recommended), None)
        form = self.detail.form if self._inside else best
        if form is not None and form.size and form.present >= form.size:
            self.hearth.flash(f"{plain(form.name, 40)} is here already.")
        elif form is not None and form.verdict == "too big":
            from tui.confirm import Confirm

            self.app.push_screen(
                Confirm(
                    f"Pull {plain(form.name, 60)} all the same?",
                    "It does not fit into the memory that is free on this machine.",
                ),
                lambda sure: self._pull(shown.id, form) if sure else None,
            )
        else:
            self._pull(shown.id, form)

    def _pull(self, model: str, form: Quantisation | None) -> None:
        request = PullRequest(model=model, quantisation=form.name if form is not None else None)
        self.run_worker(self._queue(request), group="pull")
        self.hearth.flash(f"{model}{f' {form.name}' if form is not None else ''} is in the queue.")

    async def _queue(self, request: PullRequest) -> None:
        (await self.hearth.connection.reached()).pull(request)

    def action_turn(self, field: str) -> None:
        """The next choice of a filter."""
        self.filters = self.filters.turned(field)
        self.narrow(self._words)

    def action_again(self) -> None:
        """Ask the hub again."""
        self._asked = None
        self._files.clear()
        self._cards.clear()
        self._looked_at = ""
        self.narrow(self._words)

    def action_copy_name(self) -> None:
        """Copy the name of the highlighted result, and of the form where the details have the focus."""
        if self.found is not None:
            form = self.detail.form if self._inside else None
            quantisation = f":{form.name}" if form is not None and form.format == "gguf" else ""
            self.hearth.copy(clean(self.found.id + quantisation))

    def action_move(self, step: int) -> None:
        """Move the cursor, of the forms where they have the focus."""
        (self.detail.forms if self._inside else self.table).step(step)
