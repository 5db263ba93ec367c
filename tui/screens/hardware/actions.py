"""What can be done in Hardware."""

from __future__ import annotations

from tui.actions import Action

ACTIONS = (
    Action("hardware.load", "load", "Load", ("l",), "Load a model", show=True),
    Action("hardware.unload", "unload", "Unload", ("u",), "Unload the highlighted model", show=True),
    Action(
        "hardware.pin", "pin", "Pin", ("p",), "Pin the highlighted model in memory, or let it go", show=True
    ),
    Action("hardware.longer", "span(1)", "Longer", ("plus", "t"), "Show a longer time", show=True),
    Action("hardware.shorter", "span(-1)", "Shorter", ("minus", "T"), "Show a shorter time", show=True),
    Action("hardware.use", "use", "Use in chat", ("enter",), "Use the highlighted model in chat"),
    Action("hardware.copy", "copy_reading", "Copy", ("y",), "Copy the reading as JSON"),
    Action("hardware.next", "move(1)", "Next", ("j",)),
    Action("hardware.previous", "move(-1)", "Previous", ("k",)),
)
