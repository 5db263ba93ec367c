"""A dataset of the messages that were starred in the chat: what was asked, and the answer that was found good.

A starred answer becomes a row whose rubric is that answer, for a judge; a starred question one without. Keywords or
answers may be added to the file by hand, which then need no judge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from engine import Conversations
from engine.errors import InvalidRequest
from engine.paths import ensure
from engine.types import Message, StarredMessage, StoredMessage
from evals.report.writing import write_whole


async def make(kept: Conversations, path: Path) -> int:
    """Write the starred messages to `path` as JSONL, over what is there; how many rows there are.

    Raises InvalidRequest where none is starred, StorageFailed.
    """
    found = rows(await kept.starred())
    await asyncio.to_thread(write, path, found)
    return len(found)


def write(path: Path, found: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as JSONL, whole or not at all. Raises InvalidRequest where there are none, StorageFailed."""
    if not found:
        raise InvalidRequest(
            "No message is starred.", fix="In the chat alt+up chooses a message, s stars it.", param="dataset"
        )
    ensure(path.parent)
    write_whole(path, b"".join(msgspec.json.encode(row) + b"\n" for row in found))


def rows(starred: Sequence[StarredMessage]) -> list[dict[str, Any]]:
    """A row a question; of one with several starred answers the last is the reference. Results of tools have none."""
    found: dict[str, dict[str, Any]] = {}
    for each in starred:
        *before, last = each.messages
        answer = last if last.role == "assistant" else None
        if answer is not None:
            if not before or before[-1].role != "user":
                continue  # it goes on from a tool's result: nobody asked just this
            *before, last = before
        elif last.role != "user":
            continue
        name = f"{each.conversation}.{last.id}"
        row: dict[str, Any] = {
            "id": name,
            "messages": [msgspec.to_builtins(message) for message in _history(before)]
            + [{"role": "user", "content": _without_pictures(last)}],
            "category": each.title,
        }
        if each.system:
            row["system"] = each.system
        if last.attachments:
            row["images"] = [picture.path for picture in last.attachments]
        if answer is not None and answer.content:
            row["rubric"] = f"An answer that was found good:\n{answer.content}"
        elif name in found:
            continue  # the question and an answer to it are starred: the answer says more
        found[name] = row
    return list(found.values())


def _history(messages: Sequence[StoredMessage]) -> list[Message]:
    return [
        Message(
            role=each.role,
            content=_without_pictures(each),
            tool_calls=each.tool_calls,
            tool_call_id=each.tool_call_id or None,
            tool_name=each.tool_name or None,
            tool_error=each.tool_error,
        )
        for each in messages
    ]


def _without_pictures(message: StoredMessage) -> str:
    """The text without the mentions of its pictures."""
    text = message.content
    for picture in message.attachments:
        for mention in (f'@"{picture.name}"', f"@'{picture.name}'", f"@{picture.name}", picture.name):
            text = text.replace(mention, "")
    return text.strip() if message.attachments else text
