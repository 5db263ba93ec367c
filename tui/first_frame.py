"""What is painted before a workspace is imported: the frame alone. Keys pressed meanwhile are kept."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult

from tui.workspace_screen import WorkspaceScreen


class FirstFrame(WorkspaceScreen):
    """Stands for the first workspace while that is loaded, a fifth of a second or so."""

    def __init__(self) -> None:
        super().__init__()
        self.pressed: list[events.Key] = []

    def compose_workspace(self) -> ComposeResult:
        """Nothing yet."""
        return ()

    def on_key(self, event: events.Key) -> None:
        """Keep it."""
        event.stop()
        event.prevent_default()
        self.pressed.append(event)
