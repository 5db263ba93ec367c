"""The items of a request, read into messages, and of an answer, as the protocol writes them."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from api.answering.result import Choice
from api.dialects.openai.messages import MAX_MESSAGES, messages_of
from api.dialects.openai.usage import logprobs_of
from api.reading.fields import as_kind
from engine.errors import InvalidRequest
from engine.types import Message, ToolCall

_CALLS = {"function_call": "arguments", "custom_tool_call": "input", "local_shell_call": "action"}
SUMMARY = "hearth-summary-"
"""How the content of a compaction item of Hearth's begins."""
_OUTPUTS = ("function_call_output", "custom_tool_call_output", "local_shell_call_output")


def messages_from(value: Any) -> tuple[Message, ...]:
    """`input`: text, or items. Items of a kind that means nothing here are passed over. Raises InvalidRequest."""
    if isinstance(value, str):
        return (Message(role="user", content=value),)
    listed = as_kind(value if value is not None else [], list[dict[str, Any]], "input")
    if len(listed) > MAX_MESSAGES:
        raise InvalidRequest("There are too many items.", f"At most {MAX_MESSAGES}.", param="input")
    found: list[Message] = []
    names: dict[str, str] = {}
    reasoning: str | None = None
    for place, item in enumerate(listed):
        kind = item.get("type", "message")
        if kind == "message":
            message = messages_of([{**item, "role": item.get("role", "user")}])[0]
            if message.role == "assistant" and reasoning:
                message = msgspec.structs.replace(message, reasoning=reasoning)
            found.append(message)
        elif kind == "compaction":
            found += _summary(item)
        elif kind in _CALLS and (item.get("call_id") or item.get("id")):
            call = _call(item, kind, place)
            names[call.id] = call.name
            last = found[-1] if found else None
            if last is not None and last.role == "assistant":
                found[-1] = msgspec.structs.replace(last, tool_calls=(*last.tool_calls, call))
            else:
                found.append(Message(role="assistant", reasoning=reasoning, tool_calls=(call,)))
        elif kind in _OUTPUTS and item.get("call_id"):
            found.append(_output(item, names, place))
        reasoning = _reasoning(item) if kind == "reasoning" else None if kind == "message" else reasoning
    return tuple(found)


def reasoning_item(id: str, text: str, *, status: str, summary: bool) -> dict[str, Any]:
    """What the model thought; as a summary where one was asked for."""
    part = [{"type": "summary_text" if summary else "reasoning_text", "text": text}] if text else []
    return {
        "id": id,
        "type": "reasoning",
        "summary": part if summary else [],
        "content": [] if summary else part,
        "encrypted_content": None,
        "status": status,
    }


def message_item(id: str, text: str, logprobs: list[dict[str, Any]], *, status: str) -> dict[str, Any]:
    """A message; without its part while it is in progress."""
    content = [] if status == "in_progress" else [text_part(text, logprobs)]
    return {"id": id, "type": "message", "role": "assistant", "status": status, "content": content}


def text_part(text: str, logprobs: list[dict[str, Any]]) -> dict[str, Any]:
    """The text of a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def call_item(id: str, call: ToolCall, *, status: str) -> dict[str, Any]:
    """A call of a function."""
    return {
        "id": id,
        "type": "function_call",
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
        "status": status,
    }


def output_of(choice: Choice, id: str, status: str, *, summary: bool, logprobs: bool) -> list[dict[str, Any]]:
    """The items of a whole answer, in the order in which its stream has them."""
    found: list[dict[str, Any]] = []
    if choice.reasoning:
        found.append(reasoning_item(f"rs_{id}_0", choice.reasoning, status=status, summary=summary))
    calls = choice.calls
    if choice.text or not (calls or choice.reasoning):
        scores = logprobs_of(choice.logprobs) if logprobs else []
        found.append(message_item(f"msg_{id}_{len(found)}", choice.text, scores, status=status))
    for call in calls:
        found.append(call_item(f"fc_{id}_{len(found)}", call, status=status))
    return found


def said(choice: Choice) -> Message:
    """The answer as a message, for the conversation that goes on from it."""
    return Message(
        role="assistant",
        content=choice.text,
        reasoning=choice.reasoning or None,
        tool_calls=tuple(choice.calls),
    )


def _call(item: dict[str, Any], kind: str, place: int) -> ToolCall:
    arguments = item.get(_CALLS[kind])
    if not isinstance(arguments, str):
        arguments = msgspec.json.encode(arguments if arguments is not None else {}).decode()
    elif kind == "custom_tool_call":
        arguments = msgspec.json.encode({"input": arguments}).decode()
    name = item.get("name") if kind != "local_shell_call" else "local_shell"
    return ToolCall(
        id=as_kind(item.get("call_id") or item.get("id"), str, f"input[{place}].call_id"),
        name=as_kind(name, str, f"input[{place}].name"),
        arguments=arguments or "{}",
    )


def _output(item: dict[str, Any], names: dict[str, str], place: int) -> Message:
    id = as_kind(item.get("call_id"), str, f"input[{place}].call_id")
    value = item.get("output")
    if isinstance(value, list):
        content = messages_of([{"role": "user", "content": value}])[0].content
    else:
        content = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return Message(role="tool", content=content, tool_call_id=id, tool_name=names.get(id))


def _summary(item: dict[str, Any]) -> list[Message]:
    """What `/v1/responses/compact` left of a conversation; that of another server cannot be read."""
    content = item.get("encrypted_content")
    if not isinstance(content, str) or not content.startswith(SUMMARY):
        return []
    try:
        text = base64.b64decode(content.removeprefix(SUMMARY), validate=True).decode()
    except ValueError:
        return []
    return [Message(role="user", content=f"Summary of our conversation so far:\n{text}")]


def _reasoning(item: dict[str, Any]) -> str | None:
    parts = [*(item.get("content") or []), *(item.get("summary") or [])]
    texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return "\n".join(texts) or None
