"""What can be done in Models."""

from __future__ import annotations

from tui.actions import Action

ACTIONS = (
    Action("models.use", "use", "Use in chat", ("enter",), "Use this model in chat", show=True),
    Action("models.load", "load", "Load", ("l",), "Load this model", show=True),
    Action("models.unload", "unload", "Unload", ("u",), "Unload this model", show=True),
    Action("models.pin", "pin", "Pin", ("p",), "Pin this model in memory, or let it go again", show=True),
    Action("models.filter", "filter", "Filter", ("slash",), "Filter the models", show=True),
    Action("models.sort", "sort", "Sort", ("s",), "Sort by the next column", show=True),
    Action("models.rescan", "rescan", "Look again", ("r",), "Look for models again"),
    Action("models.copy", "copy_path", "Copy path", ("y",), "Copy this model's path"),
    Action("models.next", "move(1)", "Next", ("j",)),
    Action("models.previous", "move(-1)", "Previous", ("k",)),
    Action("models.leave_filter", "leave_filter", "Leave filter", ("escape",)),
)
