"""What can be done in Settings."""

from __future__ import annotations

from tui.actions import Action

ACTIONS = (
    Action("settings.edit", "edit", "Change", ("enter",), "Change this setting", show=True),
    Action("settings.switch", "switch", "Switch", ("space",), "Switch this setting on or off"),
    Action(
        "settings.reset", "reset", "Default", ("r", "delete"), "Take this setting out of the file", show=True
    ),
    Action("settings.filter", "filter", "Search", ("slash",), "Search the settings", show=True),
    Action("settings.changed", "only_changed", "Changed", ("c",), "Show only what is set", show=True),
    Action("settings.next_section", "section(1)", "Next section", ("right_square_bracket",)),
    Action("settings.previous_section", "section(-1)", "Last section", ("left_square_bracket",)),
    Action("settings.copy", "copy_line", "Copy", ("y",), "Copy this setting as a line of TOML"),
    Action("settings.copy_path", "copy_path", "Copy path", ("Y",), "Copy the path of the settings file"),
    Action("settings.next", "move(1)", "Next", ("j",)),
    Action("settings.previous", "move(-1)", "Previous", ("k",)),
    Action("settings.leave_filter", "leave_filter", "Leave search", ("escape",)),
)
