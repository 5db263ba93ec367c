"""Completions as bytes: `text_completion`, whole and in chunks, with log-probabilities in the older form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from api import errors
from api.answering.codec import SSE, Progress
from api.answering.result import Choice, Result
from api.dialects.openai.chat_codec import DONE, FINGERPRINT, Head
from api.dialects.openai.usage import REASONS, piece_text, timings_of, usage_of
from engine.errors import ErrorInfo
from engine.types import Admitted, Delta, Done, Finished, StreamEvent, TokenLogprob

_json = msgspec.json.Encoder()


class CompletionWhole:
    """`admissions` has, by prompt, what the engine said when it took it in; `width` is `n`."""

    def __init__(
        self, head: Head, admissions: Sequence[Admitted | None], width: int, *, logprobs: bool
    ) -> None:
        self._head, self._logprobs = head, logprobs
        self._admissions, self._width = admissions, width

    def body(self, result: Result) -> bytes:
        count = len(self._admissions) * self._width
        answer: dict[str, Any] = {
            "id": self._head.id,
            "object": "text_completion",
            "created": self._head.created,
            "model": self._head.model,
            "system_fingerprint": FINGERPRINT,
            "choices": [self._choice(result.choice(index)) for index in range(count)],
            "usage": usage_of(result.usage),
            "timings": timings_of(result.usage, result.timings),
        }
        if result.truncated:
            answer["truncated"] = True
        return _json.encode(answer)

    def _choice(self, choice: Choice) -> dict[str, Any]:
        logprobs = None
        if self._logprobs:
            scores = prompt_scores(self._admissions[choice.index // self._width])
            logprobs = Legacy().add(scores, choice.logprobs, choice.text)
        return {
            "text": choice.text,
            "index": choice.index,
            "logprobs": logprobs,
            "finish_reason": REASONS[choice.reason],
        }


class CompletionCodec:
    """Chunks of the same object; `text` pieces, then the reason."""

    media_type = SSE
    early = False

    def __init__(
        self,
        head: Head,
        admissions: Sequence[Admitted | None],
        width: int,
        *,
        logprobs: bool,
        usage: bool,
    ) -> None:
        self._logprobs, self._usage = logprobs, usage
        self._admissions, self._width = admissions, width
        self._progress = Progress()
        self._legacy: dict[int, Legacy] = {}
        self._head = (
            b'data: {"id":%s,"object":"text_completion","created":%d,"model":%s,"system_fingerprint":%s,'
            % (
                _json.encode(head.id),
                head.created,
                _json.encode(head.model),
                _json.encode(FINGERPRINT),
            )
        )
        self._tail = b'],"usage":null}\n\n' if usage else b"]}\n\n"

    def event(self, event: StreamEvent) -> bytes:
        if isinstance(event, Delta):
            if self._logprobs:
                return self._with_logprobs(event)
            if not event.text:
                return b""
            return self._chunk(event.choice, event.text, b"null")
        if isinstance(event, Finished):
            return self._chunk(event.choice, "", _json.encode(REASONS[event.reason]))
        if isinstance(event, Done):
            return self._done(event)
        self._progress.hear(event)
        return b""

    def fail(self, error: ErrorInfo) -> bytes:
        return b"data: " + errors.encoded(error, "openai") + b"\n\n"

    def silence(self) -> bytes:
        return self._progress.comment()

    def _chunk(self, choice: int, text: str, reason: bytes) -> bytes:
        body = b'"choices":[{"text":%s,"index":%d,"logprobs":null,"finish_reason":%s}'
        return self._head + body % (_json.encode(text), choice, reason) + self._tail

    def _with_logprobs(self, event: Delta) -> bytes:
        legacy = self._legacy.get(event.choice)
        scores: Sequence[TokenLogprob | None] = ()
        if legacy is None:
            legacy = self._legacy[event.choice] = Legacy()
            scores = prompt_scores(self._admissions[event.choice // self._width])
        if not (event.text or event.logprobs or scores):
            return b""
        choice = {
            "text": event.text,
            "index": event.choice,
            "logprobs": legacy.add(scores, event.logprobs, event.text),
            "finish_reason": None,
        }
        return self._head + b'"choices":[' + _json.encode(choice) + self._tail

    def _done(self, event: Done) -> bytes:
        if not self._usage:
            return DONE
        usage = _json.encode(usage_of(event.usage))
        timings = _json.encode(timings_of(event.usage, event.timings))
        return self._head + b'"choices":[],"usage":%s,"timings":%s}\n\n' % (usage, timings) + DONE


class Legacy:
    """`logprobs` as lists: tokens, their log-probabilities, the best alternatives, and where in the text they begin."""

    def __init__(self) -> None:
        self._offset = 0

    def add(
        self, prompt: Sequence[TokenLogprob | None], tokens: Iterable[TokenLogprob], text: str
    ) -> dict[str, list[Any]]:
        """The lists of `prompt`, whose first token has no probability, and of what was sampled behind it."""
        shown: list[str] = []
        found: list[float | None] = []
        best: list[dict[str, float] | None] = []
        rest = "".join(piece_text(token) for token in prompt if token is not None)
        sampled = list(tokens)
        for token in (*prompt, *sampled):
            if token is None:
                # What its text is, the text of the prompt without the others says.
                after = rest + "".join(map(piece_text, sampled))
                shown.append(text[: -len(after)] if after and text.endswith(after) else "" if after else text)
                found.append(None)
                best.append(None)
                continue
            shown.append(piece_text(token))
            found.append(max(token.logprob, -9999.0))
            alternatives = {piece_text(other): max(other.logprob, -9999.0) for other in token.top}
            best.append({**alternatives, piece_text(token): max(token.logprob, -9999.0)})
        offsets: list[int] = []
        for piece in shown:
            offsets.append(self._offset)
            self._offset += len(piece)
        return {"tokens": shown, "token_logprobs": found, "top_logprobs": best, "text_offset": offsets}


def prompt_scores(admitted: Admitted | None) -> Sequence[TokenLogprob | None]:
    """The probabilities of a prompt's tokens, if they were asked for."""
    return (admitted.prompt_logprobs or ()) if admitted is not None else ()
