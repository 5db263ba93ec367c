"""What can be done in Logs."""

from __future__ import annotations

from tui.actions import Action

ACTIONS = (
    Action("logs.filter", "filter", "Filter", ("slash",), "Filter the log lines", show=True),
    Action("logs.level", "level", "Level", ("v",), "Show the next higher level and above", show=True),
    Action("logs.follow", "follow", "Follow", ("f",), "Follow the newest lines", show=True),
    Action("logs.copy", "copy_line", "Copy line", ("y",), "Copy the highlighted log line", show=True),
    Action("logs.copy_all", "copy_all", "Copy all", ("Y",), "Copy all log lines that are shown", show=True),
    Action("logs.leave_filter", "leave_filter", "Leave filter", ("escape",)),
)
