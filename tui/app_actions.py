"""What the app's own keys do: the methods behind `APP_ACTIONS`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from textual import events
from textual.app import App
from textual.widget import Widget

from tui.flash import withdraw
from tui.workspace_screen import WorkspaceScreen

if TYPE_CHECKING:
    from tui.app import HearthApp

QUIT_AGAIN_S = 3.0
"""Within this time a second ctrl+c leaves."""

ALLOWED_UNDER_DIALOGUE = frozenset({"quit", "copy_or_quit"})

GOES_TO = {
    "show_logs": "logs",
    "show_settings": "settings",
    "show_pulls": "models",
    "show_server": "server",
    "make_alias": "aliases",
}
"""Actions that need a workspace."""


class AppActions(App[None], inherit_bindings=False):
    """The actions, for `HearthApp` to inherit. Dialogues are imported when they are first opened."""

    _quit_asked_at = float("-inf")
    _quit_said = ""

    @property
    def hearth(self) -> HearthApp:
        """This app, by its own type."""
        return cast("HearthApp", self)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing of the app's own works under a dialogue but leaving; panes that are not there have no key."""
        screen = self.screen
        if self.hearth.only_frame:
            return action == "quit"
        if screen.is_modal:
            return action in ALLOWED_UNDER_DIALOGUE or not hasattr(type(self), f"action_{action}")
        if action == "inspector":
            return isinstance(screen, WorkspaceScreen) and screen.pane(screen.INSPECTOR) is not None
        if action == "workspace":
            return isinstance(parameters[0], int) and 1 <= parameters[0] <= len(self.hearth.workspaces)
        if action in GOES_TO:
            name = GOES_TO[action]
            return any(workspace.name == name for workspace in self.hearth.workspaces)
        return True

    def action_workspace(self, digit: int) -> None:
        """Go to the workspace of that place."""
        self.switch_mode(self.hearth.workspaces[digit - 1].name)

    def action_show_logs(self) -> None:
        """Go to the logs, or back from them."""
        self.switch_mode("logs" if self.current_mode != "logs" else self.hearth.workspaces[0].name)

    def action_show_settings(self) -> None:
        """Go to the settings, or back from them."""
        self.switch_mode("settings" if self.current_mode != "settings" else self.hearth.workspaces[0].name)

    async def action_show_pulls(self) -> None:
        """Go to the pulls."""
        await self.switch_mode("models")
        for queue in self.screen.query("#pulls"):
            queue.focus()

    async def action_make_alias(self) -> None:
        """Make an alias of the model that the chat talks to."""
        await self.hearth.make_alias(self.hearth.chat_model)

    def action_show_server(self) -> None:
        """Go to the server, or back from it."""
        self.switch_mode("server" if self.current_mode != "server" else self.hearth.workspaces[0].name)

    def action_leader(self) -> None:
        """Wait for the digit of a workspace."""
        from tui.leader import Leader

        self.push_screen(
            Leader(self.hearth.workspaces), lambda name: self.switch_mode(name) if name else None
        )

    def action_help(self) -> None:
        """Show the keys that work here."""
        from tui.help import HelpScreen, gather

        self.push_screen(HelpScreen(gather(self.hearth)))

    def action_jump(self) -> None:
        """Put letters over the panes."""
        from tui.jump import JumpOverlay, targets

        found = targets(self.screen)

        def go(widget: Widget | None) -> None:
            if widget is not None:
                self.screen.set_focus(widget)

        if found:
            self.push_screen(JumpOverlay(found), go)
        else:
            self.hearth.flash("Nothing here takes the focus.")

    def action_pick_theme(self) -> None:
        """Choose a theme, seeing each at once."""
        from tui.theme_picker import ThemePicker

        self.push_screen(ThemePicker(self.theme), lambda name: self.hearth.keep_theme(name) if name else None)

    def action_pick_model(self) -> None:
        """Choose the model for chat."""
        from tui.picker import ModelPicker

        self.push_screen(
            ModelPicker(self.hearth.chat_model), lambda name: self.hearth.choose_model(name) if name else None
        )

    def action_sidebar(self) -> None:
        """Show or hide the sidebar, or the rail where there is none."""
        screen = self.screen
        if isinstance(screen, WorkspaceScreen):
            pane = screen.pane(screen.SIDEBAR)
            if pane is not None:
                pane.display = not pane.display
                screen.sidebar_switched(pane)
            elif (rail := screen.pane("Rail")) is not None:
                rail.toggle_class("-off")

    def action_inspector(self) -> None:
        """Show or hide the inspector."""
        screen = self.screen
        if isinstance(screen, WorkspaceScreen) and (pane := screen.pane(screen.INSPECTOR)) is not None:
            pane.display = not pane.display

    def action_footer(self) -> None:
        """Show or hide the keys line."""
        self.hearth.footer_shown = not self.hearth.footer_shown
        for line in self.screen.query("KeysLine"):
            line.set_class(not self.hearth.footer_shown, "-off")

    def action_save_screenshot(self) -> None:
        """Save a picture where Textual puts them."""
        self.deliver_screenshot()

    async def action_quit(self) -> None:
        """Leave; where something would be lost, ask first."""
        from tui.leaving import leave

        leave(self.hearth)

    async def action_copy_or_quit(self) -> None:
        """Ask for a second press, which leaves. What is selected is copied before it comes to this."""
        now = asyncio.get_running_loop().time()
        if now - self._quit_asked_at < QUIT_AGAIN_S:
            await self.action_quit()
            return
        self._quit_asked_at = now
        key = next(iter(self._quit_keys()), "that key")
        self._quit_said = f"Press {key} again to quit"
        self.hearth.flash(self._quit_said, "warning", QUIT_AGAIN_S)

    def withdraw_quit(self, event: events.Event) -> None:
        """Forget the first press, and what was said about it, unless `event` is the second."""
        if not self._quit_said or (isinstance(event, events.Key) and event.key in self._quit_keys()):
            return
        for screen in self.screen_stack:
            withdraw(screen, self._quit_said)
        self._quit_said, self._quit_asked_at = "", float("-inf")

    def _quit_keys(self) -> list[str]:
        """The keys that leave when pressed twice, even where a widget takes them first."""
        return [
            key
            for node, held in self.screen._binding_chain
            if node is self
            for key, found in held.key_to_bindings.items()
            for binding in found
            if binding.id == "app.copy"
        ]
