"""Anthropic's messages, read into the engine's: one message of theirs may become several of ours.

Results of tools are blocks of a user message there and messages of their own here.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from api.dialects.openai.messages import MAX_MESSAGES
from api.reading.fields import Fields, as_kind
from engine.errors import InvalidRequest, Unsupported
from engine.media import image_from_json
from engine.types import DocumentPart, Message, Part, Role, TextPart, ToolCall

_ROLES: Final[dict[str, Role]] = {"user": "user", "assistant": "assistant", "system": "system"}
_SKIPPED: Final = frozenset(
    """
    redacted_thinking server_tool_use container_upload web_search_tool_result web_fetch_tool_result
    code_execution_tool_result bash_code_execution_tool_result text_editor_code_execution_tool_result mcp_tool_use
    mcp_tool_result compaction
    """.split()
)
"""Blocks that another server made and that mean nothing to the model here."""


def messages_of(fields: Fields) -> tuple[Message, ...]:
    """`system` and `messages`. Raises InvalidRequest."""
    listed = fields.need("messages", list[dict[str, Any]])
    if not listed:
        raise InvalidRequest("messages: at least one message is required", param="messages")
    if len(listed) > MAX_MESSAGES:
        raise InvalidRequest("There are too many messages.", f"At most {MAX_MESSAGES}.", param="messages")
    found: list[Message] = []
    system = text_of(fields.any("system"), "system")
    if system:
        found.append(Message(role="system", content=system))
    names: dict[str, str] = {}
    for place, each in enumerate(listed):
        for message in _messages(each, f"messages.{place}", names):
            _append(found, message)
    return tuple(found)


def text_of(value: Any, where: str) -> str:
    """Text, or text blocks joined."""
    if value is None or isinstance(value, str):
        return value or ""
    blocks = as_kind(value, list[dict[str, Any]], where)
    return "\n".join(
        as_kind(block.get("text"), str, where) for block in blocks if block.get("type") == "text"
    )


def _append(found: list[Message], message: Message) -> None:
    """Messages of one role that follow one another are one; results of tools stay apart."""
    last = found[-1] if found else None
    alike = (
        last is not None
        and last.role == message.role
        and message.role in ("user", "assistant")
        and not (last.tool_calls or message.tool_calls)
    )
    if not alike or last is None:
        found.append(message)
        return
    if isinstance(last.content, str) and isinstance(message.content, str):
        content: str | tuple[Part, ...] = f"{last.content}\n{message.content}"
    else:
        content = (*_as_parts(last.content), *_as_parts(message.content))
    found[-1] = msgspec.structs.replace(last, content=content, reasoning=message.reasoning or last.reasoning)


def _messages(value: dict[str, Any], where: str, names: dict[str, str]) -> list[Message]:
    fields = Fields(value, where)
    role = _ROLES.get(fields.need("role", str).lower())
    if role is None:
        raise InvalidRequest(f"{where}.role: must be user, assistant or system", param="messages")
    content = fields.any("content")
    if isinstance(content, str):
        return [Message(role=role, content=content)]
    blocks = as_kind(content, list[dict[str, Any]], f"{where}.content")
    results: list[Message] = []
    parts: list[Part] = []
    calls: list[ToolCall] = []
    reasoning: list[str] = []
    signature: str | None = None
    for place, block in enumerate(blocks):
        at = f"{where}.content.{place}"
        kind = block.get("type")
        if kind == "tool_result":
            results.append(_result(block, at, names))
        elif kind == "tool_use":
            calls.append(_use(block, at, names))
        elif kind == "thinking":
            reasoning.append(as_kind(block.get("thinking"), str, at))
            signature = block.get("signature") if isinstance(block.get("signature"), str) else None
        elif kind not in _SKIPPED:
            parts.append(_part(block, at))
    found = list(results)
    if parts or calls or reasoning or not results:
        text_only = all(isinstance(part, TextPart) for part in parts)
        found.append(
            Message(
                role=role,
                content="".join(part.text for part in parts if isinstance(part, TextPart))
                if text_only
                else tuple(parts),
                reasoning="\n".join(reasoning) or None,
                reasoning_signature=signature,
                tool_calls=tuple(calls),
            )
        )
    return found


def _part(block: dict[str, Any], where: str) -> Part:
    match block.get("type"):
        case "text":
            return TextPart(as_kind(block.get("text"), str, f"{where}.text"))
        case "image":
            return image_from_json(block, where)
        case "document":
            return _document(block, where)
        case "search_result":
            title = block.get("title")
            text = text_of(block.get("content"), f"{where}.content")
            return DocumentPart(text=text, title=title if isinstance(title, str) else None)
        case kind:
            raise Unsupported(
                f"{where}: a block of type {str(kind)[:40]!r} cannot be read.",
                "Blocks are text, image, document, tool_use, tool_result and thinking.",
                param="messages",
            )


def _document(block: dict[str, Any], where: str) -> DocumentPart:
    source = as_kind(block.get("source"), dict[str, Any], f"{where}.source")
    title = block.get("title") if isinstance(block.get("title"), str) else None
    match source.get("type"):
        case "text":
            return DocumentPart(text=as_kind(source.get("data"), str, f"{where}.source.data"), title=title)
        case "content":
            return DocumentPart(text=text_of(source.get("content"), f"{where}.source.content"), title=title)
    raise Unsupported(
        f"{where}: this kind of document cannot be read.",
        "Documents are read as text.",
        "Send its text.",
        param="messages",
    )


def _use(block: dict[str, Any], where: str, names: dict[str, str]) -> ToolCall:
    call = ToolCall(
        id=as_kind(block.get("id"), str, f"{where}.id"),
        name=as_kind(block.get("name"), str, f"{where}.name"),
        arguments=msgspec.json.encode(block.get("input") or {}).decode(),
    )
    names[call.id] = call.name
    return call


def _result(block: dict[str, Any], where: str, names: dict[str, str]) -> Message:
    id = as_kind(block.get("tool_use_id"), str, f"{where}.tool_use_id")
    value = block.get("content")
    content: str | tuple[Part, ...] = ""
    if isinstance(value, str):
        content = value
    elif value is not None:
        parts = tuple(_part(each, where) for each in as_kind(value, list[dict[str, Any]], f"{where}.content"))
        text_only = all(isinstance(part, TextPart) for part in parts)
        content = "".join(part.text for part in parts if isinstance(part, TextPart)) if text_only else parts
    return Message(
        role="tool",
        content=content,
        tool_call_id=id,
        tool_name=names.get(id),
        tool_error=block.get("is_error") is True,
    )


def _as_parts(content: str | tuple[Part, ...]) -> tuple[Part, ...]:
    return (TextPart(content),) if isinstance(content, str) else content
