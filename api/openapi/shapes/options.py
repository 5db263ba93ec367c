"""What requests of every dialect may say beside their own fields."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from engine.types import Sampling


class Options(Struct, kw_only=True, omit_defaults=True):
    """Ollama's options, known on every route; sampling values may stand here too."""

    num_ctx: Annotated[int, Meta(description="Context window, tokens.")] | None = None
    num_predict: Annotated[int, Meta(description="Most tokens of the answer; -1: as many as fit.")] | None = (
        None
    )
    num_batch: (
        Annotated[int, Meta(description="Largest piece of a prompt that is computed at once.")] | None
    ) = None
    num_gpu: Annotated[int, Meta(description="Layers on the GPU; -1: as many as fit.")] | None = None
    num_thread: Annotated[int, Meta(description="Threads of the processor.")] | None = None
    num_keep: Annotated[int, Meta(description="Tokens at the head that a shift keeps.")] | None = None
    use_mmap: bool | None = None
    draft_num_predict: Annotated[int, Meta(description="Most tokens guessed ahead; 0 is off.")] | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    repeat_penalty: float | None = None
    progress: (
        Annotated[
            bool, Meta(description="Ollama's streams tell of loads and prefills in lines of their own.")
        ]
        | None
    ) = None


class NamedAdapter(Struct, kw_only=True):
    """An adapter by its name, and how strongly it counts."""

    name: str
    scale: float = 1.0


class Extensions(Struct, kw_only=True, omit_defaults=True):
    """Fields with the same meaning on every generating route."""

    options: Options | None = None
    keep_alive: (
        Annotated[
            str | float,
            Meta(description="How long the model stays: seconds, or `5m`; negative for ever, 0 not at all."),
        ]
        | None
    ) = None
    adapters: (
        Annotated[
            list[str | NamedAdapter], Meta(description="Adapters by name, as `GET /adapters` lists them.")
        ]
        | None
    ) = None
    adapter: str | None = None
    grammar: Annotated[str, Meta(description="The answer's form in GBNF.")] | None = None
    json_schema: Annotated[dict[str, Any], Meta(description="The answer's form as a JSON Schema.")] | None = (
        None
    )
    guided_choice: Annotated[list[str], Meta(description="The answer is one of these.")] | None = None
    guided_regex: Annotated[str, Meta(description="The answer matches this.")] | None = None
    cache_prompt: (
        Annotated[bool, Meta(description="false: nothing that was computed before is used.")] | None
    ) = None
    chat_template_kwargs: (
        Annotated[dict[str, Any], Meta(description="Switches of thinking; others need the scope admin.")]
        | None
    ) = None


SamplingFields = msgspec.defstruct(
    "SamplingFields",
    [
        (each.name, each.type | None, None)
        for each in msgspec.structs.fields(Sampling)
        if each.name != "logit_bias"
    ],
    kw_only=True,
    omit_defaults=True,
)
"""Every sampling value by Hearth's name; bounds are those of the engine."""


class Text(Struct, kw_only=True, tag_field="type", tag="text"):
    text: str


class ImageAddress(Struct, kw_only=True):
    url: Annotated[
        str, Meta(description="`data:image/png;base64,…`; other addresses only where settings allow.")
    ]


class Image(Struct, kw_only=True, tag_field="type", tag="image_url"):
    image_url: ImageAddress


class Function(Struct, kw_only=True, omit_defaults=True):
    name: str
    description: str | None = None
    parameters: Annotated[dict[str, Any], Meta(description="A JSON Schema.")] | None = None
    strict: bool | None = None


class FunctionTool(Struct, kw_only=True, tag_field="type", tag="function"):
    function: Function
