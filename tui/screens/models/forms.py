"""The forms in which a repository can be pulled, compared in a table: size, need, whether that fits, which is best."""

from __future__ import annotations

from collections.abc import Iterable

from textual.binding import Binding
from textual.content import Content
from textual.widget import Widget

from engine.types import HubFiles, PullState, Quantisation
from tui.screens.models.fit_bar import fit_bar
from tui.screens.models.found import VERDICTS, form_cells, pulls_of
from tui.screens.models.table import Layout, Table, cut

BAR = 16
NAMES = ("quant", "size", "needs", "fit", "of free memory")
COLUMNS = Layout(
    NAMES,
    "quant",
    right=frozenset({"size", "needs"}),
    dispensable={"of free memory": 24, "needs": 10},
    fixed={"size": 8, "needs": 8, "fit": 9, "of free memory": BAR},
    most=46,
)


class FormTable(Table):
    """The table. Its pages are those of the details around it, so that the card can be read from here."""

    HELP = """The forms in which this model can be pulled. `needs` is the memory with the usual window; ★ marks what is
    best on this machine. Enter pulls the highlighted one; page up and down read the card."""
    BINDING_GROUP_TITLE = "Quantisations"
    BINDINGS = [  # noqa: RUF012
        Binding("pageup", "page(-1)", "Card up", show=False, id="forms.page_up"),
        Binding("pagedown,space", "page(1)", "Card down", show=False, id="forms.page_down"),
    ]

    def __init__(self) -> None:
        super().__init__("forms")
        self._forms: tuple[Quantisation, ...] = ()
        self._free = 0
        self._drawn: object = None

    def show(self, files: HubFiles | None, pulls: Iterable[PullState]) -> None:
        """Show the forms of `files`, with the pulls of them that go on."""
        forms = files.quantisations if files is not None else ()
        going = pulls_of(files.id, pulls) if files is not None else {}
        told = [
            form_cells(form, going.get(form.name) or (going.get("") if form.format != "gguf" else None))
            for form in forms
        ]
        now = (forms, told, self.room)
        if now == self._drawn:
            return
        self._drawn = now
        place = self._place(forms)
        self._forms, self._free = forms, files.free if files is not None else 0
        cells = [dict(zip(NAMES, (*row, ""), strict=True)) for row in told]
        self.fill(COLUMNS, cells, self._cell, place)
        self.styles.height = len(forms) + 1

    def _place(self, forms: tuple[Quantisation, ...]) -> int | None:
        """Where the cursor goes: it stays where the same forms were shown, else to the one that is best."""
        if forms and [form.name for form in forms] == [form.name for form in self._forms]:
            return self.cursor_row
        best = next((place for place, form in enumerate(forms) if form.recommended), 0)
        return best if forms else None

    @property
    def form(self) -> Quantisation | None:
        """The highlighted one."""
        return self._forms[self.cursor_row] if 0 <= self.cursor_row < len(self._forms) else None

    def _cell(self, place: int, column: str, text: str, width: int) -> Content:
        form = self._forms[place]
        if column == "quant":
            name = cut(text, width - 2)
            mark = ("★ ", "$accent") if form.recommended else ("  ", "")
            return Content.assemble(mark, name.stylize("bold") if form.recommended else name)
        if column == "fit":
            colours = {"●": "state-ready", "⇣": "state-busy"}
            return Content.styled(text, f"${colours.get(text[:1], VERDICTS[form.verdict][2])}")
        if column == "of free memory":
            if not (form.need and self._free):
                return Content("")
            return fit_bar((form.weights, max(0, form.need - form.weights)), self._free, width)
        drawn = Content(text).right(width)
        return drawn.stylize("$muted") if form.verdict == "too big" else drawn

    def action_page(self, step: int) -> None:
        """Read on in what is around the table."""
        if isinstance(around := self.parent, Widget):
            (around.scroll_page_down if step > 0 else around.scroll_page_up)()
