"""After ctrl+g: the workspaces and their digits, for terminals that eat alt and function keys."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from tui.dialogue import Dialogue
from tui.workspaces import Workspace


class Leader(Dialogue[str | None]):
    """Closes with the name of the workspace whose digit was pressed, or None."""

    DEFAULT_CSS = """
    Leader { align: left bottom; background: transparent; }
    Leader .dialogue { width: auto; max-width: 100%; margin: 0 0 2 1; padding: 0 2; }
    """

    def __init__(self, workspaces: Sequence[Workspace]) -> None:
        super().__init__()
        self.workspaces = workspaces

    def compose(self) -> ComposeResult:
        """One line a workspace."""
        lines = [
            Content.assemble(
                (str(place % 10), "bold $primary"),
                f"  {workspace.icon} {workspace.title:<10}",
                (workspace.purpose, "$muted"),
            )
            for place, workspace in enumerate(self.workspaces, 1)
        ]
        box = Static(Content("\n").join(lines), classes="dialogue")
        box.border_title = "Go to"
        yield box

    def on_key(self, event: events.Key) -> None:
        """A digit goes, 0 to the tenth; anything else closes."""
        event.stop()
        place = (int(event.key) or 10) if event.key.isdigit() else 0
        self.dismiss(self.workspaces[place - 1].name if 1 <= place <= len(self.workspaces) else None)
