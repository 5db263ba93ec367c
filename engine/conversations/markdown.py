r"""A conversation as Markdown, and back: roles are headings of the second level, thinking is folded in `<details>`.

    # A title

    ## user

    What is 2 + 2?

    ## assistant: ember

    <details><summary>Thinking</summary>

    …

    </details>

    Four.

A line of a message that would read as one of these headings gets a backslash before it, which Markdown does not show;
so roles, texts and thinking come back as they were. Tool calls are code blocks, and come back as text.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from engine.conversations.tree import path, said
from engine.types import ConversationTree, StoredMessage

_ROLE = re.compile(r"## (system|user|assistant|tool)(?:: (.*))?")
_LOOKS_LIKE_ONE = re.compile(r"^(\\*## (?:system|user|assistant|tool)(?:: .*)?)$", re.M)
_ESCAPED = re.compile(r"^\\(\\*## (?:system|user|assistant|tool)(?:: .*)?)$", re.M)
_OPEN, _CLOSE = "<details><summary>Thinking</summary>\n\n", "\n\n</details>\n\n"
_DETAILS = re.compile(r"\\*<details>")
_TITLE = re.compile(r"# ([^\n]*)\n\n")


class Turn(NamedTuple):
    """A message as Markdown has it; `name` is the model or the tool."""

    role: str
    name: str
    content: str
    reasoning: str


def written(tree: ConversationTree) -> str:
    """The chosen path of a conversation. Ends in a line end."""
    parts = [f"# {_line(tree.summary.title)}"] if tree.summary.title.strip() else []
    system = tree.settings.get("system") if isinstance(tree.settings, dict) else None
    if isinstance(system, str) and system:
        parts.append(_block("system", "", system))
    parts += [_message(message) for message in said(path(tree.messages))]
    return "\n\n".join(parts) + "\n"


def _message(message: StoredMessage) -> str:
    name = message.model if message.role == "assistant" else message.tool_name
    content = message.content
    if message.tool_calls:
        calls = (f"```json {_line(call.name)}\n{call.arguments}\n```" for call in message.tool_calls)
        content = "\n\n".join([*([content] if content else []), *calls])
    if message.reasoning and "</details>" not in message.reasoning:
        content = f"{_OPEN}{message.reasoning}{_CLOSE}{content}"
    elif _DETAILS.match(content):
        content = "\\" + content
    return _block(message.role, name, content)


def _block(role: str, name: str, content: str) -> str:
    named = f": {_line(name)}" if _line(name) else ""
    return f"## {role}{named}\n\n" + _LOOKS_LIKE_ONE.sub(r"\\\1", content)


def _line(text: str) -> str:
    return " ".join(text.split())


def read(text: str) -> tuple[str, list[Turn]] | None:
    """The title and the messages of such a text; None if it has no heading of a role."""
    lines = text.split("\n")
    starts = [at for at, line in enumerate(lines) if _ROLE.fullmatch(line)]
    if not starts:
        return None
    head = "\n".join(lines[: starts[0]]) + "\n\n"
    title = match.group(1).strip() if (match := _TITLE.match(head.lstrip())) else ""
    turns = []
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        match = _ROLE.fullmatch(lines[start])
        assert match is not None
        body = "\n".join(lines[start + 1 : end])
        # A blank line on either side belongs to the form.
        body = body.removeprefix("\n").removesuffix("\n")
        content, reasoning = _ESCAPED.sub(r"\1", body), ""
        if content.startswith(_OPEN) and _CLOSE in content:
            reasoning, _, content = content.removeprefix(_OPEN).partition(_CLOSE)
        elif content.startswith("\\") and _DETAILS.match(content):
            content = content[1:]
        turns.append(Turn(match.group(1), (match.group(2) or "").strip(), content, reasoning))
    return title, turns
