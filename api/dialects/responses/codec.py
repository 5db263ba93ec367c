"""Responses as bytes: the object, and the numbered events of its stream. Each event is one write."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from api import errors
from api.answering.codec import SSE, Progress
from api.answering.result import Choice, Result
from api.dialects.openai.usage import logprobs_of, response_usage_of
from api.dialects.responses.items import call_item, message_item, output_of, reasoning_item, text_part
from api.dialects.responses.request import Asked
from engine.errors import ErrorInfo
from engine.types import Delta, Done, Finished, Loading, Queued, StreamEvent, ToolCall, ToolDelta

_json = msgspec.json.Encoder()
DONE = b"data: [DONE]\n\n"
Finish = Callable[[dict[str, Any], Choice], None]
"""Called with the response object and the choice it was made of."""


class ResponseWhole:
    """The response object; `finished` hears of it when it is there."""

    def __init__(self, asked: Asked, id: str, finished: Finish) -> None:
        self._asked, self._id, self._finished = asked, id, finished

    def body(self, result: Result) -> bytes:
        found = completed(self._asked, self._id, result)
        self._finished(found, result.first)
        return _json.encode(found)


class ResponseCodec:
    """Events from `response.created` to `response.completed`, with one item open at a time."""

    media_type = SSE
    early = False

    def __init__(self, asked: Asked, id: str, finished: Finish) -> None:
        self._asked, self._id, self._finished = asked, id, finished
        self._progress = Progress()
        self._result = Result()
        self._seq = 0
        self._created = False
        self._open: str | None = None
        self._texts: list[str] = []
        self._scores: list[dict[str, Any]] = []
        self._call = Choice(0)
        self._call_index = -1
        self.output: list[dict[str, Any]] = []
        self.ended: float | None = None
        """When the answer was whole, Unix seconds; None: now."""

    def event(self, event: StreamEvent) -> bytes:
        self._progress.hear(event)
        self._result.add(event)
        # Waiting and loading are told in comments; until then an error can still be a status.
        begun = b"" if isinstance(event, Queued | Loading) else self._begin()
        match event:
            case Delta() if event.text or event.logprobs:
                return begun + self._delta(event)
            case ToolDelta():
                return begun + self._tool(event)
            case Finished():
                cut = event.reason in ("length", "context_full")
                return begun + self._close("incomplete" if cut else "completed")
            case Done():
                return begun + self._done()
        return begun

    def fail(self, error: ErrorInfo) -> bytes:
        body = errors.body_of(error, "openai")["error"]
        failed = {
            **self._asked.envelope,
            "status": "failed",
            "output": self.output,
            "error": {"code": body["code"], "message": body["message"]},
        }
        self._finished(failed, self._result.first)
        said = self._event(
            "error", {"code": body["code"], "message": body["message"], "param": body["param"]}
        )
        return said + self._event("response.failed", {"response": failed}) + DONE

    def silence(self) -> bytes:
        return self._progress.comment()

    def _begin(self) -> bytes:
        if self._created:
            return b""
        self._created = True
        envelope = {"response": self._asked.envelope}
        return self._event("response.created", envelope) + self._event("response.in_progress", envelope)

    def _delta(self, event: Delta) -> bytes:
        kind = "message" if event.kind == "content" else "reasoning"
        opened = b"" if self._open == kind else self._open_text(kind)
        self._texts.append(event.text)
        scores = logprobs_of(event.logprobs) if self._asked.request.logprobs and kind == "message" else []
        self._scores += scores
        if kind == "message":
            body = {**self._where(), "delta": event.text, "logprobs": scores}
            return opened + self._event("response.output_text.delta", body)
        if self._asked.summary:
            body = {**self._where("summary_index"), "delta": event.text}
            return opened + self._event("response.reasoning_summary_text.delta", body)
        return opened + self._event("response.reasoning_text.delta", {**self._where(), "delta": event.text})

    def _open_text(self, kind: str) -> bytes:
        closed = self._close("completed")
        self._open, self._texts, self._scores = kind, [], []
        if kind == "message":
            self.output.append(message_item(self._item_id("msg"), "", [], status="in_progress"))
            part: dict[str, Any] = text_part("", [])
        else:
            item = reasoning_item(self._item_id("rs"), "", status="in_progress", summary=self._asked.summary)
            self.output.append(item)
            part = {"type": "summary_text" if self._asked.summary else "reasoning_text", "text": ""}
        added = self._added()
        if kind == "reasoning" and self._asked.summary:
            body = {**self._where("summary_index"), "part": part}
            return closed + added + self._event("response.reasoning_summary_part.added", body)
        return closed + added + self._event("response.content_part.added", {**self._where(), "part": part})

    def _tool(self, event: ToolDelta) -> bytes:
        opened = b""
        if self._open != "call" or self._call_index != event.index:
            opened = self._close("completed")
            self._open, self._call_index, self._call = "call", event.index, Choice(0)
            call = ToolCall(id=event.id or "", name=event.name or "", arguments="")
            self.output.append(call_item(self._item_id("fc"), call, status="in_progress"))
            opened += self._added()
        self._call.add(event)
        if not event.arguments:
            return opened
        body = {
            "item_id": self.output[-1]["id"],
            "output_index": len(self.output) - 1,
            "delta": event.arguments,
        }
        return opened + self._event("response.function_call_arguments.delta", body)

    def _close(self, status: str) -> bytes:
        if self._open is None:
            return b""
        kind, self._open = self._open, None
        item = self.output[-1]
        text = "".join(self._texts)
        if kind == "call":
            call = self._call.calls[0]
            item = call_item(item["id"], call, status=status)
            body = {"item_id": item["id"], "output_index": len(self.output) - 1, "name": call.name}
            done = self._event("response.function_call_arguments.done", {**body, "arguments": call.arguments})
        elif kind == "message":
            item = message_item(item["id"], text, self._scores, status=status)
            done = self._event(
                "response.output_text.done", {**self._where(), "text": text, "logprobs": self._scores}
            )
            body = {**self._where(), "part": text_part(text, self._scores)}
            done += self._event("response.content_part.done", body)
        else:
            item = reasoning_item(item["id"], text, status=status, summary=self._asked.summary)
            done = self._close_reasoning(text)
        self.output[-1] = item
        last = {"output_index": len(self.output) - 1, "item": item}
        return done + self._event("response.output_item.done", last)

    def _close_reasoning(self, text: str) -> bytes:
        if self._asked.summary:
            where, part = self._where("summary_index"), {"type": "summary_text", "text": text}
            done = self._event("response.reasoning_summary_text.done", {**where, "text": text})
            return done + self._event("response.reasoning_summary_part.done", {**where, "part": part})
        where, part = self._where(), {"type": "reasoning_text", "text": text}
        done = self._event("response.reasoning_text.done", {**where, "text": text})
        return done + self._event("response.content_part.done", {**where, "part": part})

    def _done(self) -> bytes:
        found = completed(self._asked, self._id, self._result, self.ended)
        if self.output:
            found["output"] = self.output
        self._finished(found, self._result.first)
        return self._event(f"response.{found['status']}", {"response": found}) + DONE

    def _added(self) -> bytes:
        body = {"output_index": len(self.output) - 1, "item": self.output[-1]}
        return self._event("response.output_item.added", body)

    def _where(self, part: str = "content_index") -> dict[str, Any]:
        return {"item_id": self.output[-1]["id"], "output_index": len(self.output) - 1, part: 0}

    def _item_id(self, prefix: str) -> str:
        return f"{prefix}_{self._id}_{len(self.output)}"

    def _event(self, kind: str, body: dict[str, Any]) -> bytes:
        data = _json.encode({"type": kind, "sequence_number": self._seq, **body})
        self._seq += 1
        return b"event: %s\ndata: %s\n\n" % (kind.encode(), data)


def completed(asked: Asked, id: str, result: Result, ended: float | None = None) -> dict[str, Any]:
    """The response object of an answer that was whole at `ended`, Unix seconds; None: now."""
    choice = result.first
    cut = choice.reason in ("length", "context_full")
    status = "incomplete" if cut else "completed"
    return {
        **asked.envelope,
        "status": status,
        "completed_at": int(time.time() if ended is None else ended),
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": output_of(
            choice, id, status, summary=asked.summary, logprobs=asked.request.logprobs is not None
        ),
        "usage": response_usage_of(result.usage),
    }
