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
from api.answering.result import Choice, Result, collect
from api.dialects.llama_server.prompts import name_biased_tokens, prompts_of
from api.dialects.llama_server.texts import model_of
from api.dialects.numbered_adapters import name_adapters
from api.dialects.openai.chat import USUAL, limit_of
from api.dialects.openai.pace import Pace
from api.dialects.openai.usage import piece_text, timings_of
from api.reading.fields import Fields, as_kind
from api.reading.sampling import choices_of, sampling_of, stops_of
from engine import resolve_sampling
from engine.errors import ErrorInfo, InvalidRequest, Unsupported
from engine.types import (
    Delta,
    DocumentPart,
    Done,
    GenerationRequest,
    Logprobs,
    Prefill,
    StreamEvent,
    TokenLogprob,
)

_json = msgspec.json.Encoder()
MAX_PROBS = 100
_MEANINGLESS = (
    "id_slot", "n_indent", "samplers_order", "slot_id", "n_cache_reuse", "sse_ping_interval", "n_keep",
)  # fmt: skip


@post("/completion", status_code=200)
async def completion(request: Request[Any, Any, Any]) -> ASGIApp:
    """The continuation of a prompt; of several prompts a list."""
    call = await Call.of(request)
    fields = call.fields
    model = model_of(call)
    await name_adapters(call, request.app.state["listing"])
    await name_biased_tokens(call, model)
    base = await call.as_usual(completion_request(fields, model), **USUAL)
    streams = fields.take("stream", bool) or False
    shown = fields.take("response_fields", list[str])
    pace = Pace(fields)
    prompts = await prompts_of(call, base.model, fields.any("prompt"))
    asked = [replace(call.complete(base), **prompt) for prompt in prompts]
    if len(asked) == 1:
        whole = CompletionResult(asked[0], shown)
        codec = CompletionPieces(whole, pace) if streams else None
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
    rows = [
        row
        for each, result in zip(asked, results, strict=True)
        for row in CompletionResult(each, shown).rows(result)
    ]
    return as_json([{**row, "index": place} for place, row in enumerate(rows)], headers=call.notes())


@post("/infill", status_code=200)
async def infill(request: Request[Any, Any, Any]) -> ASGIApp:
    """What stands between `input_prefix` and `input_suffix`, with other files of the repository around it."""
    call = await Call.of(request)
    fields = call.fields
    model = model_of(call)
    await name_adapters(call, request.app.state["listing"])
    await name_biased_tokens(call, model)
    base = await call.as_usual(completion_request(fields, model), **USUAL)
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
        asked, whole=whole, codec=CompletionPieces(whole, Pace(fields)) if streams else None, model=base.model
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
        rows = self.rows(result)
        return _json.encode(rows[0] if self.request.n == 1 else rows)

    def rows(self, result: Result) -> list[dict[str, Any]]:
        """A table for each choice."""
        return [self._row(result, choice) for choice in result.ordered or [Choice(0)]]

    def _row(self, result: Result, choice: Choice) -> dict[str, Any]:
        return self.only(
            {
                "content": choice.text,
                "tokens": choice.token_ids,
                **self.ending(result, choice),
                **(
                    {"completion_probabilities": _probabilities(choice.logprobs)}
                    if self.request.logprobs
                    else {}
                ),
            }
        )

    def ending(self, result: Result, choice: Choice) -> dict[str, Any]:
        """What the last piece says of a choice; the account is of all of them."""
        usage = result.usage
        kinds = {"stop": "eos", "tool_calls": "eos", "stop_string": "word"}
        return {
            "index": choice.index,
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
            "lora": [{"name": name, "scale": scale} for name, scale in result.adapter_names],
        }


class CompletionPieces:
    """`{content, tokens, stop: false}` a piece, then one with everything but the text."""

    media_type = SSE
    early = False

    def __init__(self, whole: CompletionResult, pace: Pace) -> None:
        self._whole, self._pace = whole, pace
        self._result = Result()
        self._progress = Progress()

    def event(self, event: StreamEvent) -> bytes:
        self._pace.hear(event)
        if isinstance(event, Delta):
            self._result.add(event)
            if not (event.text or event.logprobs):
                return b""
            row: dict[str, Any] = {
                "index": event.choice,
                "content": event.text,
                "tokens": list(event.token_ids),
                "stop": False,
            }
            if self._pace.shows_timings:
                row["timings"] = self._pace.timings()
            if event.logprobs:
                row["completion_probabilities"] = _probabilities(event.logprobs)
            return b"data: " + _json.encode(row) + b"\n\n"
        self._result.add(event)
        self._progress.hear(event)
        if isinstance(event, Prefill) and self._pace.shows_progress:
            row = {"index": 0, "content": "", "tokens": [], "stop": False}
            row["prompt_progress"] = self._pace.progress(event)
            return b"data: " + _json.encode(row) + b"\n\n"
        if not isinstance(event, Done):
            return b""
        ends = [
            {"content": "", "tokens": [], **self._whole.ending(self._result, choice)}
            for choice in self._result.ordered or [Choice(0)]
        ]
        return b"".join(b"data: " + _json.encode(self._whole.only(row)) + b"\n\n" for row in ends)

    def fail(self, error: ErrorInfo) -> bytes:
        return b"data: " + errors.encoded(error, "llama") + b"\n\n"

    def silence(self) -> bytes:
        return self._progress.comment()


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
