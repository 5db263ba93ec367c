"""A workspace with a filter above its list: `/` opens it, enter goes to the list, escape shows everything again."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from tui.workspace_screen import WorkspaceScreen


class FilterField(Input):
    """The filter: down leads to the list, like enter."""

    BINDINGS = [Binding("down", "to_list", "To the list", show=False, id="filter.to_list")]  # noqa: RUF012

    class Left(Message):
        """The list is wanted."""

    def action_to_list(self) -> None:
        """Say so."""
        self.post_message(self.Left())


class FilteredScreen(WorkspaceScreen):
    """Subclasses yield `filter_bar()` above their list, name that list, and draw by `words`."""

    DEFAULT_CSS = """
    FilteredScreen #filter {
        display: none; margin: 0 1;
        &.-open { display: block; }
    }
    """
    LIST: ClassVar[str]
    """Selector of what is filtered."""
    FILTERS_BY: ClassVar[str]
    """What the empty filter says: what its words are looked for in."""

    def filter_bar(self) -> Input:
        """The filter, closed."""
        return FilterField(placeholder=self.FILTERS_BY, id="filter", classes="filter")

    @property
    def filtered(self) -> Widget:
        """What is filtered."""
        return self.query_one(self.LIST)

    @property
    def words(self) -> str:
        """What is written in the filter."""
        return self.query_one("#filter", Input).value

    if TYPE_CHECKING:

        def redraw(self) -> None:
            """Show what the words leave."""
            ...

    @on(Input.Changed, "#filter")
    def _filter_typed(self) -> None:
        self.redraw()

    @on(Input.Submitted, "#filter")
    @on(FilterField.Left)
    def _filter_submitted(self) -> None:
        self.filtered.focus()

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
        self.filtered.focus()
