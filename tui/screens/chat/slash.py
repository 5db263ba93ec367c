"""The `/` commands of the prompt: one table, from which completion and `/help` are made.

Most are actions under a name that can be typed; those that take a value call the screen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.errors import InvalidRequest
from tui.screens.chat.completion import Offer
from tui.screens.chat.controls import NAMES


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """`action` is Textual's, run on the screen, `{}` in it standing for what was typed behind the name."""

    name: str
    usage: str
    help: str
    action: str
    takes: bool = False
    """Whether something may follow the name; then the action is a method of the screen that gets it."""


COMMANDS: tuple[SlashCommand, ...] = (
    SlashCommand("help", "", "Keys and commands", "app.help"),
    SlashCommand("new", "", "New conversation", "screen.new"),
    SlashCommand("clear", "", "New conversation; this one is kept", "screen.new"),
    SlashCommand("model", "[NAME]", "Choose who answers", "model", takes=True),
    SlashCommand("system", "[TEXT]", "System prompt; without a text: as before", "system", takes=True),
    SlashCommand("set", "NAME [VALUE]", "A setting; without a value: as before", "set", takes=True),
    SlashCommand(
        "adapter", "[NAME+…]", "LoRA adapters: pirate, pirate=0.5+poet, base", "adapter", takes=True
    ),
    SlashCommand(
        "think", "[on|off|LEVEL]", "How the answer is thought about; auto: as before", "think", takes=True
    ),
    SlashCommand("json", "[on|off]", "Answers are JSON; off: no alias makes them so", "json", takes=True),
    SlashCommand("schema", "[FILE]", "Answers follow a JSON Schema; off: as before", "schema", takes=True),
    SlashCommand("tools", "[FILE]", "Tools that may be called; off: none", "tools", takes=True),
    SlashCommand("attach", "[PATH]", "Attach a picture; without a path: choose one", "attach", takes=True),
    SlashCommand("detach", "", "Take the last attachment out", "screen.detach"),
    SlashCommand("result", "", "Give the result of a tool call", "screen.answer_call"),
    SlashCommand("retry", "", "Another answer to the last question", "screen.regenerate"),
    SlashCommand("beside", "[MODEL]", "Ask another model the same, and see both", "beside", takes=True),
    SlashCommand("star", "", "Star the last message for a dataset, or no longer", "screen.star"),
    SlashCommand("continue", "", "Write the last answer on", "screen.continue"),
    SlashCommand("edit", "", "Edit the last message", "screen.edit"),
    SlashCommand("editor", "", "Write in $EDITOR", "screen.editor"),
    SlashCommand("copy", "", "Copy the last message", "screen.copy_message"),
    SlashCommand("code", "", "Copy a code block", "screen.copy_code"),
    SlashCommand("stop", "", "Stop the answer", "screen.stop"),
    SlashCommand("inspector", "", "Show or hide the inspector", "app.inspector"),
    SlashCommand("search", "[WORDS]", "Search all conversations", "search", takes=True),
    SlashCommand("rename", "[TITLE]", "Rename this conversation", "rename", takes=True),
    SlashCommand(
        "folder", "[NAME]", "Move it to a folder; without a name: out of its folder", "folder", takes=True
    ),
    SlashCommand("tag", "[WORDS]", "Its tags; without a word: none", "tag", takes=True),
    SlashCommand("pin", "", "Keep it on top of the list, or no longer", "screen.pin"),
    SlashCommand("archive", "", "Put it out of the way, or back", "screen.archive"),
    SlashCommand("delete", "", "Delete this conversation", "screen.delete"),
    SlashCommand("undelete", "", "Bring the last deleted conversation back", "screen.undelete"),
    SlashCommand("export", "[FILE]", "Write it to a file: .md, .json, .openai.json", "export", takes=True),
    SlashCommand("import", "FILE", "Take conversations in from a file", "import", takes=True),
    SlashCommand("conversations", "", "Show or hide the conversations", "app.sidebar"),
    SlashCommand("theme", "", "Choose a theme", "app.pick_theme"),
    SlashCommand("logs", "", "Show the logs", "app.show_logs"),
    SlashCommand("quit", "", "Leave Hearth", "app.quit"),
)


def parse(text: str) -> tuple[SlashCommand, str] | None:
    """The command of a message and what follows its name; None if it is no command.

    A message that begins with `//` or with a path such as `/etc/hosts` is none. Raises InvalidRequest when no
    command has that name, or when it takes nothing and something follows.
    """
    if not text.startswith("/"):
        return None
    name, _, rest = text[1:].partition(" ")
    if not name.isalpha():
        return None
    for command in COMMANDS:
        if command.name == name.lower():
            if rest.strip() and not command.takes:
                raise InvalidRequest(f"/{command.name} takes nothing.", fix=f"Type /{command.name} alone.")
            return command, rest.strip()
    raise InvalidRequest(
        f"There is no command /{name}.", fix="Type / to see them all, or // to send it as text."
    )


def offers(line: str) -> Iterator[Offer]:
    """What completes a first line of the prompt up to the cursor."""
    if not line.startswith("/"):
        return
    name, space, rest = line[1:].partition(" ")
    if space:
        if name == "set" and " " not in rest:
            for field in NAMES:
                if field.startswith(rest):
                    yield Offer(field, f"/set {field} ", 0, "")
        return
    for command in COMMANDS:
        if command.name.startswith(name.lower()):
            end = " " if command.takes else ""
            yield Offer(f"/{command.name} {command.usage}".rstrip(), f"/{command.name}{end}", 0, command.help)
