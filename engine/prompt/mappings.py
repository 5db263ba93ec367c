"""Messages and tools as the mappings that templates read: the chat format of `transformers`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from engine.types import DocumentPart, ImagePart, Message, TextPart, Tool, ToolCall


class CallStyle(NamedTuple):
    """How a template takes tool calls: arguments as an object or as JSON text, and what empty content is."""

    objects: bool
    empty: str | None


CALL_STYLES = (CallStyle(True, ""), CallStyle(False, ""), CallStyle(True, None), CallStyle(False, None))

Values = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def message_mapping(message: Message, style: CallStyle, values: Values = dict) -> dict[str, Any]:
    """The message; `values` prepares the arguments of its calls where they go in as objects."""
    made: dict[str, Any] = {"role": message.role, "content": _content(message)}
    if message.name or message.tool_name:
        made["name"] = message.tool_name or message.name
    if message.reasoning is not None:
        # gpt-oss reads `thinking`, all others `reasoning_content`.
        made["reasoning_content"] = made["thinking"] = message.reasoning
    if message.tool_calls:
        made["tool_calls"] = [_call(call, values if style.objects else None) for call in message.tool_calls]
        # Command R7B's name for what comes before its calls.
        made["tool_plan"] = "\n\n".join(text for text in (message.reasoning, message.text) if text)
        made["content"] = made["content"] or style.empty
    if message.tool_call_id is not None:
        made["tool_call_id"] = message.tool_call_id
    return made


def tool_mapping(tool: Tool) -> dict[str, Any]:
    """The tool, with an object of no properties where it says nothing of its parameters."""
    parameters = tool.parameters
    if not isinstance(parameters, Mapping):
        parameters = {"type": "object", "properties": {}}
    elif "properties" not in parameters:
        # Templates walk the properties without asking for them.
        parameters = {"type": "object", "properties": {}, **parameters}
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": function}


def plain_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool in the words that all templates understand, for those that fail on the finer ones.

    Each property gets a description and one type; what a property may hold inside is left out.
    """
    function = tool["function"]
    properties = function["parameters"]["properties"]
    made = {
        **function["parameters"],
        "properties": {name: _plain(schema) for name, schema in properties.items()},
    }
    return {**tool, "function": {**function, "parameters": made}}


def _plain(schema: Any) -> dict[str, Any]:
    schema = schema if isinstance(schema, Mapping) else {}
    kinds = schema.get("type", "string")
    if isinstance(kinds, list | tuple):
        kinds = next((kind for kind in kinds if kind != "null"), "string")
    made = {"type": kinds, "description": str(schema.get("description", ""))}
    if kinds == "array":
        made["items"] = {"type": "string"}
    elif kinds == "object":
        made["additionalProperties"] = {"type": "string"}
    return made | ({"enum": schema["enum"]} if "enum" in schema else {})


def _content(message: Message) -> str | list[dict[str, Any]]:
    """Text, or a list of parts where there are media that the template has to place."""
    if isinstance(message.content, str) or all(
        isinstance(part, TextPart | DocumentPart) for part in message.content
    ):
        return message.text
    return [
        {"type": "text", "text": part.text}
        if isinstance(part, TextPart | DocumentPart)
        else {"type": "image" if isinstance(part, ImagePart) else "audio"}
        for part in message.content
    ]


def _call(call: ToolCall, values: Values | None) -> dict[str, Any]:
    arguments: Any = call.arguments.strip() or "{}"
    if values is not None:
        arguments = values(arguments_mapping(call.arguments))
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def arguments_mapping(text: str) -> dict[str, Any]:
    """The arguments of a call as an object; a text that is none, which a model may have written, as its only value."""
    try:
        parsed = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {"arguments": text}
    return parsed if isinstance(parsed, dict) else {"arguments": parsed}
