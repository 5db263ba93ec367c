"""Anthropic's messages as bytes: the whole message, and its stream of named events.

One block is open at a time, indexes rise from 0, and the figures of `message_delta` are of the whole message.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import Any, Final, Literal

import msgspec

from api import errors
from api.answering.codec import SSE, Progress
from api.answering.result import Choice, Result
from engine.errors import ErrorInfo
from engine.types import (
    Admitted,
    CacheMiss,
    Delta,
    Done,
    Finished,
    FinishReason,
    StreamEvent,
    ToolCall,
    ToolDelta,
    Usage,
)

_json = msgspec.json.Encoder()
_REASONS: Final[dict[FinishReason, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "context_full": "model_context_window_exceeded",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "cancelled": "end_turn",
}
PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
Kind = Literal["text", "thinking", "tool_use"]


class MessageWhole:
    """`message`."""

    def __init__(
        self, request_id: str, model: str, stops: Collection[str] = (), *, diagnoses: bool = False
    ) -> None:
        self._id, self._model, self._stops, self._diagnoses = request_id, model, stops, diagnoses

    def body(self, result: Result) -> bytes:
        choice = result.first
        answer = envelope(self._id, self._model)
        answer["content"] = _blocks(choice)
        answer["stop_reason"], answer["stop_sequence"] = ended(choice.reason, choice.stop_string, self._stops)
        answer["usage"] = usage_of(result.usage)
        answer["diagnostics"] = diagnostics(result.admitted) if self._diagnoses else None
        if result.truncated:
            answer["truncated"] = True
        return _json.encode(answer)


class MessageCodec:
    """Events from `message_start` to `message_stop`."""

    media_type = SSE
    early = False

    def __init__(
        self, request_id: str, model: str, stops: Collection[str] = (), *, diagnoses: bool = False
    ) -> None:
        self._id, self._model, self._stops, self._diagnoses = request_id, model, stops, diagnoses
        self._progress = Progress()
        self._started = False
        self._open: tuple[Kind, int] | None = None
        """The open block: its kind, and which call it is."""
        self._index = -1
        self._before: dict[Kind, bytes] = {}
        self._calls = 0
        self._reason: str = "end_turn"
        self._stop: str | None = None

    def event(self, event: StreamEvent) -> bytes:
        if isinstance(event, Delta):
            if not event.text:
                return b""
            kind: Kind = "text" if event.kind == "content" else "thinking"
            opened = b"" if self._open == (kind, 0) else self._switch(kind, 0, {})
            return opened + self._before[kind] + _json.encode(event.text) + b"}}\n\n"
        match event:
            case Admitted():
                return self._start(event)
            case ToolDelta():
                return self._call(event)
            case Finished():
                self._reason, self._stop = ended(event.reason, event.stop_string, self._stops)
                return self._close()
            case Done():
                return self._done(event)
            case _:
                self._progress.hear(event)
        return b""

    def fail(self, error: ErrorInfo) -> bytes:
        body = errors.encoded(error, "anthropic", request_id=f"req_{self._id}")
        return b"event: error\ndata: " + body + b"\n\n"

    def silence(self) -> bytes:
        # Before message_start no other event may come.
        return PING if self._started else self._progress.comment()

    def _start(self, event: Admitted) -> bytes:
        if self._started:
            return b""
        self._started = True
        message = envelope(self._id, self._model)
        usage = usage_of(Usage(prompt_tokens=event.prompt_tokens, cached_tokens=event.cached_tokens))
        message["usage"] = {**usage, "output_tokens": 1}
        message["diagnostics"] = diagnostics(event) if self._diagnoses else None
        return _event("message_start", {"type": "message_start", "message": message}) + PING

    def _switch(self, kind: Kind, which: int, block: dict[str, Any]) -> bytes:
        closed = self._close()
        self._index += 1
        self._open = (kind, which)
        content: dict[str, Any] = {"type": kind, **block}
        if kind == "text":
            content |= {"text": ""}
        elif kind == "thinking":
            content |= {"thinking": "", "signature": ""}
        start = {"type": "content_block_start", "index": self._index, "content_block": content}
        names = {"text": b"text_delta", "thinking": b"thinking_delta", "tool_use": b"input_json_delta"}
        values = {"text": b"text", "thinking": b"thinking", "tool_use": b"partial_json"}
        before = (
            b"event: content_block_delta\ndata: "
            b'{"type":"content_block_delta","index":%d,"delta":{"type":"%s","%s":'
        )
        self._before[kind] = before % (self._index, names[kind], values[kind])
        return closed + _event("content_block_start", start)

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        kind, _ = self._open
        self._open = None
        last = b""
        if kind == "thinking":
            delta = {"type": "signature_delta", "signature": signature()}
            body = {"type": "content_block_delta", "index": self._index, "delta": delta}
            last = _event("content_block_delta", body)
        stop = {"type": "content_block_stop", "index": self._index}
        return last + _event("content_block_stop", stop)

    def _call(self, event: ToolDelta) -> bytes:
        place = ("tool_use", event.index)
        opened = b""
        if self._open != place:
            block = {"id": use_id(event.id or ""), "name": event.name or "", "input": {}}
            opened = self._switch("tool_use", event.index, block)
        if not event.arguments:
            return opened
        return opened + self._before["tool_use"] + _json.encode(event.arguments) + b"}}\n\n"

    def _done(self, event: Done) -> bytes:
        delta = {"stop_reason": self._reason, "stop_sequence": self._stop}
        body = {"type": "message_delta", "delta": delta, "usage": usage_of(event.usage)}
        return _event("message_delta", body) + _event("message_stop", {"type": "message_stop"})


def envelope(request_id: str, model: str) -> dict[str, Any]:
    """A message without content."""
    return {
        "id": f"msg_{request_id}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "container": None,
        "diagnostics": None,
        "usage": {},
    }


def usage_of(usage: Usage) -> dict[str, Any]:
    """The account; what came from the cache is not in `input_tokens`."""
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
        "server_tool_use": None,
        "service_tier": "standard",
    }


def ended(reason: FinishReason, stop_string: str | None, stops: Collection[str]) -> tuple[str, str | None]:
    """`stop_reason` and `stop_sequence`; the model's own stop texts are the end of its turn."""
    if reason == "stop_string":
        return ("stop_sequence", stop_string) if stop_string in stops else ("end_turn", None)
    return _REASONS[reason], None


def use_id(id: str) -> str:
    """The id of a call, in the form that Anthropic's have."""
    return id if id.startswith("toolu_") else f"toolu_{id.removeprefix('call_') or secrets.token_hex(12)}"


def signature() -> str:
    """Opaque and not empty; accepted back unread."""
    return f"hearth-{secrets.token_hex(8)}"


def _blocks(choice: Choice) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if choice.reasoning:
        found.append({"type": "thinking", "thinking": choice.reasoning, "signature": signature()})
    calls = choice.calls
    if choice.text:
        found.append({"type": "text", "text": choice.text, "citations": None})
    return [*found, *map(_use, calls)]


def _use(call: ToolCall) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(call.arguments or "{}")
    except msgspec.DecodeError:
        value = None
    # Cut off in the middle of a call there is no object; what there is is not thrown away.
    arguments = value if isinstance(value, dict) else {"input": call.arguments}
    return {"type": "tool_use", "id": use_id(call.id), "name": call.name, "input": arguments}


def diagnostics(admitted: Admitted | None) -> dict[str, Any]:
    """Why the cache did not have all of the prompt, for clients that ask; `first_missed_token` is Hearth's own."""
    miss: CacheMiss | None = admitted.miss if admitted is not None else None
    if admitted is None or miss is None:
        return {"cache_miss_reason": None}
    words = {"adapter": "model_changed", "tools": "tools_changed", "text": "messages_changed"}
    kind = words.get(miss.cause)
    if kind is None:
        return {"cache_miss_reason": {"type": "unavailable"}, "cause": miss.cause}
    missed = admitted.prompt_tokens - admitted.cached_tokens
    reason = {"type": kind, "cache_missed_input_tokens": missed, "first_missed_token": miss.token}
    return {"cache_miss_reason": reason}


def _event(name: str, body: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), _json.encode(body))
