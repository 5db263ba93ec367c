"""The tool calls of one answer: put together as they come, written as JSON lines in a pipe, readable elsewhere."""

from __future__ import annotations

from typing import TextIO

from cli.terminal_text import for_stream, paint
from engine.text_safety import plain
from engine.types import ToolCall, ToolDelta
from tui.telling.calls import as_line
from tui.telling.json_layout import laid_out

WHOLE = frozenset({"tool_calls", "stop", "stop_string"})
"""Finish reasons after which the last call is whole too; after any other the answer broke off in it."""


class Calls:
    """Takes the deltas of one answer's calls, in order."""

    def __init__(self) -> None:
        self._calls: dict[int, tuple[str, str, list[str]]] = {}

    def take(self, delta: ToolDelta) -> str:
        """Add a piece; what is being called, and how far it is."""
        id, name, pieces = self._calls.get(delta.index, ("", "", []))
        self._calls[delta.index] = (delta.id or id, delta.name or name, pieces)
        pieces.append(delta.arguments)
        _, name, _ = self._calls[delta.index]
        return f"calling {plain(name, 40) or 'a tool'} · {sum(map(len, pieces)):,} characters"

    def whole(self, reason: str) -> tuple[list[ToolCall], ToolCall | None]:
        """The calls that are whole, and the one that broke off, if one did."""
        found = [
            ToolCall(id=id or f"call-{index}", name=name, arguments="".join(pieces))
            for index, (id, name, pieces) in sorted(self._calls.items())
        ]
        return (found, None) if reason in WHOLE or not found else (found[:-1], found[-1])


def write(call: ToolCall, out: TextIO) -> None:
    """One call: its name and its arguments in lines where a person reads, else a line of JSON."""
    if not out.isatty():
        out.write(as_line(call) + "\n")
        return
    out.write(f"{paint('ƒ ' + plain(call.name), '1', out)}\n")
    out.write(for_stream(laid_out(call.arguments), out).rstrip("\n") + "\n")
