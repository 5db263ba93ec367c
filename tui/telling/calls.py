"""Tool calls as text: one line of JSON for programs, Markdown for people."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from engine.types import ToolCall
from tui.telling.json_layout import laid_out


def as_line(call: ToolCall) -> str:
    """`{"tool_call":{"id":…,"name":…,"arguments":{…}}}`, one line; arguments that are no JSON are a text there."""
    inner = {"id": call.id, "name": call.name, "arguments": arguments_of(call)}
    line = json.dumps({"tool_call": inner}, ensure_ascii=False, separators=(",", ":"))
    # Half a surrogate pair, which JSON can spell, cannot be written any other way.
    return line if _can_be_written(line) else json.dumps({"tool_call": inner}, separators=(",", ":"))


def arguments_of(call: ToolCall) -> Any:
    """The arguments as JSON gives them, or the text itself."""
    try:
        return json.loads(call.arguments, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return call.arguments


def _refuse(name: str) -> None:
    """NaN and Infinity are Python's, not JSON's."""
    raise ValueError(name)


def _can_be_written(line: str) -> bool:
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_markdown(text: str, calls: Iterable[ToolCall]) -> str:
    """A message's text and its calls, each as a named code block."""
    return "\n\n".join(
        [*([text] if text else []), *(f"`{call.name}`\n\n{_fenced(call.arguments)}" for call in calls)]
    )


def _fenced(arguments: str) -> str:
    body = laid_out(arguments)
    fence = "```"
    while fence in body:
        fence += "`"
    return f"{fence}json\n{body}\n{fence}"
