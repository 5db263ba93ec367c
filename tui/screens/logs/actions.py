"""What can be done in Logs."""

from __future__ import annotations

from tui.actions import Action

ACTIONS = (
    Action("logs.filter", "filter", "Filter", ("slash",), "Filter the log lines", show=True),
    Action("logs.level", "level", "Level", ("v",), "Show the next higher level and above", show=True),
    Action(
        "logs.origin",
        "origin",
        "Origin",
        ("o",),
        "Show lines of Hearth, of models, or of one origin",
        show=True,
    ),
    Action("logs.open", "open", "Open", ("enter",), "Show the highlighted line in full, or no more"),
    Action(
        "logs.export", "export", "Export", ("e",), "Write the log lines that are shown into a file", show=True
    ),
    Action("logs.follow", "follow", "Follow", ("f",), "Follow the newest lines", show=True),
    Action("logs.copy", "copy_line", "Copy line", ("y",), "Copy the highlighted log line", show=True),
    Action("logs.copy_all", "copy_all", "Copy all", ("Y",), "Copy all log lines that are shown", show=True),
    Action("logs.leave_filter", "leave_filter", "Leave filter", ("escape",)),
)
