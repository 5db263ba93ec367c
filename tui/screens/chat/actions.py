"""What can be done in the chat, for the action registry. Letters work while the prompt has not the focus."""

from __future__ import annotations

from tui.actions import Action

ACTIONS: tuple[Action, ...] = (
    Action("chat.stop", "stop", "Stop", ("escape",), "Stop the answer", show=True),
    Action("chat.leave", "leave", "Messages", ("escape",), show=True),
    Action("chat.new", "new", "New", ("ctrl+n",), "New conversation", show=True),
    Action("chat.answer_call", "answer_call", "Result", ("t",), "Give the result of a tool call", show=True),
    Action("chat.message_up", "message(-1)", "Previous message", ("alt+up",)),
    Action("chat.message_down", "message(1)", "Next message", ("alt+down",)),
    Action(
        "chat.regenerate",
        "regenerate",
        "Again",
        ("r",),
        "Regenerate: another answer beside this one",
        show=True,
    ),
    Action("chat.edit", "edit", "Edit", ("e",), "Edit the message", show=True),
    Action("chat.continue", "continue", "Continue", ("c",), "Continue the last answer", show=True),
    Action("chat.fold", "fold", "Unfold", ("space",), "Fold or unfold thinking and long calls", show=True),
    Action("chat.copy", "copy_message", "Copy", ("y",), "Copy the message", show=True),
    Action("chat.copy_code", "copy_code", "Code", ("Y", "shift+y"), "Copy a code block", show=True),
    Action("chat.previous", "sibling(-1)", "Branch", ("left_square_bracket",), "Previous branch", show=True),
    Action("chat.next", "sibling(1)", "Next branch", ("right_square_bracket",), "Next branch"),
    Action("chat.adapter", "pick_adapters", "Adapter", ("a",), "Choose the adapters of this conversation"),
    Action("chat.attach", "attach", "Picture", ("p",), "Attach a picture"),
    Action("chat.detach", "detach", "Take out", (), "Take the last attachment out"),
    Action("chat.select_up", "message(-1)", "Previous message", ("k",)),
    Action("chat.select_down", "message(1)", "Next message", ("j",)),
    Action("chat.top", "top", "Top", ("g", "home"), "Go to the first message"),
    Action("chat.follow", "follow", "Bottom", ("G", "shift+g", "end"), "Go to the end and follow"),
    Action(
        "chat.prompt_focus", "focus_prompt", "Write", ("i", "enter", "escape"), "Write a message", show=True
    ),
    Action(
        "chat.next_conversation",
        "conversation(1)",
        "Next conversation",
        ("ctrl+pagedown",),
        "Next conversation",
    ),
    Action(
        "chat.previous_conversation",
        "conversation(-1)",
        "Previous conversation",
        ("ctrl+pageup",),
        "Previous conversation",
    ),
    Action("chat.editor", "editor", "Editor", (), "Write the message in $EDITOR"),
    Action("chat.prompt.send", "send", "Send", ("enter",), show=True),
    Action("chat.prompt.newline", "newline", "New line", ("ctrl+j", "shift+enter", "alt+enter")),
    Action("chat.prompt.chord", "chord", "Editor (then ctrl+e), picture (then a)", ("ctrl+x",)),
    Action("chat.prompt.complete", "complete", "Complete", ("tab",)),
)
