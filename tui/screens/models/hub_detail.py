"""What is known of a repository of the hub: facts, its forms compared, a bar of what is free, its card."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import DataTable, Static

from engine.errors import ErrorInfo
from engine.text_safety import clean, plain
from engine.types import HubCard, HubFiles, PullState, Quantisation
from tui import units
from tui.screens.models import found
from tui.screens.models.card_text import CardText
from tui.screens.models.fit_bar import fit_bar, legend
from tui.screens.models.forms import FormTable
from tui.screens.models.found import Found
from tui.screens.models.table import Table

BAR = 20


class HubDetail(VerticalScroll):
    """The details. What has not come yet is said to be on its way."""

    HELP = "The model under the cursor: what it is, in which forms it can be pulled, what its card says."
    BINDING_GROUP_TITLE = "Details"

    def __init__(self) -> None:
        super().__init__(id="hub-detail", classes="beside")
        self._shown: Found | None = None
        self._files: HubFiles | ErrorInfo | None = None
        self._card: HubCard | ErrorInfo | None = None
        self._pulls: Sequence[PullState] = ()

    def compose(self) -> ComposeResult:
        """The parts, all of them empty."""
        yield Static("", id="hub-name", markup=False)
        yield Static("", id="hub-facts", markup=False)
        yield Static("", id="hub-gate", markup=False)
        yield Static("", id="hub-files", markup=False)
        yield FormTable()
        yield Static("", id="hub-fit", markup=False)
        yield Static("", id="hub-advice", markup=False)
        yield CardText()

    @property
    def forms(self) -> FormTable:
        """The table of forms."""
        return self.query_one(FormTable)

    @property
    def form(self) -> Quantisation | None:
        """The highlighted form."""
        return self.forms.form

    def show(
        self,
        shown: Found | None,
        files: HubFiles | ErrorInfo | None,
        card: HubCard | ErrorInfo | None,
        pulls: Sequence[PullState],
    ) -> None:
        """Show a result; None for what has not come yet."""
        if shown != self._shown:
            self.scroll_home(animate=False)
        self._shown, self._files, self._card, self._pulls = shown, files, card, pulls
        self._tell("#hub-name", [Content(plain(shown.id))] if shown is not None else [])
        if shown is None or shown.model is None:
            said = [Content("This model is on this machine: enter shows it.")] if shown is not None else []
            self._tell("#hub-facts", said)
            for part in ("gate", "files", "fit", "advice"):
                self._tell(f"#hub-{part}", [])
            self.forms.display = False
            self.query_one(CardText).show("")
            return
        self._tell("#hub-facts", self._facts(shown, card))
        gate = card.gate if isinstance(card, HubCard) else ""
        self._tell("#hub-gate", [Content.assemble(("◇ ", "$text-warning"), clean(gate))] if gate else [])
        self._show_files()
        self._show_card(card)

    def _facts(self, shown: Found, card: HubCard | ErrorInfo | None) -> list[Content]:
        assert shown.model is not None
        width = self.scrollable_content_region.width or 40
        lines = [Content.styled(row, "$muted") for row in found.packed(found.facts(shown.model), width)]
        if isinstance(card, HubCard) and (made_from := found.origin(card)):
            lines.append(Content.assemble(("made from ", "$muted"), made_from))
        return lines

    def _show_files(self) -> None:
        files = self._files
        told: list[Content] = []
        if files is None:
            told = [Content.styled("… asking the hub for its files", "$muted")]
        elif isinstance(files, ErrorInfo):
            told = problem(files)
        self._tell("#hub-files", told)
        here = files if isinstance(files, HubFiles) else None
        self.forms.display = bool(here is not None and here.quantisations)
        self.forms.show(here, self._pulls)
        self._show_fit()
        if here is None:
            self._tell("#hub-advice", [])
            return
        lines = [Content.styled(found.advice(here), "$muted")]
        if here.unsafe:
            names = ", ".join(plain(name, 40) for name in here.unsafe[:3])
            lines.append(
                Content.styled(f"! Left out, since their names are not safe: {names}.", "$text-warning")
            )
        self._tell("#hub-advice", lines)

    def _show_fit(self) -> None:
        """The bar of the highlighted form."""
        form, files = self.form, self._files
        if form is None or not isinstance(files, HubFiles) or not (form.need and files.free):
            self._tell("#hub-fit", [])
            return
        # What is needed beside the weights is not told apart before the file is here: keys, values and buffers.
        parts = (form.weights, max(0, form.need - form.weights))
        share = f" {form.need / files.free:.0%} of {units.size(files.free)} free"
        self._tell(
            "#hub-fit",
            [
                Content.assemble(fit_bar(parts, files.free, BAR), share),
                legend(parts[:1]) + Content.assemble(("▓ ", "$accent"), ("KV and buffers", "$muted")),
            ],
        )

    def _show_card(self, card: HubCard | ErrorInfo | None) -> None:
        if card is None:
            text = "*… asking the hub for its card*"
        elif isinstance(card, ErrorInfo):
            text = "" if isinstance(self._files, ErrorInfo) else "*It has no card that could be read.*"
        else:
            text = card.text or "*It has no card.*"
        self.query_one(CardText).show(text)

    def _tell(self, selector: str, lines: list[Content]) -> None:
        """A part; without lines it takes no room."""
        part = self.query_one(selector, Static)
        part.display = bool(lines)
        part.update(Content("\n").join(lines))

    @on(DataTable.RowHighlighted)
    def _form_highlighted(self, event: DataTable.RowHighlighted) -> None:
        event.stop()
        self._show_fit()

    @on(Table.Resized)
    def _forms_resized(self, event: Table.Resized) -> None:
        event.stop()
        self._show_files()

    def on_resize(self) -> None:
        """Rows of facts follow the width."""
        self.show(self._shown, self._files, self._card, self._pulls)


def problem(info: ErrorInfo) -> list[Content]:
    """What went wrong, why, and what helps, a line each."""
    lines = [Content.assemble(("✗ ", "$text-error"), (clean(info.what), "bold"))]
    lines += [Content.styled(clean(info.why), "$muted")] if info.why else []
    lines += [Content(clean(info.fix))] if info.fix else []
    return lines
