"""The Models workspace: what is on this machine and what the hub has, one search for both, the pulls below."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.dom import DOMNode
from textual.widget import Widget

from tui.actions import Action
from tui.chrome import Line, Part, fitted
from tui.filtered import FilteredScreen, FilterField
from tui.model_care import ModelCare
from tui.screens.models.actions import FRAME, HUB, LOCAL, PULLS
from tui.screens.models.hub import HubView
from tui.screens.models.local import LocalView
from tui.screens.models.pulls import PullList
from tui.screens.models.table import Table

SEARCHES_THE_HUB = "Search the hub: words, or org/name"


class ViewLine(Line):
    """`▌Local  Hub` and the figures of the view that is shown; a click goes there."""

    DEFAULT_CSS = """
    ViewLine { height: 1; padding: 0 2; color: $muted; }
    """

    def parts(self) -> Sequence[Part]:
        """The views, then the figures at the right."""
        screen = self.screen
        assert isinstance(screen, ModelsScreen)
        hub = screen.at_the_hub
        names = [
            Part(_tab("Local", not hub), "" if not hub else "other_view"),
            Part(Content("   ")),
            Part(_tab("Hub", hub), "other_view" if not hub else ""),
        ]
        room = self.content_region.width - sum(part.content.cell_length for part in names) - 3
        figures = Content(screen.view.figures if screen.is_mounted else "")
        if room > 10:
            figures = fitted(figures.right(room) if figures.cell_length < room else figures, room)
            names += [Part(Content("   ")), Part(figures)]
        return names


def _tab(title: str, here: bool) -> Content:
    return Content.assemble(
        ("▌" if here else " ", "$primary"), (title, "bold $primary" if here else "$muted")
    )


class ModelsScreen(FilteredScreen, ModelCare):
    """Two views: this machine's models and the hub's. The hub's is made when it is first wanted."""

    CSS_PATH = "models.tcss"
    BINDINGS = [action.binding for action in FRAME]  # noqa: RUF012
    INSPECTOR = ".beside"
    AUTO_FOCUS = "#table"
    LIST = "#table"
    FILTERS_BY = "Search by name, family, quantisation or source"

    at_the_hub = False

    def compose_workspace(self) -> ComposeResult:
        """Views, search, the view, pulls."""
        yield ViewLine()
        yield self.filter_bar()
        with Container(id="views"):
            yield LocalView()
        yield PullList()

    @property
    def local(self) -> LocalView:
        """The models of this machine."""
        return self.query_one(LocalView)

    @property
    def view(self) -> LocalView | HubView:
        """What is shown."""
        return self.query_one(HubView) if self.at_the_hub else self.local

    @property
    def filtered(self) -> Widget:
        """The list of the view that is shown."""
        return self.view.table

    def redraw(self) -> None:
        """Show what the words leave."""
        self.view.narrow(self.words)

    def pane(self, selector: str | None) -> Widget | None:
        """The pane that a selector names, looked for in the view that is shown first."""
        if selector == self.INSPECTOR:
            return next(iter(self.view.query(selector)), None)
        return super().pane(selector)

    def serves(self, action: Action) -> DOMNode | None:
        """The part that runs an action; None if it is not on screen."""
        if action in LOCAL:
            return None if self.at_the_hub else self.local
        if action in HUB:
            return self.view if self.at_the_hub else None
        if action in PULLS:
            return next((found for found in self.query(PullList) if found.display), None)
        return self

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is a way to the pulls while there are any."""
        if action == "to_pulls":
            return any(found.display for found in self.query(PullList))
        return super().check_action(action, parameters)

    # --- what happens -----------------------------------------------------------------------------------------

    @on(LocalView.Changed)
    @on(HubView.Changed)
    def _figures_changed(self) -> None:
        self.query_one(ViewLine).refresh()

    @on(LocalView.Looked)
    def _looked(self) -> None:
        for view in self.query(HubView):
            view.here_changed()

    @on(PullList.Came)
    def _came(self) -> None:
        self.local.look()

    @on(PullList.Left)
    def _pulls_left(self) -> None:
        self.view.table.focus()

    @on(HubView.Here)
    async def _wanted_here(self, event: HubView.Here) -> None:
        await self._show(hub=False)
        self.local.go_to(event.model)

    async def action_other_view(self) -> None:
        """Go to the hub, or back."""
        await self._show(hub=not self.at_the_hub)

    async def _show(self, *, hub: bool) -> None:
        if hub and not self.query(HubView):
            await self.query_one("#views").mount(HubView(lambda: self.local.entries))
        self.at_the_hub = hub
        self.set_class(hub, "-hub")
        field = self.query_one(FilterField)
        field.placeholder = SEARCHES_THE_HUB if hub else self.FILTERS_BY
        field.set_class(bool(field.value), "-open")  # words that narrow are seen
        self.query_one(ViewLine).refresh()
        self.view.narrow(self.words)
        table: Table = self.view.table
        self.call_after_refresh(table.focus)

    def action_to_pulls(self) -> None:
        """Go to the pulls, or back from them."""
        queue = self.query_one(PullList)
        (self.view.table if queue.has_focus else queue).focus()
