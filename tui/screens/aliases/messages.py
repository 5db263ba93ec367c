"""Opening messages as text: each begins with `user:`, `assistant:` or `system:` at the start of a line.

A line of a message that begins so itself has a backslash before it. Knows no widget.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

from engine.errors import InvalidRequest
from engine.types import Message, MessageRole

_HEAD = re.compile(r"(system|user|assistant): ?", re.IGNORECASE)
_GUARDED = re.compile(r"\\+(?:system|user|assistant):", re.IGNORECASE)
WAYS = "Begin each with user:, assistant: or system: at the start of a line."


def editable(messages: Sequence[Message]) -> bool:
    """Whether text holds all that they say: no pictures, names or calls, and no tool's words."""
    return all(
        each == Message(role=each.role, content=each.content)
        and isinstance(each.content, str)
        and each.role != "tool"
        and each.content == each.content.rstrip("\n")
        and "\r" not in each.content
        for each in messages
    )


def written(messages: Sequence[Message]) -> str:
    """The text that `read` reads as `messages`, if they are `editable`."""
    return "\n".join(f"{each.role}: {_guarded(each.text)}" for each in messages)


def read(text: str) -> tuple[Message, ...]:
    """The messages that `text` spells. Raises InvalidRequest for text that belongs to none of them."""
    found: list[tuple[str, list[str]]] = []
    for number, line in enumerate(text.rstrip("\n").split("\n"), 1):
        head = _HEAD.match(line)
        if head is not None:
            found.append((head[1].lower(), [line[head.end() :]]))
        elif found:
            found[-1][1].append(line[1:] if _GUARDED.match(line) else line)
        elif line.strip():
            raise InvalidRequest(f"Line {number} is nobody's message.", WAYS, param="messages")
    return tuple(
        Message(role=cast(MessageRole, role), content="\n".join(lines).rstrip("\n")) for role, lines in found
    )


def _guarded(text: str) -> str:
    first, *rest = text.split("\n")
    guarded = (f"\\{line}" if _HEAD.match(line) or _GUARDED.match(line) else line for line in rest)
    return "\n".join([first, *guarded])
