"""Which workspaces there are and where their screens live; importing this imports none of them.

A workspace is listed here when it works. Its place gives its digit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from msgspec import Struct

from tui.actions import APP_ACTIONS, Action, ActionRegistry

if TYPE_CHECKING:
    from textual.screen import Screen


class Workspace(Struct, frozen=True):
    """A full-screen place with one task."""

    name: str
    """Also Textual's mode and the scope of its actions."""
    title: str
    icon: str
    """One cell wide."""
    purpose: str
    """One line for palette and help."""
    screen: str
    """`module:class`, imported when the workspace is first shown; the class takes no arguments."""
    actions: str = ""
    """Module whose `ACTIONS` lists what can be done there; empty: nothing of its own."""

    def load(self) -> Screen[None]:
        """Import the screen and make one."""
        module, _, name = self.screen.partition(":")
        screen: Screen[None] = getattr(import_module(module), name)()
        return screen

    def own_actions(self) -> Iterator[Action]:
        """The actions it lists."""
        if self.actions:
            yield from import_module(self.actions).ACTIONS


WORKSPACES: tuple[Workspace, ...] = (
    Workspace(
        "chat",
        "Chat",
        "▸",
        "Talk with a model",
        "tui.screens.chat.screen:ChatScreen",
        "tui.screens.chat.actions",
    ),
    Workspace(
        "models",
        "Models",
        "◆",
        "Every model this machine can run",
        "tui.screens.models.screen:ModelsScreen",
        "tui.screens.models.actions",
    ),
    Workspace(
        "aliases",
        "Aliases",
        "≈",
        "Models set up your way, under names of your own",
        "tui.screens.aliases.screen:AliasesScreen",
        "tui.screens.aliases.actions",
    ),
    Workspace(
        "hardware",
        "Hardware",
        "▥",
        "What the machine does, and the models on it",
        "tui.screens.hardware.screen:HardwareScreen",
        "tui.screens.hardware.actions",
    ),
    Workspace(
        "jobs",
        "Jobs",
        "⋮",
        "What is to be done, and what came of it",
        "tui.screens.jobs.screen:JobsScreen",
        "tui.screens.jobs.actions",
    ),
    Workspace(
        "evals",
        "Evals",
        "≷",
        "Is one better than another, and faster? Runs, benches, the arena",
        "tui.screens.evals.screen:EvalsScreen",
        "tui.screens.evals.actions",
    ),
    Workspace(
        "server",
        "Server",
        "⇌",
        "Lend the models to other programs, and see who asks",
        "tui.screens.server.screen:ServerScreen",
        "tui.screens.server.actions",
    ),
    Workspace(
        "metrics",
        "Metrics",
        "∿",
        "How much was asked, how fast it was answered, and where the time went",
        "tui.screens.metrics.screen:MetricsScreen",
        "tui.screens.metrics.actions",
    ),
    Workspace(
        "logs",
        "Logs",
        "≡",
        "What Hearth and the models' libraries say",
        "tui.screens.logs.screen:LogsScreen",
        "tui.screens.logs.actions",
    ),
    Workspace(
        "settings",
        "Settings",
        "⚙",
        "Everything that can be set, and where it is set",
        "tui.screens.settings.screen:SettingsScreen",
        "tui.screens.settings.actions",
    ),
)


def registry(workspaces: Sequence[Workspace]) -> ActionRegistry:
    """All actions of the app and of `workspaces`."""
    return ActionRegistry(
        [*APP_ACTIONS, *(action for workspace in workspaces for action in workspace.own_actions())]
    )
