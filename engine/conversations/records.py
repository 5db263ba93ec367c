"""Between rows and Structs. What is searched or asked for has a column; the rest of a message is one JSON text."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from engine.types import ConversationSummary, StoredMessage, ToolCall

log = logging.getLogger(__name__)

MESSAGE_COLUMNS = "key, id, parent, role, content, state, writer, chosen, created, body"
SUMMARY = """
SELECT c.key, c.id, c.title, c.folder, c.pinned, c.archived, c.model, c.created, c.updated,
    (SELECT count(*) FROM messages AS m WHERE m.conversation = c.key),
    (SELECT group_concat(tag, char(10)) FROM (SELECT tag FROM tags AS t WHERE t.conversation = c.key ORDER BY tag))
FROM conversations AS c
"""


def body_of(message: StoredMessage) -> str:
    """What has no column."""
    rest = replace(message, content="", state="whole", chosen=True, created=0.0, parent="")
    return msgspec.json.encode(rest).decode()


def message_of(row: tuple[Any, ...]) -> StoredMessage:
    """The message of a row of `MESSAGE_COLUMNS`."""
    _, id, parent, role, content, state, _, chosen, created, body = row
    try:
        message = msgspec.json.decode(body, type=StoredMessage)
    except msgspec.MsgspecError as error:
        # Written by a newer Hearth: the text is what counts.
        log.warning("Details of the message %s cannot be read: %s", id, error)
        message = StoredMessage(id=id, role=role)
    return replace(message, parent=parent, content=content, state=state, chosen=bool(chosen), created=created)


def summary_of(row: tuple[Any, ...]) -> ConversationSummary:
    """The summary of a row of `SUMMARY`."""
    _, id, title, folder, pinned, archived, model, created, updated, messages, tags = row
    return ConversationSummary(
        id=id,
        title=title,
        folder=folder,
        tags=tuple(tags.split("\n")) if tags else (),
        pinned=bool(pinned),
        archived=bool(archived),
        model=model,
        created=created,
        updated=updated,
        messages=messages,
    )


def with_pieces(message: StoredMessage, pieces: Iterable[tuple[str, str, str]]) -> StoredMessage:
    """`message` with what its journal holds: (content, reasoning, calls) of each piece, calls the last ones."""
    content, reasoning, calls = [message.content], [message.reasoning], message.tool_calls
    for text, thought, called in pieces:
        content.append(text)
        reasoning.append(thought)
        if called:
            calls = msgspec.json.decode(called, type=tuple[ToolCall, ...])
    return replace(message, content="".join(content), reasoning="".join(reasoning), tool_calls=calls)
