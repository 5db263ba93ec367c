"""llama-server's bodies and answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from api.openapi.shapes.options import Options


class NativeCompletionBody(Struct, kw_only=True, omit_defaults=True):
    prompt: Annotated[str | list[Any], Meta(description="Text, tokens, or a list of either.")]
    model: str | None = None
    n_predict: Annotated[int, Meta(ge=-1, lt=2**31)] | None = None
    n_probs: Annotated[int, Meta(ge=0, le=100)] | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    return_tokens: bool | None = None
    response_fields: list[str] | None = None
    logit_bias: list[list[Any]] | dict[str, Any] | None = None


class NativeCompletion(Struct, kw_only=True, omit_defaults=True):
    """Of these fields those that `response_fields` names, all of them where it is left out."""

    content: str = ""
    tokens: list[int] = []
    stop: bool = True
    stop_type: str = ""
    model: str = ""
    tokens_predicted: int = 0
    tokens_evaluated: int = 0
    truncated: bool = False
    timings: dict[str, Any] = {}


class InfillExtra(Struct, kw_only=True):
    filename: str
    text: str


class InfillBody(Struct, kw_only=True, omit_defaults=True):
    input_prefix: str = ""
    input_suffix: str = ""
    prompt: str | None = None
    input_extra: list[InfillExtra] | None = None
    model: str | None = None
    n_predict: Annotated[int, Meta(ge=-1, lt=2**31)] | None = None
    stream: bool | None = None


class RerankBody(Struct, kw_only=True, omit_defaults=True):
    query: str
    documents: Annotated[list[str], Meta(min_length=1, max_length=2048)]
    model: str | None = None
    top_n: Annotated[int, Meta(ge=1)] | None = None
    return_documents: bool | None = None


class Reranked(Struct, kw_only=True):
    object: Literal["list"]
    model: str
    results: list[dict[str, Any]]
    usage: dict[str, Any]


class NativeEmbeddingBody(Struct, kw_only=True, omit_defaults=True):
    content: str | list[str]
    model: str | None = None
    pooling: Literal["none", "mean", "cls", "last"] | None = None
    embd_normalize: Annotated[int, Meta(ge=-1, le=64)] | None = None


class TokenizeBody(Struct, kw_only=True, omit_defaults=True):
    content: str
    model: str | None = None
    add_special: bool | None = None
    parse_special: bool | None = None
    with_pieces: bool | None = None


class TokenizePromptBody(Struct, kw_only=True, omit_defaults=True):
    """vLLM's form."""

    prompt: str
    model: str | None = None
    add_special_tokens: bool | None = None
    return_token_strs: bool | None = None


class TokenizerInfo(Struct, kw_only=True):
    tokenizer_class: str
    model_max_length: int
    bos_token: str | None
    eos_token: str | None
    chat_template: str | None


class TokenPiece(Struct, kw_only=True):
    """`piece` is text, or the bytes of what is none by itself."""

    id: int
    piece: str | list[int]


class Tokens(Struct, kw_only=True, omit_defaults=True):
    """`count` and what follows are told in vLLM's form."""

    tokens: list[int | TokenPiece]
    count: int = 0
    max_model_len: int = 0
    token_strs: list[str] | None = None


class DetokenizeBody(Struct, kw_only=True, omit_defaults=True):
    tokens: list[int]
    model: str | None = None


class Content(Struct, kw_only=True):
    """The same text twice: llama-server calls it content, vLLM the prompt."""

    content: str
    prompt: str


class TemplateBody(Struct, kw_only=True, omit_defaults=True):
    messages: list[dict[str, Any]]
    model: str | None = None
    tools: list[dict[str, Any]] | None = None
    chat_template_kwargs: dict[str, Any] | None = None


class RenderedPrompt(Struct, kw_only=True):
    prompt: str


class AdapterScale(Struct, kw_only=True):
    id: int
    scale: float = 1.0


class AdapterRow(Struct, kw_only=True):
    id: int
    path: Annotated[str, Meta(description="The adapter's name; no path leaves this machine.")]
    scale: float


class LoadBody(Struct, kw_only=True, omit_defaults=True):
    model: str
    options: Options | None = None
    keep_alive: str | float | None = None


class Success(Struct, kw_only=True):
    success: bool
