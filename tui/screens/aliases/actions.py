"""What can be done in Aliases: everywhere in it, in the list, in the form, and in the try-it box."""

from __future__ import annotations

from tui.actions import Action

FRAME = (
    Action("aliases.save", "save", "Save", ("ctrl+s",), "Save this alias", show=True, priority=True),
    Action("aliases.new", "new", "New", ("n",), "Make an alias", show=True),
    Action("aliases.try", "try_it", "Try", ("t",), "Ask one question with these values", show=True),
    Action("aliases.copy", "duplicate", "Copy", ("c",), "Make a copy of this alias", show=True),
    Action("aliases.rename", "rename", "Rename", ("r",), "Rename this alias", show=True),
    Action("aliases.delete", "remove", "Delete", ("d",), "Delete this alias; u brings it back", show=True),
    Action("aliases.undo", "undo", "Undo", ("u",), "Take the last change or deletion back", show=True),
    Action("aliases.discard", "discard", "Discard", ("ctrl+z",), "Go back to what the file says"),
    Action("aliases.theirs", "theirs", "Theirs", ("ctrl+r",), "Take what others wrote where both changed it"),
    Action("aliases.filter", "filter", "Search", ("slash",), "Search the aliases", show=True),
    Action("aliases.prompts", "prompts", "Prompts", ("p",), "Named system prompts: choose, write, go back"),
    Action("aliases.use", "use", "Use in chat", ("w",), "Use this alias in chat"),
    Action("aliases.file", "open_file", "Open file", ("E",), "Open the file of aliases in your editor"),
    Action("aliases.copy_path", "copy_path", "Copy path", ("Y",), "Copy the path of the file of aliases"),
    Action("aliases.json", "copy_json", "Copy JSON", ("y",), "Copy this alias as it stands in the file"),
    Action("aliases.leave", "leave", "Back", ("escape",)),
)
FORM = (
    Action("aliases.form.turn", "ask('turn')", "Turn", ("space",), "The next word of this field"),
    Action("aliases.form.back", "ask('turn', -1)", "Turn back", ("minus",)),
    Action(
        "aliases.form.clear", "ask('clear')", "Leave open", ("delete", "backspace"), "Leave this field open"
    ),
    Action("aliases.form.said", "ask('said')", "Only set", ("m",), "Show only what is set, or every field"),
    Action("aliases.form.next_group", "group(1)", "Next group", ("right_square_bracket",)),
    Action("aliases.form.previous_group", "group(-1)", "Last group", ("left_square_bracket",)),
    Action("aliases.form.next", "move(1)", "Next", ("j",)),
    Action("aliases.form.previous", "move(-1)", "Previous", ("k",)),
    Action("aliases.form.leave", "ask('leave')", "To the list", ("left",)),
)
ACTIONS = FRAME + FORM
