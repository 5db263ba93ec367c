"""OpenAI's bodies and answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from api.openapi.shapes.options import FunctionTool, Image, Text


class ChatMessage(Struct, kw_only=True, omit_defaults=True):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Text | Image] | None = None
    reasoning_content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class StreamOptions(Struct, kw_only=True, omit_defaults=True):
    include_usage: bool | None = None


class ChatCompletionBody(Struct, kw_only=True, omit_defaults=True):
    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=2048)]
    model: (
        Annotated[str, Meta(description="A model, `model:adapter` or an alias; none is the default one.")]
        | None
    ) = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_completion_tokens: Annotated[int, Meta(ge=-1, lt=2**31)] | None = None
    max_tokens: Annotated[int, Meta(ge=-1, lt=2**31)] | None = None
    n: Annotated[int, Meta(ge=1, le=8)] | None = None
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    logit_bias: dict[str, float] | None = None
    response_format: (
        Annotated[
            dict[str, Any],
            Meta(description="`{type: text | json_object | json_schema, json_schema?: {schema}}`"),
        ]
        | None
    ) = None
    tools: list[FunctionTool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    continue_final_message: Annotated[bool, Meta(description="Go on writing the last message.")] | None = None
    truncation: (
        Annotated[Literal["auto", "disabled"], Meta(description="auto: drop the oldest turns.")] | None
    ) = None


class CompletionUsage(Struct, kw_only=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: dict[str, Any]
    completion_tokens_details: dict[str, Any]


class ChatCompletion(Struct, kw_only=True):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: CompletionUsage
    timings: dict[str, Any]


class CompletionBody(Struct, kw_only=True, omit_defaults=True):
    model: str | None = None
    prompt: str | list[str | int | list[int]] = ""
    suffix: str | None = None
    max_tokens: Annotated[int, Meta(ge=-1, lt=2**31, description="16 where nothing is said.")] | None = None
    n: Annotated[int, Meta(ge=1, le=8)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    echo: bool | None = None
    logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    stop: str | list[str] | None = None
    logit_bias: dict[str, float] | None = None
    truncation: Literal["auto", "disabled"] | None = None


class Completion(Struct, kw_only=True):
    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: CompletionUsage


class EmbeddingsBody(Struct, kw_only=True, omit_defaults=True):
    input: str | list[str | int | list[int]]
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    truncate: bool | None = None


class EmbeddingList(Struct, kw_only=True):
    object: Literal["list"]
    data: list[dict[str, Any]]
    model: str
    usage: dict[str, Any]


class ModelCard(Struct, kw_only=True):
    """What OpenAI's and Anthropic's clients both read of a model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    root: str
    parent: Annotated[str | None, Meta(description="The model behind an adapter or an alias.")]
    type: Literal["model"]
    display_name: str
    created_at: str
    max_model_len: int | None


class ModelList(Struct, kw_only=True):
    object: Literal["list"]
    data: list[ModelCard]
    has_more: bool
    first_id: str | None
    last_id: str | None
    models: list[dict[str, Any]]


class ResponseBody(Struct, kw_only=True, omit_defaults=True):
    input: str | list[dict[str, Any]]
    model: str | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    stream: bool | None = None
    background: bool | None = None
    store: bool | None = None
    max_output_tokens: Annotated[int, Meta(ge=-1, lt=2**31)] | None = None
    text: (
        Annotated[dict[str, Any], Meta(description="`{format: {type: text | json_object | json_schema, …}}`")]
        | None
    ) = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Annotated[dict[str, Any], Meta(description="`{effort, summary}`")] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    include: list[str] | None = None
    metadata: dict[str, Any] | None = None


class Response(Struct, kw_only=True):
    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
    model: str
    output: list[dict[str, Any]]
    usage: dict[str, Any] | None


class CompactBody(Struct, kw_only=True, omit_defaults=True):
    input: str | list[dict[str, Any]]
    model: str | None = None
    instructions: str | None = None
    previous_response_id: str | None = None


class Compacted(Struct, kw_only=True):
    """The messages of the user, then an item of type `compaction` that stands for the rest."""

    id: str
    object: Literal["response.compaction"]
    created_at: int
    output: list[dict[str, Any]]
    usage: dict[str, Any]


class Deleted(Struct, kw_only=True):
    id: str
    object: str
    deleted: bool


class InputTokens(Struct, kw_only=True):
    object: Literal["response.input_tokens"]
    input_tokens: int


class ItemList(Struct, kw_only=True):
    object: Literal["list"]
    data: list[dict[str, Any]]
    has_more: bool


class DecisionsBody(Struct, kw_only=True, omit_defaults=True):
    input: str | list[dict[str, Any]]
    questions: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=400)]
    model: str | None = None


class Decisions(Struct, kw_only=True):
    model: str
    answers: list[dict[str, Any]]
    usage: dict[str, Any]


class SystemOneBody(Struct, kw_only=True, omit_defaults=True):
    questions: dict[str, dict[str, Any]]
    model: str | None = None
    state: str | list[Any] | dict[str, Any] | None = None
    images: list[str] | None = None


class SystemOne(Struct, kw_only=True):
    model: str
    answers: dict[str, Any]
    usage: dict[str, Any]
