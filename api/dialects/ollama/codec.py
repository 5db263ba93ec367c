"""Ollama's answers as bytes: a line of JSON for each piece, and one object with everything.

Durations are whole nanoseconds; zeros are left out, as Go does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from api import errors
from api.answering.codec import NDJSON
from api.answering.result import Choice, Result
from api.dialects.ollama.moment import rfc3339
from api.dialects.openai.usage import piece_text
from engine.errors import ErrorInfo
from engine.types import (
    Admitted,
    Delta,
    Done,
    Finished,
    FinishReason,
    Loading,
    Prefill,
    Queued,
    Shifted,
    StreamEvent,
    Timings,
    TokenLogprob,
    ToolCall,
    ToolDelta,
    Usage,
)

_json = msgspec.json.Encoder()
_TOLD = ("position", "eta_s", "stage", "fraction", "total")
Kind = Literal["generate", "chat"]


class OllamaWhole:
    """One object; `extra` is what the route adds to it."""

    def __init__(self, model: str, kind: Kind, extra: dict[str, Any]) -> None:
        self._model, self._kind, self._extra = model, kind, extra

    def body(self, result: Result) -> bytes:
        choice = result.first
        answer: dict[str, Any] = {"model": self._model, "created_at": rfc3339()}
        if self._kind == "chat":
            message: dict[str, Any] = {"role": "assistant", "content": choice.text}
            if choice.reasoning:
                message["thinking"] = choice.reasoning
            if calls := choice.calls:
                message["tool_calls"] = [_call(call, place) for place, call in enumerate(calls)]
            answer["message"] = message
        else:
            answer["response"] = choice.text
            if choice.reasoning:
                answer["thinking"] = choice.reasoning
        answer |= {"done": True, "done_reason": _whole_reason(result, choice)}
        if choice.logprobs:
            answer["logprobs"] = _logprobs(choice.logprobs)
        answer |= metrics(result.usage, result.timings) | self._extra
        if result.truncated:
            answer["truncated"] = True
        return _json.encode(answer)


class OllamaCodec:
    """A line for each piece of text or thinking, one for each call, one at the end."""

    media_type = NDJSON

    def __init__(self, model: str, kind: Kind, extra: dict[str, Any], *, progress: bool = False) -> None:
        self._extra, self.early = extra, progress
        self._kind, self._model = kind, model
        self._head = b'{"model":%s,"created_at":"' % _json.encode(model)
        self._reason: FinishReason = "stop"
        self._calls = Choice(0)
        self._open: int | None = None
        self._made = 0
        self._truncated = False
        if kind == "chat":
            self._content = b'","message":{"role":"assistant","content":'
            self._thinking = b'","message":{"role":"assistant","content":"","thinking":'
            self._tail = b'},"done":false}\n'
        else:
            self._content, self._thinking = b'","response":', b'","response":"","thinking":'
            self._tail = b',"done":false}\n'

    def event(self, event: StreamEvent) -> bytes:
        if isinstance(event, Delta):
            if event.logprobs:
                return self._with_logprobs(event)
            if not event.text:
                return b""
            before = self._content if event.kind == "content" else self._thinking
            return self._head + rfc3339().encode() + before + _json.encode(event.text) + self._tail
        match event:
            case ToolDelta():
                return self._call(event)
            case Finished():
                self._reason = event.reason
                return self._flush()
            case Done():
                return self._done(event)
            case Admitted(dropped_messages=messages, dropped_tokens=tokens) if messages or tokens:
                self._truncated = True
            case Shifted():
                self._truncated = True
            case Queued() | Loading() | Prefill() if self.early:
                return self._progress(event)
            case _:
                pass
        return b""

    def _progress(self, event: Queued | Loading | Prefill) -> bytes:
        """What goes on before the first token, for clients that ask: a piece without text that has `progress`."""
        told = msgspec.to_builtins(event)
        line: dict[str, Any] = {"model": self._model, "created_at": rfc3339()}
        if self._kind == "chat":
            line["message"] = {"role": "assistant", "content": ""}
        else:
            line["response"] = ""
        line["progress"] = {
            "kind": told["event"],
            **{name: told[name] for name in _TOLD if told.get(name) is not None},
        }
        if isinstance(event, Prefill):
            line["progress"]["completed"] = event.done
        line["done"] = False
        return _json.encode(line) + b"\n"

    def fail(self, error: ErrorInfo) -> bytes:
        return errors.encoded(error, "ollama", model=self._model) + b"\n"

    def silence(self) -> bytes:
        return b""

    def _call(self, event: ToolDelta) -> bytes:
        flushed = self._flush() if self._open not in (None, event.index) else b""
        self._open = event.index
        self._calls.add(event)
        return flushed

    def _flush(self) -> bytes:
        if self._open is None:
            return b""
        self._open = None
        calls = self._calls.calls
        shown = [_call(call, self._made + place) for place, call in enumerate(calls)]
        self._made += len(calls)
        self._calls = Choice(0)
        body = b'","message":{"role":"assistant","content":"","tool_calls":%s},"done":false}\n'
        return self._head + rfc3339().encode() + body % _json.encode(shown)

    def _with_logprobs(self, event: Delta) -> bytes:
        name = "content" if self._kind == "chat" else "response"
        piece = {name: event.text} if event.kind == "content" else {name: "", "thinking": event.text}
        line: dict[str, Any] = {"model": self._model, "created_at": rfc3339()}
        if self._kind == "chat":
            line["message"] = {"role": "assistant", **piece}
        else:
            line |= piece
        line |= {"done": False, "logprobs": _logprobs(event.logprobs)}
        return _json.encode(line) + b"\n"

    def _done(self, event: Done) -> bytes:
        line: dict[str, Any] = {"model": self._model, "created_at": rfc3339()}
        if self._kind == "chat":
            line["message"] = {"role": "assistant", "content": ""}
        else:
            line["response"] = ""
        line |= {"done": True, "done_reason": reason_of(self._reason)}
        line |= metrics(event.usage, event.timings) | self._extra
        if self._truncated:
            line["truncated"] = True
        return _json.encode(line) + b"\n"


def reason_of(reason: FinishReason) -> str:
    """Ollama's word; a call of a tool is a stop there."""
    return "length" if reason in ("length", "context_full") else "stop"


def metrics(usage: Usage, timings: Timings) -> dict[str, int]:
    """The six figures of a final object. The load is what passed until the model was there for the request."""
    ready = timings.admitted - timings.submitted if timings.admitted else 0
    found = {
        "total_duration": timings.ended - timings.submitted if timings.ended else 0,
        "load_duration": timings.load or ready,
        "prompt_eval_count": usage.prompt_tokens,
        "prompt_eval_duration": int(timings.prefill_s * 1e9),
        "eval_count": usage.completion_tokens,
        "eval_duration": int(timings.decode_s * 1e9),
    }
    if usage.completion_tokens and not found["eval_duration"]:
        # One token takes no time after the first; a client that divides by it must not fail.
        found["eval_duration"] = 1
    return {name: value for name, value in found.items() if value > 0}


def _whole_reason(result: Result, choice: Choice) -> str:
    if result.reason in ("loaded", "unloaded"):
        return "load" if result.reason == "loaded" else "unload"
    return reason_of(choice.reason)


def _call(call: ToolCall, place: int) -> dict[str, Any]:
    try:
        arguments = msgspec.json.decode(call.arguments or "{}")
    except msgspec.DecodeError:
        arguments = None
    if not isinstance(arguments, dict):
        # The answer was cut off in the middle of a call, or the model wrote something else.
        arguments = {"input": call.arguments}
    return {"id": call.id, "function": {"index": place, "name": call.name, "arguments": arguments}}


def _logprobs(tokens: Iterable[TokenLogprob]) -> list[dict[str, Any]]:
    return [{**_entry(token), "top_logprobs": [_entry(other) for other in token.top]} for token in tokens]


def _entry(token: TokenLogprob) -> dict[str, Any]:
    # The bytes must be those of the text, as a test of Ollama's has it.
    text = piece_text(token)
    return {"token": text, "logprob": max(token.logprob, -9999.0), "bytes": list(text.encode())}
