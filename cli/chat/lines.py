"""Reads what a person types: lines joined to messages, history, completion, a key for the editor."""

from __future__ import annotations

import os
import readline
from collections.abc import Callable, Iterable
from pathlib import Path

PROMPT, CONTINUED = ">>> ", "... "
FENCE = '"""'
EDIT = "/edit"
# Typed by readline itself on ctrl+x ctrl+e: the line so far becomes the argument of the command.
EDIT_KEY = rf'"\C-x\C-e": "\C-a{EDIT} \C-m"'

Completer = Callable[[str, str], Iterable[str]]
"""From the line up to the cursor and its last word to what that word may become."""


class Discarded(Exception):
    """Ctrl-C threw away what had been typed."""


class LineReader:
    """The prompt. `completer` is asked on Tab; `history` are earlier messages, oldest first."""

    def __init__(self, completer: Completer, history: Iterable[str] = ()) -> None:
        self._completer = completer
        self._found: list[str] = []
        readline.set_completer_delims(" \t\n")
        readline.set_completer(self._complete)
        readline.set_auto_history(False)
        if "libedit" in (readline.__doc__ or ""):
            readline.parse_and_bind("bind ^I rl_complete")
        else:
            readline.parse_and_bind("tab: complete")
            readline.parse_and_bind(EDIT_KEY)
        for message in history:
            readline.add_history(message)

    def read(self) -> str:
        """The next message, stripped of its marks. Raises EOFError on Ctrl-D, Discarded or (if
        nothing was typed) KeyboardInterrupt on Ctrl-C.

        A line that ends in a backslash goes on; one that begins with three quotes opens a message that
        ends with the next three. `/edit` takes the lines before it along.
        """
        lines: list[str] = []
        fenced = False
        while True:
            try:
                line = input(CONTINUED if lines or fenced else PROMPT)
            except KeyboardInterrupt:
                if lines or fenced or readline.get_line_buffer():
                    raise Discarded from None
                raise
            if line == EDIT or line.startswith(EDIT + " "):
                return f"{EDIT} " + "\n".join([*lines, line[len(EDIT) + 1 :]])
            if fenced:
                if line.rstrip().endswith(FENCE):
                    lines.append(line.rstrip().removesuffix(FENCE))
                    break
                lines.append(line)
            elif not lines and line.lstrip().startswith(FENCE):
                first = line.lstrip().removeprefix(FENCE)
                if first.rstrip().endswith(FENCE):
                    lines.append(first.rstrip().removesuffix(FENCE))
                    break
                fenced = True
                lines.append(first)
            elif line.endswith("\\"):
                lines.append(line[:-1])
            else:
                lines.append(line)
                break
        return "\n".join(lines).strip()

    def remember(self, message: str) -> None:
        """Let the arrow keys bring `message` back."""
        readline.add_history(message)

    def _complete(self, word: str, state: int) -> str | None:
        if state == 0:
            line = readline.get_line_buffer()[: readline.get_endidx()]
            self._found = list(self._completer(line, word))
        return self._found[state] if state < len(self._found) else None


def complete_path(prefix: str) -> list[str]:
    """The files and folders that `prefix` may become; folders end in a slash."""
    head, slash, name = prefix.rpartition("/")
    folder = Path(os.path.expanduser(head + slash or "."))
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return []
    return [
        f"{head}{slash}{entry.name}" + ("/" if entry.is_dir() else "")
        for entry in entries
        if entry.name.startswith(name) and (name.startswith(".") or not entry.name.startswith("."))
    ]
