"""Ollama's bodies and answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from api.openapi.shapes.options import FunctionTool, Options

Think = bool | Literal["low", "medium", "high", "max"]
Alive = Annotated[
    str | float, Meta(description="Seconds, or text such as `5m`; negative for ever, 0 unloads.")
]


class OllamaMessage(Struct, kw_only=True, omit_defaults=True):
    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    thinking: str | None = None
    images: Annotated[list[str], Meta(description="Base64.")] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_name: str | None = None


class OllamaShared(Struct, kw_only=True, omit_defaults=True):
    model: str
    stream: Annotated[bool, Meta(description="Lines unless it is false.")] | None = None
    format: Annotated[str | dict[str, Any], Meta(description='"json", "" or a JSON Schema.')] | None = None
    options: Options | None = None
    keep_alive: Alive | None = None
    think: Think | None = None
    truncate: bool | None = None
    shift: bool | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None


class GenerateBody(OllamaShared, kw_only=True, omit_defaults=True):
    prompt: Annotated[str, Meta(description="Empty: load the model, or unload it with `keep_alive: 0`.")] = ""
    suffix: str | None = None
    system: str | None = None
    raw: bool | None = None
    context: list[int] | None = None
    images: Annotated[list[str], Meta(description="Base64.")] | None = None


class ChatBody(OllamaShared, kw_only=True, omit_defaults=True):
    messages: Annotated[
        list[OllamaMessage], Meta(max_length=2048, description="Empty: load, or unload.")
    ] = []
    tools: list[FunctionTool] | None = None


class Generated(Struct, kw_only=True, omit_defaults=True):
    model: str
    created_at: str
    response: str
    done: bool
    done_reason: str | None = None
    context: list[int] | None = None
    total_duration: Annotated[int, Meta(description="Nanoseconds, as the other durations.")] | None = None


class Chatted(Struct, kw_only=True, omit_defaults=True):
    model: str
    created_at: str
    message: OllamaMessage
    done: bool
    done_reason: str | None = None
    total_duration: int | None = None


class EmbedBody(Struct, kw_only=True, omit_defaults=True):
    model: str
    input: str | list[str] = ""
    truncate: bool | None = None
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    options: Options | None = None
    keep_alive: Alive | None = None


class Embedded(Struct, kw_only=True, omit_defaults=True):
    model: str
    embeddings: list[list[float]]
    total_duration: int | None = None
    load_duration: int | None = None
    prompt_eval_count: int | None = None


class EmbeddingBody(Struct, kw_only=True, omit_defaults=True):
    model: str
    prompt: str = ""
    options: Options | None = None
    keep_alive: Alive | None = None


class EmbeddingAnswer(Struct, kw_only=True):
    embedding: list[float]


class Version(Struct, kw_only=True):
    version: Annotated[str, Meta(description="Of the protocol that is spoken.")]
    hearth: str


class Status(Struct, kw_only=True):
    cloud: dict[str, Any]


class Tag(Struct, kw_only=True):
    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: dict[str, Any]


class Tags(Struct, kw_only=True):
    models: list[Tag]


class Running(Struct, kw_only=True):
    name: str
    model: str
    size: int
    size_vram: int
    digest: str
    details: dict[str, Any]
    expires_at: str
    context_length: int


class Processes(Struct, kw_only=True):
    models: list[Running]


class ShowBody(Struct, kw_only=True, omit_defaults=True):
    model: str
    verbose: bool | None = None


class Shown(Struct, kw_only=True):
    license: str
    modelfile: str
    parameters: str
    template: str
    system: str
    details: dict[str, Any]
    messages: list[dict[str, Any]]
    model_info: dict[str, Any]
    capabilities: list[str]
    modified_at: str
    hearth: Annotated[dict[str, Any], Meta(description="What an alias says and Ollama has no words for.")]


class CreateBody(Struct, kw_only=True, omit_defaults=True, rename={"from_": "from"}):
    model: str
    from_: Annotated[str, Meta(description="A model or an alias that is here.")] | None = None
    files: Annotated[dict[str, str], Meta(description="File names with digests of blobs.")] | None = None
    adapters: (
        Annotated[
            list[str] | dict[str, str],
            Meta(description="Names of adapters, or file names with digests of blobs."),
        ]
        | None
    ) = None
    system: str | None = None
    template: Annotated[str, Meta(description="In Jinja; needs the scope admin.")] | None = None
    parameters: dict[str, Any] | None = None
    messages: list[OllamaMessage] | None = None
    license: str | list[str] | None = None
    keep_alive: Alive | None = None
    think: Think | None = None
    format: Literal["json", ""] | None = None
    stream: bool | None = None


class Progress(Struct, kw_only=True, omit_defaults=True):
    status: str
    digest: str | None = None
    total: int | None = None
    completed: int | None = None


class CopyBody(Struct, kw_only=True):
    source: str
    destination: str


class NameBody(Struct, kw_only=True):
    model: str


class PullBody(Struct, kw_only=True, omit_defaults=True):
    model: Annotated[str, Meta(description="`org/name`, `org/name:Q4_K_M`, `hf.co/org/name:Q4_K_M`.")]
    stream: bool | None = None


class LmStudioList(Struct, kw_only=True):
    object: Literal["list"]
    data: list[dict[str, Any]]
