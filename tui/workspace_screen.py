"""The screen that every workspace derives from: the frame, and room inside it for the workspace's own panes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.dom import DOMNode
from textual.widget import Widget

from engine.settings import Settings
from tui.actions import Action
from tui.base import BaseScreen
from tui.chrome import Header, KeysLine, Rail, StatusBar

if TYPE_CHECKING:
    from tui.app import HearthApp


class WorkspaceScreen(BaseScreen):
    """A workspace. Subclasses write `compose_workspace` and, if they have such panes, name them below."""

    DEFAULT_CSS = """
    WorkspaceScreen { background: $background; color: $foreground; }
    WorkspaceScreen > #frame { height: 1fr; }
    WorkspaceScreen #workspace { width: 1fr; height: 1fr; }
    """
    SIDEBAR: ClassVar[str | None] = None
    """Selector of the pane that ctrl+b shows and hides; None: the rail."""
    INSPECTOR: ClassVar[str | None] = None
    """Selector of the pane that ctrl+e shows and hides; None: there is none."""

    @property
    def hearth(self) -> HearthApp:
        """The app, by its own type."""
        return cast("HearthApp", self.app)

    def on_mount(self) -> None:
        """Follow the settings."""
        self.hearth.opened.append(self)
        self.hearth.settings_changed.subscribe(self, self._follow_settings)

    def _follow_settings(self, settings: Settings) -> None:
        if settings.ui.rail != self._rail_set:
            self._rail_set = settings.ui.rail
            for rail in self.query(Rail):
                rail.set_class(not settings.ui.rail, "-off")
        for line in self.query(KeysLine):
            line.set_class(not self.hearth.footer_shown, "-off")

    def compose(self) -> ComposeResult:
        """The frame around `compose_workspace`."""
        ui = self.hearth.settings.ui
        self._rail_set = ui.rail
        yield Header()
        with Horizontal(id="frame"):
            rail = Rail()
            rail.set_class(not ui.rail, "-off")
            yield rail
            with Vertical(id="workspace"):
                yield from self.compose_workspace()
        yield StatusBar()
        keys = KeysLine()
        keys.set_class(not self.hearth.footer_shown, "-off")
        yield keys

    @property
    def unsaved(self) -> list[str]:
        """Names of what would be lost if Hearth ended now."""
        return []

    async def save_all(self) -> bool:
        """Save it; whether all of it is."""
        return True

    def forget_unsaved(self) -> None:
        """Let it be lost."""

    if TYPE_CHECKING:

        def compose_workspace(self) -> ComposeResult:
            """The panes."""
            ...

    def serves(self, action: Action) -> DOMNode | None:
        """The node that runs an action of this workspace; None where it cannot be run now."""
        return self

    def on_screen_resume(self) -> None:
        """Come back with what changed meanwhile."""
        if self.is_mounted:
            for line in self.query(KeysLine):
                line.set_class(not self.hearth.footer_shown, "-off")
            self.refresh_chrome()

    def refresh_chrome(self) -> None:
        """Draw header, rail and status bar again."""
        for kind in (Header, Rail, StatusBar):
            for line in self.query(kind):
                line.refresh()

    def pane(self, selector: str | None) -> Widget | None:
        """The pane that a selector names, if this workspace has it."""
        found = self.query(selector) if selector else ()
        return next(iter(found), None)

    def sidebar_switched(self, pane: Widget) -> None:
        """The sidebar was shown or hidden: a list that can be walked takes the focus."""
        if pane.display and pane.can_focus:
            pane.focus()

    def action_copy_text(self) -> None:
        """Copy what the mouse selected, to the system's clipboard where there is one."""
        selection = self.get_selected_text()
        if selection is None:
            from textual.actions import SkipAction

            raise SkipAction
        lines = "\n".join(line.rstrip() for line in selection.splitlines())
        self.hearth.copy(lines)
