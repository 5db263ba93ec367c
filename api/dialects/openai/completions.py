"""`POST /v1/completions`: texts and token lists continued as they stand, or filled in the middle."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, post
from litestar.types import ASGIApp
from msgspec.structs import replace

from api.answering.call import Call
from api.dialects.openai.chat import USUAL, StreamOptions, limit_of, overflow_of
from api.dialects.openai.chat_codec import Head
from api.dialects.openai.completions_codec import CompletionCodec, CompletionWhole
from api.reading.fields import Fields, as_kind
from api.reading.keywords import OPENAI
from api.reading.sampling import choices_of, sampling_of, stops_of
from engine.errors import InvalidRequest
from engine.types import GenerationRequest, Logprobs

MAX_PROMPTS: Final = 128
MAX_TOKENS: Final = 16
"""OpenAI's own default; what most libraries leave out because they know it."""
_MOST_TOP: Final = 20


@post(["/v1/completions", "/completions"], status_code=200)
async def completions(request: Request[Any, Any, Any]) -> ASGIApp:
    """Continuations of one or several prompts, `n` of each."""
    call = await Call.of(request)
    base = completion_request(call.fields, call.model())
    named = call.named
    options = StreamOptions(call.fields)
    prompts = prompts_of(call.fields)
    says_length = call.fields.has("max_tokens") or call.fields.has("n_predict")
    usual = USUAL if says_length else {**USUAL, "max_tokens": MAX_TOKENS}
    full = await call.as_usual(call.complete(base), **usual)
    asked = [replace(full, **prompt) for prompt in prompts]
    head = Head.of(call.id, named, "cmpl-")
    stream = call.merged(asked)
    shown = base.logprobs is not None
    whole = CompletionWhole(head, stream.admissions, base.n, logprobs=shown)
    codec = CompletionCodec(head, stream.admissions, base.n, logprobs=shown, usage=options.usage)
    return call.send(stream, whole=whole, codec=codec if options.stream else None, model=named)


def completion_request(fields: Fields, model: str) -> GenerationRequest:
    """The request without its prompt. Raises InvalidRequest and its kin."""
    fields.known(OPENAI)
    echo = fields.take("echo", bool) or False
    said = fields.any("logprobs")
    top: int | None = (0 if said else None) if isinstance(said, bool) else fields.take("logprobs", int)
    if top is not None and not 0 <= top <= _MOST_TOP:
        raise InvalidRequest(f"`logprobs` is from 0 to {_MOST_TOP}.", param="logprobs")
    limit = fields.take("max_tokens", int, "n_predict")
    suffix = fields.take("suffix", str)
    return GenerationRequest(
        model=model,
        raw=suffix is None,
        suffix=suffix or None,
        sampling=sampling_of(fields),
        max_tokens=limit_of(limit),
        stop=stops_of(fields),
        n=choices_of(fields),
        best_of=fields.take("best_of", int),
        echo=echo,
        logprobs=None if top is None else Logprobs(top=top, prompt=echo),
        overflow=overflow_of(fields),
    )


def prompts_of(fields: Fields) -> list[dict[str, Any]]:
    """The prompts as fields of a request: text, token ids, or a list of either."""
    value = fields.any("prompt")
    if value is None:
        value = ""
    if isinstance(value, str):
        return [{"prompt": value}]
    several = as_kind(value, list[Any], "prompt")
    if not several:
        raise InvalidRequest("`prompt` is empty.", param="prompt")
    if all(isinstance(each, int) for each in several):
        return [_tokens(several)]
    if len(several) > MAX_PROMPTS:
        raise InvalidRequest("There are too many prompts.", f"At most {MAX_PROMPTS}.", param="prompt")
    return [{"prompt": each} if isinstance(each, str) else _tokens(each) for each in several]


def _tokens(value: Any) -> dict[str, Any]:
    tokens = tuple(as_kind(value, list[int], "prompt"))
    if not tokens:
        raise InvalidRequest("`prompt` holds an empty list of tokens.", param="prompt")
    if any(not 0 <= token < 2**31 for token in tokens):
        raise InvalidRequest("`prompt` holds a token that is none.", param="prompt")
    return {"tokens": tokens, "raw": False}
