"""Chat completions as bytes: the whole object, and the chunks of its stream.

A chunk of text is put together from bytes that are made once for each stream and choice, with the text between them.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
from msgspec import Struct

from api import errors
from api.answering.codec import SSE, Progress
from api.answering.result import Choice, Result
from api.dialects.openai.pace import Pace
from api.dialects.openai.usage import REASONS, logprobs_of, timings_of, usage_of
from engine.errors import ErrorInfo
from engine.types import Delta, Done, Finished, Prefill, StreamEvent, ToolDelta

_json = msgspec.json.Encoder()
FINGERPRINT = "b-hearth"
DONE = b"data: [DONE]\n\n"


class Head(Struct, frozen=True):
    """What all parts of one answer share."""

    id: str
    created: int
    model: str

    @classmethod
    def of(cls, request_id: str, model: str, prefix: str = "chatcmpl-") -> Head:
        return cls(prefix + request_id, int(time.time()), model)


class ChatWhole:
    """`chat.completion`."""

    def __init__(self, head: Head, *, logprobs: bool) -> None:
        self._head, self._logprobs = head, logprobs

    def body(self, result: Result) -> bytes:
        answer: dict[str, Any] = {
            "id": self._head.id,
            "object": "chat.completion",
            "created": self._head.created,
            "model": self._head.model,
            "system_fingerprint": FINGERPRINT,
            "choices": [self._choice(choice) for choice in result.ordered],
            "usage": usage_of(result.usage),
            "service_tier": "default",
            "timings": timings_of(result.usage, result.timings),
        }
        if result.truncated:
            answer["truncated"] = True
        return _json.encode(answer)

    def _choice(self, choice: Choice) -> dict[str, Any]:
        calls = choice.calls
        message: dict[str, Any] = {
            "role": "assistant",
            "content": choice.text or (None if calls else ""),
            "refusal": None,
            "annotations": [],
        }
        if choice.reasoning:
            message["reasoning_content"] = message["reasoning"] = choice.reasoning
        if calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in calls
            ]
        return {
            "index": choice.index,
            "message": message,
            "logprobs": {"content": logprobs_of(choice.logprobs), "refusal": None}
            if self._logprobs
            else None,
            "finish_reason": REASONS[choice.reason],
        }


class ChatCodec:
    """`chat.completion.chunk`. The role comes once a choice, reasoning and content never in one chunk."""

    media_type = SSE
    early = False

    def __init__(self, head: Head, *, usage: bool, pace: Pace | None = None) -> None:
        self._usage = usage
        self._pace = pace if pace is not None and (pace.shows_progress or pace.shows_timings) else None
        self._progress = Progress()
        self._head = (
            b'data: {"id":%s,"object":"chat.completion.chunk","created":%d,"model":%s,"system_fingerprint":%s,'
            % (_json.encode(head.id), head.created, _json.encode(head.model), _json.encode(FINGERPRINT))
        )
        tail = b',"usage":null}\n\n' if usage else b"}\n\n"
        self._tail = b"]" + tail
        self._end = b'},"logprobs":null,"finish_reason":null}' + self._tail
        self._begun: dict[int, tuple[bytes, bytes]] = {}
        """By choice: what comes before the text of content, and before that of reasoning."""
        self._calls: set[tuple[int, int]] = set()

    def event(self, event: StreamEvent) -> bytes:
        if self._pace is not None:
            self._pace.hear(event)
        if isinstance(event, Delta):
            return self._delta(event)
        if isinstance(event, ToolDelta):
            return self._call(event)
        if isinstance(event, Finished):
            reason = _json.encode(REASONS[event.reason])
            finish = b'"choices":[{"index":%d,"delta":{},"logprobs":null,"finish_reason":%s}' % (
                event.choice,
                reason,
            )
            return self._opening(event.choice) + self._head + finish + self._tail
        if isinstance(event, Done):
            return self._done(event)
        self._progress.hear(event)
        if isinstance(event, Prefill) and self._pace is not None and self._pace.shows_progress:
            told = _json.encode(self._pace.progress(event))
            return self._opening(0) + self._head + b'"choices":[],"prompt_progress":%s}\n\n' % told
        return b""

    def fail(self, error: ErrorInfo) -> bytes:
        return b"data: " + errors.encoded(error, "openai") + b"\n\n"

    def silence(self) -> bytes:
        return self._progress.comment()

    def _delta(self, event: Delta) -> bytes:
        known = self._begun.get(event.choice)
        opening = b"" if known else self._opening(event.choice)
        if event.logprobs or (event.text and self._pace is not None and self._pace.shows_timings):
            return opening + self._with_figures(event)
        if not event.text:
            return opening
        text = _json.encode(event.text)
        content, reasoning = known or self._begun[event.choice]
        if event.kind == "content":
            return opening + content + text + self._end
        return opening + reasoning + text + b',"reasoning":' + text + self._end

    def _opening(self, choice: int) -> bytes:
        if choice in self._begun:
            return b""
        head = b'%s"choices":[{"index":%d,"delta":{' % (self._head, choice)
        self._begun[choice] = (head + b'"content":', head + b'"reasoning_content":')
        return head + b'"role":"assistant","content":""' + self._end

    def _with_figures(self, event: Delta) -> bytes:
        delta: dict[str, str] = {}
        if event.text and event.kind == "content":
            delta = {"content": event.text}
        elif event.text:
            delta = {"reasoning_content": event.text, "reasoning": event.text}
        choice = {
            "index": event.choice,
            "delta": delta,
            "logprobs": {"content": logprobs_of(event.logprobs), "refusal": None} if event.logprobs else None,
            "finish_reason": None,
        }
        tail = self._tail
        if self._pace is not None and self._pace.shows_timings:
            tail = b'],"timings":%s' % _json.encode(self._pace.timings()) + tail[1:]
        return self._head + b'"choices":[' + _json.encode(choice) + tail

    def _call(self, event: ToolDelta) -> bytes:
        pieces = [self._opening(event.choice)]
        arguments = event.arguments
        if (event.choice, event.index) not in self._calls:
            self._calls.add((event.choice, event.index))
            function = {"name": event.name or "", "arguments": ""}
            call = {"index": event.index, "id": event.id or "", "type": "function", "function": function}
            pieces.append(self._tool(event.choice, call))
        if arguments:
            pieces.append(
                self._tool(event.choice, {"index": event.index, "function": {"arguments": arguments}})
            )
        return b"".join(pieces)

    def _tool(self, choice: int, call: dict[str, Any]) -> bytes:
        body = b'"choices":[{"index":%d,"delta":{"tool_calls":[%s]' % (choice, _json.encode(call))
        return self._head + body + self._end

    def _done(self, event: Done) -> bytes:
        if not self._usage:
            return DONE
        usage = _json.encode(usage_of(event.usage))
        timings = _json.encode(timings_of(event.usage, event.timings))
        return self._head + b'"choices":[],"usage":%s,"timings":%s}\n\n' % (usage, timings) + DONE
