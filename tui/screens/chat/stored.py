"""Between the chat's tree (`Conversation`, `Node`) and what is kept of it, the Structs of `engine.types`."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.types import Attachment, ConversationTree, Json, StoredMessage
from tui.asking.pictures import Picture
from tui.screens.chat.conversation import Controls, Conversation, Node

_ALIKE = tuple(
    sorted(
        set(Node.__struct_fields__)
        & set(StoredMessage.__struct_fields__) - {"tool_calls", "state", "chosen", "created", "attachments"}
    )
)
"""Fields that mean the same on both sides."""
_FILE = tuple(sorted(set(Attachment.__struct_fields__) & set(Picture.__struct_fields__)))


def stored(conversation: Conversation, node: Node, *, writing: bool = False) -> StoredMessage:
    """A message as it is kept; `writing` while an answer is being written."""
    said: dict[str, Any] = {name: getattr(node, name) for name in _ALIKE}
    return StoredMessage(
        **said,
        tool_calls=tuple(node.tool_calls),
        attachments=tuple(
            Attachment(**{name: getattr(each, name) for name in _FILE}) for each in node.pictures
        ),
        state="writing" if writing else "interrupted" if node.interrupted else "whole",
        chosen=conversation.chosen.get(node.parent) == node.id,
    )


def pictures_of(message: StoredMessage) -> tuple[Picture, ...]:
    """The pictures that a kept message shows, where they lie now."""
    return tuple(Picture(**{name: getattr(each, name) for name in _FILE}) for each in message.attachments)


def conversation_of(tree: ConversationTree) -> Conversation:
    """The tree as the chat has it. Many messages take a while: for threads."""
    conversation = Conversation(
        id=tree.summary.id,
        title=tree.summary.title,
        model=tree.summary.model,
        controls=controls_of(tree.settings),
        draft=tree.draft,
        top=tree.place,
    )
    for message in tree.messages:
        said: dict[str, Any] = {name: getattr(message, name) for name in _ALIKE}
        node = Node(
            **said,
            tool_calls=list(message.tool_calls),
            pictures=pictures_of(message),
            interrupted=message.state != "whole",
        )
        conversation.nodes[node.id] = node
        conversation.children.setdefault(node.parent, []).append(node.id)
        if message.chosen or node.parent not in conversation.chosen:
            conversation.chosen[node.parent] = node.id
    return conversation


def settings_of(controls: Controls) -> Json:
    """The inspector's values as they are kept: what is not said is left out."""
    plain = Controls()
    return {
        name: msgspec.to_builtins(value)
        for name in Controls.__struct_fields__
        if (value := getattr(controls, name)) != getattr(plain, name)
    }


def controls_of(settings: Json) -> Controls:
    """The values again; of those that cannot be read, by this Hearth, each is left out."""
    if not isinstance(settings, dict):
        return Controls()
    controls = Controls()
    for name, value in settings.items():
        if name in Controls.__struct_fields__:
            try:
                made = msgspec.convert({name: value}, type=Controls)
            except msgspec.ValidationError:
                continue
            setattr(controls, name, getattr(made, name))
    return controls
