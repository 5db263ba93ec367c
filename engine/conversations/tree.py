"""The tree of messages, without a database: which path is chosen, what choosing changes, what holds together.

All functions take messages in an order in which parents come before their children.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from engine.errors import InvalidRequest
from engine.types import StoredMessage

ROOT = ""
"""The parent of first messages."""


def checked(messages: Sequence[StoredMessage]) -> tuple[StoredMessage, ...]:
    """`messages` with parents before children and one chosen among siblings: the last of those that say so, else the
    last.

    Raises InvalidRequest for an id that is empty or there twice, a parent that is missing, or a circle.
    """
    by_id: dict[str, StoredMessage] = {}
    for message in messages:
        if not message.id or message.id in by_id:
            raise InvalidRequest(
                "Two messages have one id, or none.", f"It is {message.id!r}.", param="messages"
            )
        by_id[message.id] = message
    children: dict[str, list[StoredMessage]] = {}
    for message in messages:
        if message.parent != ROOT and message.parent not in by_id:
            raise InvalidRequest(
                "A message follows one that is not there.",
                f"{message.id!r} names {message.parent!r} as its parent.",
                param="messages",
            )
        children.setdefault(message.parent, []).append(message)
    ordered: list[StoredMessage] = []
    waiting = list(reversed(children.get(ROOT, [])))
    while waiting:
        message = waiting.pop()
        ordered.append(message)
        waiting += reversed(children.get(message.id, []))
    if len(ordered) < len(by_id):
        raise InvalidRequest("Messages follow each other in a circle.", param="messages")
    chosen = {
        next((each for each in reversed(beside) if each.chosen), beside[-1]).id
        for beside in children.values()
    }
    place = {message.id: at for at, message in enumerate(messages)}
    if all(place[message.parent] < place[message.id] for message in ordered if message.parent != ROOT):
        ordered.sort(key=lambda message: place[message.id])  # as they came, where that will do
    return tuple(replace(message, chosen=message.id in chosen) for message in ordered)


def path(messages: Iterable[StoredMessage]) -> tuple[StoredMessage, ...]:
    """The chosen messages from the first to the last."""
    chosen = {message.parent: message for message in messages if message.chosen}
    found: list[StoredMessage] = []
    at = ROOT
    while (message := chosen.pop(at, None)) is not None:
        found.append(message)
        at = message.id
    return tuple(found)


def path_to(messages: Iterable[StoredMessage], message: str) -> tuple[StoredMessage, ...]:
    """The messages from the first to this one, whatever is chosen. Raises KeyError."""
    by_id = {each.id: each for each in messages}
    found: list[StoredMessage] = []
    while message != ROOT:
        found.append(by_id[message])
        message = by_id[message].parent
    return tuple(found[::-1])


def choose(messages: Sequence[StoredMessage], message: str) -> tuple[StoredMessage, ...]:
    """The messages with this one, and those before it, chosen. Raises KeyError."""
    wanted = {each.parent: each.id for each in path_to(messages, message)}
    return tuple(
        replace(each, chosen=each.id == wanted[each.parent]) if each.parent in wanted else each
        for each in messages
    )


def said(messages: Iterable[StoredMessage]) -> tuple[StoredMessage, ...]:
    """Those of a path that belong into a text: no question that was refused, no answer of which nothing came."""
    return tuple(
        message
        for message in messages
        if not message.returned
        and (message.role != "assistant" or message.content or message.reasoning or message.tool_calls)
    )
