"""The one registry of what a person can do: keys, footer, palette, help and the keymap file all read it.

An action is data. Its `method` is looked up, in Textual's way, on the node that holds its binding: the app for the
scope `app`, the workspace's screen for the scope of that name, a widget for a dotted scope such as `chat.prompt`.
A workspace lists its actions in `tui/screens/<name>/actions.py` as `ACTIONS`, which imports nothing but this module,
so that the keymap file can be checked before any screen is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct
from textual.binding import Binding


class Action(Struct, frozen=True):
    """One thing to do. `name` (`scope.verb`) is stable: keymap files hold it."""

    name: str
    method: str
    """Textual action: the part of an `action_…` method's name, arguments in parentheses."""
    description: str
    """One or two words for the footer."""
    keys: tuple[str, ...] = ()
    """Default keys in Textual's names; empty: palette only."""
    title: str = ""
    """What the palette shows; empty: not offered there."""
    show: bool = False
    """Whether the footer shows it."""
    priority: bool = False
    """Whether it wins over the focused widget, so that it works in prompts too."""

    @property
    def scope(self) -> str:
        """Where it holds: `app`, a workspace, or a part of one."""
        return self.name.rpartition(".")[0]

    @property
    def binding(self) -> Binding:
        """The key binding that the keymap finds by the action's name."""
        return Binding(
            ",".join(self.keys),
            self.method,
            self.description,
            show=self.show,
            priority=self.priority,
            tooltip=self.title or self.description,
            id=self.name,
        )


def bindings(actions: Iterable[Action], scope: str) -> list[Binding]:
    """The `BINDINGS` of the node that serves `scope`."""
    return [action.binding for action in actions if action.scope == scope and action.keys]


class ActionRegistry:
    """All actions by name. Raises ValueError when a name is given twice."""

    def __init__(self, actions: Iterable[Action]) -> None:
        self._actions: dict[str, Action] = {}
        for action in actions:
            if action.name in self._actions:
                raise ValueError(f"The action {action.name} is listed twice.")
            self._actions[action.name] = action

    def __iter__(self) -> Iterator[Action]:
        return iter(self._actions.values())

    def __contains__(self, name: object) -> bool:
        return name in self._actions

    def get(self, name: str | None) -> Action | None:
        """The action of that name, if there is one."""
        return self._actions.get(name) if name is not None else None


def workspace_actions(most: int = 10) -> Iterator[Action]:
    """The switches to the first `most` workspaces: alt+digit, the tenth by 0; F2 to F9 (ctrl+g, digit: the leader)."""
    for place in range(1, most + 1):
        yield Action(
            f"app.workspace_{place}",
            f"workspace({place})",
            f"Workspace {place}",
            # F10 is the terminal's own in many.
            (f"alt+{place % 10}", *([f"f{place + 1}"] if place < 9 else [])),
            priority=True,
        )


APP_ACTIONS: tuple[Action, ...] = (
    Action(
        "app.help", "help", "Help", ("f1",), "Help: keys and what has the focus", show=True, priority=True
    ),
    Action("app.help_typed", "help", "Help", ("question_mark",)),
    Action("app.palette", "command_palette", "Palette", ("ctrl+p",), show=True, priority=True),
    Action(
        "app.model", "pick_model", "Model", ("ctrl+k",), "Choose the model for chat", show=True, priority=True
    ),
    Action("app.leader", "leader", "Go to", ("ctrl+g",), "Go to a workspace", show=True, priority=True),
    Action("app.jump", "jump", "Jump", ("ctrl+o",), "Jump to a pane by letter", priority=True),
    Action("app.sidebar", "sidebar", "Sidebar", ("ctrl+b",), "Show or hide the sidebar", priority=True),
    Action(
        "app.inspector", "inspector", "Inspector", ("ctrl+e",), "Show or hide the inspector", priority=True
    ),
    Action(
        "app.theme", "pick_theme", "Theme", ("ctrl+t",), "Choose a theme with live preview", priority=True
    ),
    Action("app.logs", "show_logs", "Logs", ("ctrl+l",), "Show the logs", priority=True),
    Action("app.settings", "show_settings", "Settings", ("comma",), "Open the settings"),
    Action("app.server", "show_server", "Server", (), "Show the server: on, off, and who asks"),
    Action("app.pulls", "show_pulls", "Pulls", (), "Show the pulls from the hub"),
    Action("app.alias", "make_alias", "Alias", (), "Make an alias of the chat's model"),
    Action("app.footer", "footer", "Keys line", (), "Show or hide the keys at the bottom"),
    Action("app.screenshot", "save_screenshot", "Screenshot", (), "Save a picture of the screen (SVG)"),
    Action("app.copy", "copy_or_quit", "Copy", ("ctrl+c", "super+c")),
    Action("app.quit", "quit", "Quit", ("ctrl+q",), "Leave Hearth", show=True, priority=True),
    *workspace_actions(),
)
