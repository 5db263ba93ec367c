"""`POST /completion` and `POST /infill`: raw continuation in llama-server's own form."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from litestar import Request, post
from litestar.types import ASGIApp
from msgspec.structs import replace

from api import errors
from api.answering.call import Call
from api.answering.codec import SSE, Progress
from api.answering.reply import as_json
from api.answering.result import Result, collect
from api.dialects.llama_server.texts import model_of
from api.dialects.openai.chat import USUAL, limit_of
from api.dialects.openai.usage import piece_text, timings_of
from api.reading.fields import Fields, as_kind
from api.reading.sampling import choices_of, sampling_of, stops_of
from engine import resolve_sampling
from engine.errors import ErrorInfo, InvalidRequest, Unsupported
from engine.types import Delta, DocumentPart, Done, GenerationRequest, Logprobs, StreamEvent, TokenLogprob

_json = msgspec.json.Encoder()
MAX_PROMPTS = 64
MAX_PROBS = 100
_MEANINGLESS = (
    "id_slot", "n_indent", "t_max_predict_ms", "samplers_order", "slot_id", "n_cache_reuse", "sse_ping_interval",
    "timings_per_token", "return_progress", "n_keep",
)  # fmt: skip


@post("/completion", status_code=200)
async def completion(request: Request[Any, Any, Any]) -> ASGIApp:
    """The continuation of a prompt; of several prompts a list."""
    call = await Call.of(request)
    fields = call.fields
    base = await call.as_usual(completion_request(fields, model_of(call)), **USUAL)
    streams = fields.take("stream", bool) or False
    shown = fields.take("response_fields", list[str])
    prompts = await _prompts(call, base.model, fields.any("prompt"))
    asked = [replace(call.complete(base), **prompt) for prompt in prompts]
    if len(asked) == 1:
        whole = CompletionResult(asked[0], shown)
        codec = CompletionPieces(whole) if streams else None
        return call.answer(asked[0], whole=whole, codec=codec, model=base.model)
    if streams:
        raise Unsupported("Several prompts cannot be streamed.", fix="Send them one by one.", param="stream")
    numbered = [replace(each, id=f"{call.id}-{place}") for place, each in enumerate(asked)]
    opened = [call.hub.engine.generate(each) for each in numbered]
    try:
        results = await call.attended(_all(opened))
    finally:
        for stream in opened:
            stream.cancel()
    rows = [CompletionResult(each, shown).row(result) for each, result in zip(asked, results, strict=True)]
    return as_json([{**row, "index": place} for place, row in enumerate(rows)])


@post("/infill", status_code=200)
async def infill(request: Request[Any, Any, Any]) -> ASGIApp:
    """What stands between `input_prefix` and `input_suffix`, with other files of the repository around it."""
    call = await Call.of(request)
    fields = call.fields
    base = await call.as_usual(completion_request(fields, model_of(call)), **USUAL)
    before = fields.take("input_prefix", str) or ""
    after = fields.take("input_suffix", str) or ""
    begun = fields.take("prompt", str) or ""
    extra = tuple(
        DocumentPart(
            text=as_kind(each.get("text"), str, "input_extra.text"),
            title=as_kind(each.get("filename") or "", str, "input_extra.filename") or None,
        )
        for each in fields.take("input_extra", list[dict[str, Any]]) or []
    )
    streams = fields.take("stream", bool) or False
    asked = replace(call.complete(base), raw=False, prompt=before + begun, suffix=after, extra_context=extra)
    whole = CompletionResult(asked, fields.take("response_fields", list[str]))
    return call.answer(
        asked, whole=whole, codec=CompletionPieces(whole) if streams else None, model=base.model
    )


def completion_request(fields: Fields, model: str) -> GenerationRequest:
    """The request without its prompt. Raises InvalidRequest and its kin."""
    fields.known(_MEANINGLESS)
    fields.refuse("post_sampling_probs", "Probabilities are those before sampling.")
    probs = fields.take("n_probs", int, "logprobs")
    if probs is not None and not 0 <= probs <= MAX_PROBS:
        raise InvalidRequest(f"`n_probs` is from 0 to {MAX_PROBS}.", param="n_probs")
    return GenerationRequest(
        model=model,
        raw=True,
        sampling=sampling_of(fields),
        max_tokens=limit_of(fields.take("n_predict", int, "max_tokens")),
        stop=stops_of(fields),
        n=choices_of(fields),
        logprobs=Logprobs(top=probs) if probs else None,
        return_tokens=fields.take("return_tokens", bool) or False,
    )


class CompletionResult:
    """One result; `shown` are the fields that the client wants, all if None."""

    def __init__(self, request: GenerationRequest, shown: list[str] | None) -> None:
        self.request, self._shown = request, shown

    def body(self, result: Result) -> bytes:
        return _json.encode(self.row(result))

    def row(self, result: Result) -> dict[str, Any]:
        """The result as a table."""
        return self.only(
            {
                "content": result.first.text,
                "tokens": result.first.token_ids,
                **self.ending(result),
                **(
                    {"completion_probabilities": _probabilities(result.first.logprobs)}
                    if self.request.logprobs
                    else {}
                ),
            }
        )

    def ending(self, result: Result) -> dict[str, Any]:
        """What the last piece says."""
        choice, usage = result.first, result.usage
        kinds = {"stop": "eos", "tool_calls": "eos", "stop_string": "word"}
        return {
            "index": 0,
            "id_slot": -1,
            "stop": True,
            "stop_type": kinds.get(choice.reason, "limit"),
            "stopping_word": choice.stop_string or "",
            "generation_settings": self._settings(result),
            "model": self.request.model,
            "prompt": self.request.prompt or "",
            "tokens_cached": usage.prompt_tokens + usage.completion_tokens,
            "tokens_evaluated": usage.prompt_tokens,
            "tokens_predicted": usage.completion_tokens,
            "truncated": result.truncated or choice.reason == "context_full",
            "has_new_line": "\n" in choice.text,
            "timings": timings_of(usage, result.timings),
        }

    def only(self, row: dict[str, Any]) -> dict[str, Any]:
        """The fields of `row` that the client wants; `a/b` is one inside another."""
        if not self._shown:
            return row
        found: dict[str, Any] = {}
        for name in self._shown:
            head, _, rest = name.partition("/")
            inner = row.get(head)
            if rest and isinstance(inner, dict) and rest in inner:
                found[rest] = inner[rest]
            elif not rest and head in row:
                found[head] = inner
        return found

    def _settings(self, result: Result) -> dict[str, Any]:
        sampling = msgspec.to_builtins(resolve_sampling(self.request.sampling))
        limit = self.request.max_tokens
        return {
            **sampling,
            "seed": result.seed if result.seed is not None else -1,
            "n_predict": -1 if limit is None else limit,
            "stop": list(self.request.stop),
            "lora": [{"name": each.name, "scale": each.scale} for each in result.adapters],
        }


class CompletionPieces:
    """`{content, tokens, stop: false}` a piece, then one with everything but the text."""

    media_type = SSE
    early = False

    def __init__(self, whole: CompletionResult) -> None:
        self._whole = whole
        self._result = Result()
        self._progress = Progress()

    def event(self, event: StreamEvent) -> bytes:
        if isinstance(event, Delta):
            self._result.add(event)
            if not (event.text or event.logprobs):
                return b""
            row: dict[str, Any] = {
                "index": 0,
                "content": event.text,
                "tokens": list(event.token_ids),
                "stop": False,
            }
            if event.logprobs:
                row["completion_probabilities"] = _probabilities(event.logprobs)
            return b"data: " + _json.encode(row) + b"\n\n"
        self._result.add(event)
        self._progress.hear(event)
        if not isinstance(event, Done):
            return b""
        row = {"content": "", "tokens": [], **self._whole.ending(self._result)}
        return b"data: " + _json.encode(self._whole.only(row)) + b"\n\n"

    def fail(self, error: ErrorInfo) -> bytes:
        return b"data: " + errors.encoded(error, "llama") + b"\n\n"

    def silence(self) -> bytes:
        return self._progress.comment()


async def _prompts(call: Call, model: str, value: Any) -> list[dict[str, Any]]:
    """The prompts as fields of a request: text, tokens, text and tokens mixed, or a list of these."""
    several = isinstance(value, list) and any(isinstance(each, list | dict) for each in value)
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        several = len(value) > 1
        value = value if several else value[0]
    if not several:
        return [await _prompt(call, model, value)]
    if len(value) > MAX_PROMPTS:
        raise InvalidRequest("There are too many prompts.", f"At most {MAX_PROMPTS}.", param="prompt")
    return [await _prompt(call, model, each) for each in value]


async def _prompt(call: Call, model: str, value: Any) -> dict[str, Any]:
    match value:
        case None:
            raise InvalidRequest("prompt is required", param="prompt")
        case str():
            return {"prompt": value}
        case {"prompt_string": str(text), **rest}:
            if rest.get("multimodal_data"):
                raise Unsupported(
                    "A raw prompt cannot hold images here.", fix="Send messages.", param="prompt"
                )
            return {"prompt": text}
        case list() if value:
            tokens: list[int] = []
            for place, each in enumerate(value):
                if isinstance(each, str):
                    tokens += await call.hub.engine.tokenize(model, each, special=place == 0)
                else:
                    tokens.append(as_kind(each, int, "prompt"))
            if any(not 0 <= token < 2**31 for token in tokens):
                raise InvalidRequest("`prompt` holds a token that is none.", param="prompt")
            return {"tokens": tuple(tokens), "raw": False}
    raise InvalidRequest("`prompt` must be text or tokens.", param="prompt")


async def _all(streams: list[Any]) -> list[Result]:
    return await asyncio.gather(*(collect(stream) for stream in streams))


def _probabilities(tokens: Any) -> list[dict[str, Any]]:
    return [{**_entry(token), "top_logprobs": [_entry(other) for other in token.top]} for token in tokens]


def _entry(token: TokenLogprob) -> dict[str, Any]:
    return {
        "id": token.token,
        "token": piece_text(token),
        "bytes": list(token.piece),
        "logprob": max(token.logprob, -9999.0),
    }
