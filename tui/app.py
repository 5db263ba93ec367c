"""The workstation: one Textual app whose modes are the workspaces. Wiring only; panes and pickers live elsewhere."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual.actions import SkipAction
from textual.app import App
from textual.binding import Binding
from textual.signal import Signal
from textual.widget import Widget
from textual.worker import WorkerFailed

from engine import Engine
from engine import paths as places
from engine.errors import HearthError
from engine.settings import Settings
from tui import keymap, state, themes
from tui.actions import APP_ACTIONS, ActionRegistry, bindings
from tui.compat import copy_text, install_mouse_report_filter
from tui.connection import Connection
from tui.flash import Kind, flash
from tui.sampler import Sampler
from tui.status import ChatStatus, Sample
from tui.workspace_screen import WorkspaceScreen
from tui.workspaces import WORKSPACES, Workspace, registry

QUIT_AGAIN_S = 2.0
THEME_WATCH_S = 1.0


def _palette_providers() -> Any:
    from tui.palette import HearthCommands

    return HearthCommands


class HearthApp(App[None], inherit_bindings=False):
    """The app. `engine` may be a function that makes one; it then runs in a thread, behind the first frame."""

    TITLE = "Hearth"
    CSS_PATH = Path(__file__).with_name("hearth.tcss")  # absolute: found from a subclass too
    BINDINGS: ClassVar[list[Any]] = bindings(APP_ACTIONS, "app")
    COMMANDS: ClassVar[set[Any]] = {_palette_providers}
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide"), (150, "-broad")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]  # noqa: RUF012
    ALLOWED_UNDER_MODAL = frozenset({"quit", "copy_or_quit"})

    def __init__(
        self,
        engine: Engine | Callable[[], Engine],
        settings: Settings,
        *,
        paths: places.Paths | None = None,
        config: Path | None = None,
        workspaces: Sequence[Workspace] = WORKSPACES,
    ) -> None:
        self.workspaces = tuple(workspaces)
        self.DEFAULT_MODE = self.workspaces[0].name  # type: ignore[misc]  # the first workspace, not a blank one
        super().__init__()
        for workspace in self.workspaces:
            self.add_mode(workspace.name, workspace.load)
        self.settings = settings
        self.config_path = config
        """The settings file named on the command line, if one was."""
        self.paths = paths or places.resolve()
        self.connection = Connection(engine)
        self.sample = Sample()
        self.chat_status = ChatStatus()
        self.footer_shown = settings.ui.footer
        self.sampled: Signal[Sample] = Signal(self, "sampled")
        """Published when a new sample differs from the last."""
        self.model_chosen: Signal[str] = Signal(self, "model_chosen")
        """Published when another model is chosen for chat."""
        self._state_path = self.paths.state / "ui.json"
        self._state = state.load(self._state_path)
        self._quit_asked_at = -QUIT_AGAIN_S
        self._actions: ActionRegistry | None = None
        self.library = themes.ThemeLibrary((themes.BUILTIN, self.paths.themes))
        self.use_theme(self._state.theme or settings.ui.theme)
        if settings.ui.animation != "full":
            self.animation_level = settings.ui.animation

    # --- start and end ----------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Arrange to leave well, and put everything slow behind the first frame."""
        install_mouse_report_filter()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            with suppress(
                NotImplementedError, RuntimeError, ValueError
            ):  # only the main thread may; tests are not
                loop.add_signal_handler(number, partial(self.exit, return_code=128 + number))
        self.call_after_refresh(self._after_first_frame)

    def _after_first_frame(self) -> None:
        gc.collect()
        gc.freeze()
        self.run_worker(Sampler(self.connection).run(self._take_sample), name="sampler", group="shell")
        self.run_worker(self._start_engine, name="engine", group="shell", thread=True)
        self._apply_keymap()
        self._register_themes()
        self.set_interval(THEME_WATCH_S, self._reload_changed_themes)

    def _start_engine(self) -> None:
        self.connection.get()

    def _take_sample(self, sample: Sample) -> None:
        self.sample = sample
        self.sampled.publish(sample)

    def _handle_exception(self, error: Exception) -> None:
        """Show what a worker died of instead of dying with it; anything else is fatal as in Textual."""
        if isinstance(error, WorkerFailed) and isinstance(cause := error.__cause__ or error.error, Exception):
            self.show_error(cause)
        else:
            super()._handle_exception(error)

    async def run_action(self, *arguments: Any, **named: Any) -> bool:
        """Run an action; what it raises is shown."""
        try:
            return await super().run_action(*arguments, **named)
        except SkipAction:
            raise
        except Exception as error:
            self.show_error(error)
            return True

    # --- what screens use -------------------------------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        """The engine; waits for it when it is still starting, raises why it could not."""
        return self.connection.get()

    @property
    def workspace(self) -> Workspace:
        """The workspace on screen."""
        return next(workspace for workspace in self.workspaces if workspace.name == self.current_mode)

    @property
    def actions(self) -> ActionRegistry:
        """All actions of the app and its workspaces."""
        if self._actions is None:
            self._actions = registry(self.workspaces)
        return self._actions

    @property
    def chat_model(self) -> str:
        """The model that new chats talk to."""
        return self._state.model or self.settings.models.default

    def choose_model(self, model: str) -> None:
        """Talk to `model` from now on, in this run and the next."""
        self._remember(model=model)
        self.model_chosen.publish(model)
        self._refresh_chrome()

    def show_chat_status(self, status: ChatStatus) -> None:
        """Tell header and status bar. Cheap: figures are drawn at the next sample, changes of state at once."""
        before, self.chat_status = self.chat_status, status
        if (before.model, before.title, before.branch, before.follow) != (
            status.model,
            status.title,
            status.branch,
            status.follow,
        ):
            self._refresh_chrome()

    def flash(self, text: str, kind: Kind = "info") -> None:
        """Say something in passing, for a few seconds in the place of the keys line."""
        flash(self.screen, text, kind)

    def show_error(self, error: Exception) -> None:
        """Show an error with its cause and remedy in a dialogue of its own."""
        from tui.errors import ErrorDialogue, described

        info = described(error)
        open_already = (screen.info for screen in self.screen_stack if isinstance(screen, ErrorDialogue))
        if info not in open_already:
            self.push_screen(ErrorDialogue(info))

    def copy(self, text: str) -> None:
        """Copy `text` to the clipboard, and say so."""
        self.run_worker(self._copy(text), group="copy")

    async def _copy(self, text: str) -> None:
        way = await asyncio.to_thread(copy_text, self, text)
        count = f"{len(text)} character{'' if len(text) == 1 else 's'}"
        if way == "nowhere":
            self.flash("Nothing copied: there is no clipboard here.", "warning")
        else:
            self.flash(f"Copied {count}" + (" through the terminal." if way == "terminal" else "."))

    # --- themes, keymap, state --------------------------------------------------------------------------------

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Hearth's own variables, for themes that are not Hearth's."""
        return themes.fallback_variables()

    def use_theme(self, name: str) -> bool:
        """Switch to the theme of that name without remembering it; False when there is none."""
        theme = self.library.load(name) or (self.get_theme(name) if name in self.available_themes else None)
        found = theme is not None
        theme = theme or self.library.load(themes.DEFAULT)
        assert theme is not None, "the default theme is part of Hearth"
        self.register_theme(theme)
        self.theme = theme.name
        return found

    def keep_theme(self, name: str) -> None:
        """Switch to a theme for this run and the next."""
        self.use_theme(name)
        self._remember(theme=name)

    def _register_themes(self) -> None:
        wanted = self._state.theme or self.settings.ui.theme
        for theme in self.library.load_all().values():
            self.register_theme(theme)
        self.library.remember()
        problems = [f"{path.name}: {problem}" for path, problem in self.library.problems.items()]
        if wanted != self.theme:
            problems.append(f"There is no usable theme {wanted!r}; {self.theme} is used.")
        if problems:
            self.notify("\n".join(problems), title="Themes", severity="warning", timeout=12, markup=False)

    def _reload_changed_themes(self) -> None:
        if self.library.changed():
            current = self.theme
            self._register_themes()
            self.use_theme(current)
            self.refresh_css(animate=False)

    def _apply_keymap(self) -> None:
        path = Path(self.settings.ui.keymap) if self.settings.ui.keymap else self.paths.keymap_file
        if self.settings.ui.keymap is None and not path.exists():
            return
        found = keymap.load(path, self.actions)
        if found.keys:
            self.set_keymap(found.keys)
        if found.problems:
            self.notify(
                "\n".join(found.problems),
                title=f"Keymap {path.name}",
                severity="warning",
                timeout=12,
                markup=False,
            )

    def _remember(self, **changes: str) -> None:
        for name, value in changes.items():
            setattr(self._state, name, value)
        try:
            state.save(self._state_path, self._state)
        except HearthError as error:
            self.flash(error.info.sentence(), "warning")
        except OSError as error:
            self.flash(f"The choice is not remembered: {error.strerror or error}.", "warning")

    def _refresh_chrome(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, WorkspaceScreen):
                screen.refresh_chrome()

    # --- actions ----------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing of the app's own works under a dialogue but leaving; panes that are not there have no key."""
        screen = self.screen
        if screen.is_modal:
            return action in self.ALLOWED_UNDER_MODAL or not hasattr(type(self), f"action_{action}")
        if action == "inspector":
            return isinstance(screen, WorkspaceScreen) and screen.pane(screen.INSPECTOR) is not None
        if action == "workspace":
            return isinstance(parameters[0], int) and 1 <= parameters[0] <= len(self.workspaces)
        if action == "show_logs":
            return any(workspace.name == "logs" for workspace in self.workspaces)
        return True

    def action_workspace(self, digit: int) -> None:
        """Go to the workspace of that place."""
        self.switch_mode(self.workspaces[digit - 1].name)

    def action_show_logs(self) -> None:
        """Go to the logs, or back from them."""
        self.switch_mode("logs" if self.current_mode != "logs" else self.workspaces[0].name)

    def action_leader(self) -> None:
        """Wait for the digit of a workspace."""
        from tui.leader import Leader

        self.push_screen(Leader(self.workspaces), lambda name: self.switch_mode(name) if name else None)

    def action_help(self) -> None:
        """Show the keys that work here."""
        from tui.help import HelpScreen, gather

        self.push_screen(HelpScreen(gather(self)))

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
            self.flash("Nothing here takes the focus.")

    def action_pick_theme(self) -> None:
        """Choose a theme, seeing each at once."""
        from tui.theme_picker import ThemePicker

        self.push_screen(ThemePicker(self.theme), lambda name: self.keep_theme(name) if name else None)

    def action_pick_model(self) -> None:
        """Choose the model for chat."""
        from tui.picker import ModelPicker

        self.push_screen(ModelPicker(self.chat_model), lambda name: self.choose_model(name) if name else None)

    def action_sidebar(self) -> None:
        """Show or hide the sidebar, or the rail where there is none."""
        screen = self.screen
        if isinstance(screen, WorkspaceScreen):
            pane = screen.pane(screen.SIDEBAR)
            if pane is not None:
                pane.display = not pane.display
            elif (rail := screen.pane("Rail")) is not None:
                rail.toggle_class("-off")

    def action_inspector(self) -> None:
        """Show or hide the inspector."""
        screen = self.screen
        if isinstance(screen, WorkspaceScreen) and (pane := screen.pane(screen.INSPECTOR)) is not None:
            pane.display = not pane.display

    def action_footer(self) -> None:
        """Show or hide the keys line."""
        self.footer_shown = not self.footer_shown
        for line in self.screen.query("KeysLine"):
            line.set_class(not self.footer_shown, "-off")

    def action_save_screenshot(self) -> None:
        """Save a picture where Textual puts them."""
        self.deliver_screenshot()

    def action_copy_or_quit(self) -> None:
        """Copy what is selected; with nothing selected the second press within two seconds leaves."""
        now = asyncio.get_running_loop().time()
        if now - self._quit_asked_at < QUIT_AGAIN_S:
            self.exit()
            return
        self._quit_asked_at = now
        self.flash(f"Press {self._key('app.copy')} again to quit", "warning")

    def _key(self, name: str) -> str:
        binding = next(
            (active.binding for active in self.screen.active_bindings.values() if active.binding.id == name),
            None,
        )
        return self.get_key_display(binding) if isinstance(binding, Binding) else "that key"
