"""Ollama's messages and tools, read into the engine's."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from api.dialects.openai.messages import MAX_MESSAGES
from api.reading.fields import Fields, as_kind
from engine.errors import InvalidRequest
from engine.media import image_from_text
from engine.types import ImagePart, Message, Part, Role, TextPart, ToolCall

_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}


def messages_of(value: Any) -> tuple[Message, ...]:
    """The messages of `value`. Raises InvalidRequest."""
    listed = as_kind(value, list[dict[str, Any]], "messages")
    if len(listed) > MAX_MESSAGES:
        raise InvalidRequest("There are too many messages.", f"At most {MAX_MESSAGES}.", param="messages")
    found = tuple(_message(each, f"messages[{place}]") for place, each in enumerate(listed))
    return found


def images_of(fields: Fields, where: str = "images") -> tuple[ImagePart, ...]:
    """`images`: base64, without a prefix."""
    listed = fields.take("images", list[str]) or []
    return tuple(image_from_text(each, f"{where}[{place}]") for place, each in enumerate(listed))


def _message(value: dict[str, Any], where: str) -> Message:
    fields = Fields(value, where)
    role = _ROLES.get(fields.need("role", str).lower())
    if role is None:
        raise InvalidRequest(f"{where}.role must be one of {', '.join(_ROLES)}", param="messages")
    text = fields.take("content", str) or ""
    images = images_of(fields, where)
    content: str | tuple[Part, ...] = (*images, TextPart(text)) if images else text
    calls = fields.take("tool_calls", list[dict[str, Any]]) or []
    return Message(
        role=role,
        content=content,
        reasoning=fields.take("thinking", str) if role == "assistant" else None,
        tool_calls=tuple(_call(each, place, where) for place, each in enumerate(calls)),
        tool_call_id=fields.take("tool_call_id", str) if role == "tool" else None,
        tool_name=fields.take("tool_name", str, "name") if role == "tool" else None,
    )


def _call(value: dict[str, Any], place: int, where: str) -> ToolCall:
    function = Fields(
        as_kind(value.get("function"), dict[str, Any], f"{where}.tool_calls"), f"{where}.tool_calls"
    )
    arguments = function.any("arguments")
    if not isinstance(arguments, str):
        arguments = msgspec.json.encode(arguments if arguments is not None else {}).decode()
    id = value.get("id")
    return ToolCall(
        id=id if isinstance(id, str) and id else f"call_{place}",
        name=function.need("name", str),
        arguments=arguments,
    )
