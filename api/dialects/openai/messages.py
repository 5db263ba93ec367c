"""OpenAI's messages, as `chat/completions` has them, read into the engine's."""

from __future__ import annotations

import base64
from typing import Any, Final

from api.reading.fields import Fields, as_kind
from engine.errors import InvalidRequest, Unsupported
from engine.media import image_from_json
from engine.types import DocumentPart, Message, Part, Role, TextPart, ToolCall

MAX_MESSAGES: Final = 2048
_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}


def messages_of(value: Any) -> tuple[Message, ...]:
    """The messages of `value`. Raises InvalidRequest naming the one that cannot be read."""
    if not isinstance(value, list):
        raise InvalidRequest("`messages` must be a list.", param="messages")
    if not value:
        raise InvalidRequest("`messages` is empty.", fix="Send at least one message.", param="messages")
    if len(value) > MAX_MESSAGES:
        raise InvalidRequest("There are too many messages.", f"At most {MAX_MESSAGES}.", param="messages")
    found = tuple(_message(each, f"messages[{place}]") for place, each in enumerate(value))
    return found


def _message(value: Any, where: str) -> Message:
    fields = Fields(as_kind(value, dict[str, Any], where), where)
    role = _ROLES.get(fields.need("role", str).lower())
    if role is None:
        raise InvalidRequest(
            f"`{where}.role` is unknown.", f"It is one of {', '.join(_ROLES)}.", param="messages"
        )
    calls = tuple(_call(each, f"{where}.tool_calls") for each in fields.take("tool_calls", list[Any]) or ())
    if legacy := fields.take("function_call", dict[str, Any]):
        calls += (_call({"id": "", "function": legacy}, f"{where}.function_call"),)
    content = _content(fields.any("content"), f"{where}.content")
    if content == "" and role == "assistant" and (refusal := fields.take("refusal", str)):
        content = refusal
    return Message(
        role=role,
        content=content,
        name=fields.take("name", str) if role != "tool" else None,
        reasoning=fields.take("reasoning_content", str, "reasoning") if role == "assistant" else None,
        tool_calls=calls,
        tool_call_id=fields.take("tool_call_id", str) if role == "tool" else None,
        tool_name=fields.take("name", str) if role == "tool" else None,
    )


def _content(value: Any, where: str) -> str | tuple[Part, ...]:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    listed = as_kind(value, list[dict[str, Any]], where)
    parts = tuple(_part(each, f"{where}[{place}]") for place, each in enumerate(listed))
    if all(isinstance(part, TextPart) for part in parts):
        return "".join(part.text for part in parts if isinstance(part, TextPart))
    return parts


def _part(value: dict[str, Any], where: str) -> Part:
    match value.get("type"):
        case "text" | "input_text" | "output_text":
            return TextPart(as_kind(value.get("text"), str, f"{where}.text"))
        case "refusal":
            return TextPart(as_kind(value.get("refusal"), str, f"{where}.refusal"))
        case "image_url" | "input_image" | "image":
            return image_from_json(value, where)
        case "file" | "input_file":
            return _file(as_kind(value.get("file", value), dict[str, Any], f"{where}.file"), where)
        case kind:
            raise Unsupported(
                f"`{where}` has a part that cannot be read: {str(kind)[:40]!r}.",
                "Parts are text, image_url and file.",
                "Leave it out.",
                param="messages",
            )


def _file(value: dict[str, Any], where: str) -> DocumentPart:
    data = value.get("file_data")
    if not isinstance(data, str):
        raise Unsupported(
            f"`{where}` names a file that is not here.", fix="Send `file_data`.", param="messages"
        )
    if data.startswith("data:"):
        try:
            data = base64.b64decode(data.partition(",")[2], validate=True).decode()
        except ValueError:
            raise Unsupported(f"`{where}` holds a file that is not text.", param="messages") from None
    title = value.get("filename")
    return DocumentPart(text=data, title=title if isinstance(title, str) else None)


def _call(value: Any, where: str) -> ToolCall:
    call = as_kind(value, dict[str, Any], where)
    function = as_kind(call.get("function") or call.get("custom") or {}, dict[str, Any], f"{where}.function")
    arguments = function.get("arguments", function.get("input", "{}"))
    if not isinstance(arguments, str):
        import msgspec

        arguments = msgspec.json.encode(arguments).decode()
    return ToolCall(
        id=as_kind(call.get("id") or "", str, f"{where}.id"),
        name=as_kind(function.get("name"), str, f"{where}.function.name"),
        arguments=arguments or "{}",
    )
