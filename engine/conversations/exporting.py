"""Conversations as files for elsewhere: JSON with everything, or the chosen path as OpenAI messages or Markdown."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from engine.conversations import markdown
from engine.conversations.tree import path, said
from engine.errors import InvalidRequest
from engine.text_safety import clean
from engine.types import Attachment, ConversationFile, ConversationForm, ConversationTree, StoredMessage

if TYPE_CHECKING:
    from engine.conversations.imported import Imported

FORMAT = "hearth.conversations"
VERSION = 1


def export(
    trees: Sequence[ConversationTree], form: ConversationForm, *, files: bool = True
) -> ConversationFile:
    """`trees` as one file. Raises InvalidRequest where there is none. Reads the pictures: for threads."""
    if not trees:
        raise InvalidRequest("There is nothing to export.", fix="Name a conversation.")
    name = _file_name(trees[0].summary.title) if len(trees) == 1 else f"conversations-{len(trees)}"
    if form == "markdown":
        text = "\n\n".join(markdown.written(tree) for tree in trees)
        return ConversationFile(
            name=f"{name}.md", media_type="text/markdown", data=text.encode("utf-8", "replace")
        )
    content: Any
    if form == "openai":
        content = [openai(tree, files=files) for tree in trees]
        content = content[0] if len(content) == 1 else content
    else:
        content = {"format": FORMAT, "version": VERSION, "conversations": [_whole(tree) for tree in trees]}
        if files:
            content["files"] = dict(_files(trees))
    data = msgspec.json.format(msgspec.json.encode(content), indent=2)
    return ConversationFile(name=f"{name}.json", media_type="application/json", data=data + b"\n")


def packed(found: Imported) -> bytes:
    """A conversation that was read, on its way to a store elsewhere, with the files that came with it."""
    files = {
        digest: {"name": name, "data": base64.b64encode(data).decode()}
        for digest, (name, data) in found.files.items()
    }
    whole = {**_whole(found.tree), "known": found.known}
    return msgspec.json.encode(
        {"format": FORMAT, "version": VERSION, "conversations": [whole], "files": files}
    )


def _whole(tree: ConversationTree) -> dict[str, Any]:
    return {
        **msgspec.to_builtins(tree.summary),
        "settings": tree.settings,
        "draft": tree.draft,
        "messages": msgspec.to_builtins(tree.messages),
    }


def _files(trees: Iterable[ConversationTree]) -> Iterable[tuple[str, dict[str, str]]]:
    for attachment in {
        each.digest: each for tree in trees for message in tree.messages for each in message.attachments
    }.values():
        data = _read(attachment)
        if data is not None:
            name = Path(attachment.path).name
            yield attachment.digest, {"name": name, "data": base64.b64encode(data).decode()}


def _read(attachment: Attachment) -> bytes | None:
    try:
        return Path(attachment.path).read_bytes()
    except OSError:
        return None


def openai(tree: ConversationTree, *, files: bool = True) -> dict[str, Any]:
    """A conversation as `{"model", "messages"}` of OpenAI's chat completions."""
    messages: list[dict[str, Any]] = []
    system = tree.settings.get("system") if isinstance(tree.settings, dict) else None
    if isinstance(system, str) and system:
        messages.append({"role": "system", "content": system})
    messages += [_openai_message(message, files) for message in said(path(tree.messages))]
    titled = {"title": tree.summary.title} if tree.summary.title else {}
    return {"model": tree.summary.model, **titled, "messages": messages}


def _openai_message(message: StoredMessage, files: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"role": message.role, "content": message.content}
    pictures = [
        {"type": "image_url", "image_url": {"url": url}}
        for attachment in message.attachments
        if (url := _url(attachment, files))
    ]
    if pictures:
        found["content"] = [{"type": "text", "text": message.content}, *pictures]
    if message.reasoning:
        found["reasoning_content"] = message.reasoning
    if message.tool_calls:
        found["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.role == "tool":
        found["tool_call_id"] = message.tool_call_id
        if message.tool_name:
            found["name"] = message.tool_name
    return found


def _url(attachment: Attachment, files: bool) -> str:
    data = _read(attachment) if files else None
    return f"data:{attachment.media_type};base64,{base64.b64encode(data).decode()}" if data else ""


def _file_name(title: str) -> str:
    words = re.sub(r"[^\w\- ]+", " ", clean(title)).split()
    return "-".join(words)[:60].strip("-_") or "conversation"
