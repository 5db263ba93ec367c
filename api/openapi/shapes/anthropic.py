"""Anthropic's bodies and answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct


class AnthropicMessage(Struct, kw_only=True):
    role: Literal["user", "assistant", "system"]
    content: str | list[dict[str, Any]]


class CountBody(Struct, kw_only=True, omit_defaults=True):
    model: str
    messages: Annotated[list[AnthropicMessage], Meta(min_length=1, max_length=2048)]
    system: str | list[dict[str, Any]] | None = None
    tools: Annotated[list[dict[str, Any]], Meta(max_length=256)] | None = None
    tool_choice: (
        Annotated[dict[str, Any], Meta(description="`{type: auto | any | none | tool, name?}`")] | None
    ) = None
    thinking: (
        Annotated[
            dict[str, Any],
            Meta(
                description="`{type: enabled, budget_tokens}`, `{type: adaptive}` or `{type: disabled}`; none is off."
            ),
        ]
        | None
    ) = None
    output_config: (
        Annotated[dict[str, Any], Meta(description="`{effort, format: {type: json_schema, schema}}`")] | None
    ) = None


class MessageBody(CountBody, kw_only=True, omit_defaults=True):
    max_tokens: Annotated[int, Meta(ge=0, lt=2**31)]
    stream: bool | None = None
    stop_sequences: list[str] | None = None


class MessageAnswer(Struct, kw_only=True):
    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[dict[str, Any]]
    stop_reason: str | None
    stop_sequence: str | None
    usage: dict[str, Any]


class CountAnswer(Struct, kw_only=True):
    input_tokens: int
