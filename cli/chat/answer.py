"""Follows one stream of events and writes the answer as it comes.

Only the answer goes to stdout; progress, thinking and notes go to stderr, and only where a person looks.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

from cli.chat.calls import Calls, write
from cli.chat.progress import ProgressLine
from cli.terminal_text import dim, for_stream
from engine import Stream
from engine.errors import ErrorInfo, StorageFailed
from engine.text_safety import plain
from engine.types import (
    Admitted,
    CacheMiss,
    Delta,
    Done,
    Failed,
    Finished,
    GenerationRequest,
    Shifted,
    StreamEvent,
    Timings,
    TokenLogprob,
    ToolCall,
    ToolDelta,
    Usage,
)
from tui.telling import prompt


@dataclass
class Answer:
    """What came of a request. `text` holds what was generated, also after a stop or a failure."""

    text: str = ""
    reasoning: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    """The tool calls that are whole."""
    broken_call: ToolCall | None = None
    """The call in which it broke off."""
    reason: str = ""
    """The finish reason of the one choice; empty if it never finished."""
    stopped: bool = False
    error: ErrorInfo | None = None
    usage: Usage = field(default_factory=Usage)
    timings: Timings = field(default_factory=Timings)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    miss: CacheMiss | None = None
    dropped_messages: int = 0
    dropped_tokens: int = 0
    shifted: int = 0
    """Tokens of the window that were forgotten so that it could go on."""
    context: int = 0
    """The window that the request ran in, tokens."""


def remarks(request: GenerationRequest, answer: Answer) -> list[str]:
    """What was not as asked, or was cut: never passed over, whoever reads."""
    said = [
        prompt.smaller_window(answer.context, request.load.context),
        prompt.dropped(answer.dropped_messages, answer.dropped_tokens),
        prompt.shifted(answer.shifted),
    ]
    if answer.reason == "context_full":
        said.append("The answer was cut: the window is full")
    if answer.broken_call is not None:
        said.append(f"The call of {plain(answer.broken_call.name, 40)} was not finished, so it is left out.")
    return [f"{text[0].upper()}{text[1:].rstrip('.')}." for text in said if text]


class AnswerWriter:
    """Takes the events of one stream in order and builds its `answer`."""

    def __init__(self, request: GenerationRequest, out: TextIO, notes: TextIO) -> None:
        self.answer = Answer()
        self._out, self._notes = out, notes
        self._progress = ProgressLine(request.model, notes)
        self._thinks_aloud = self._progress.is_watched and out.isatty() and request.thinking.visible
        self._calls = Calls()
        self._open: TextIO | None = None
        """Where a line was begun and not ended."""

    def take(self, event: StreamEvent) -> None:
        match event:
            case Admitted():
                self.answer.dropped_messages, self.answer.context = event.dropped_messages, event.context
                self.answer.dropped_tokens, self.answer.miss = event.dropped_tokens, event.miss
            case Delta(kind="content", text=text):
                self.answer.logprobs += event.logprobs
                self._content(text)
            case Delta(kind="reasoning", text=text):
                self._thinking(text)
            case ToolDelta():
                self._end_line()  # what is written over itself must not take text with it
                self._progress.say(self._calls.take(event))
            case Shifted():
                self.answer.shifted += event.dropped
            case Finished(reason=reason):
                self.answer.reason = reason
            case Done():
                self.answer.stopped = event.reason == "cancelled"
                self.answer.usage, self.answer.timings = event.usage, event.timings
            case Failed():
                self.answer.error = event.error
                self.answer.usage, self.answer.timings = event.usage, event.timings
            case _:
                self._progress.show(event)

    def close(self) -> None:
        """End the last line, if one was begun, and write the calls."""
        self._progress.clear()
        answer = self.answer
        answer.calls, answer.broken_call = self._calls.whole("" if answer.error else answer.reason)
        self._end_line()
        for call in answer.calls:
            write(call, self._out)
        self._out.flush()

    def _content(self, text: str) -> None:
        if not text:
            return
        self._progress.clear()
        if not self.answer.text and self.answer.reasoning and self._thinks_aloud:
            self._write("\n\n" if self._open is self._notes else "\n", self._notes)
        self.answer.text += text
        self._write(for_stream(text, self._out), self._out)

    def _thinking(self, text: str) -> None:
        self.answer.reasoning += text
        if self._thinks_aloud and text:
            self._progress.clear()
            self._write(for_stream(text, self._notes), self._notes, quietly=True)

    def _write(self, text: str, stream: TextIO, *, quietly: bool = False) -> None:
        stream.write(dim(text, stream) if quietly else text)
        stream.flush()
        if text:
            self._open = None if text.endswith("\n") else stream

    def _end_line(self) -> None:
        if self._open is not None:
            self._write("\n", self._open)


async def follow(
    stream: Stream,
    request: GenerationRequest,
    out: TextIO | None = None,
    notes: TextIO | None = None,
    *,
    watch: Callable[[Answer], None] = lambda answer: None,
) -> Answer:
    """Write `stream` to its end; `watch` gets the answer that grows.

    Ctrl-C stops the generation; a second one raises KeyboardInterrupt.

    An output whose reader has left (BrokenPipeError) stops the generation too, and is raised.
    """
    writer = AnswerWriter(request, out or sys.stdout, notes or sys.stderr)
    watch(writer.answer)
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    presses = 0

    def pressed() -> None:
        nonlocal presses
        presses += 1
        if presses == 1:
            stream.cancel()
        elif task is not None:
            task.cancel()

    loop.add_signal_handler(signal.SIGINT, pressed)
    try:
        async for event in stream:
            writer.take(event)
        writer.close()
    except BrokenPipeError:
        stream.cancel()
        raise
    except OSError as error:
        stream.cancel()
        raise StorageFailed(
            "The answer cannot be written.", f"{error.strerror or error}.", "Send it somewhere else."
        ) from None
    except asyncio.CancelledError:
        if presses > 1:
            raise KeyboardInterrupt from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGINT)
    return writer.answer


def figures(answer: Answer) -> str:
    """One line: tokens, tokens per second, time to first token, what the cache gave."""
    usage = answer.usage
    tokens = usage.completion_tokens
    rate = answer.timings.decode_rate(tokens)
    parts = [prompt.count(tokens, "token")]
    if rate is not None:
        parts.append(f"{rate:.1f} tok/s")
    if answer.timings.ttft_s:
        parts.append(f"TTFT {answer.timings.ttft_s:.2f} s")
    if answer.timings.load:
        parts.append(f"load {answer.timings.load_s:.2f} s")
    parts.append(prompt.cached(usage.prompt_tokens, usage.cached_tokens, answer.miss))
    parts.append(prompt.guesses(usage.draft_accepted, usage.draft_rejected))
    return " · ".join(part for part in parts if part)


def probabilities(answer: Answer) -> list[str]:
    """A line a token: the token, its log-probability, the alternatives with theirs."""
    return [
        "  ".join([_probability(each), *(f"· {_probability(other)}" for other in each.top)])
        for each in answer.logprobs
    ]


def _probability(token: TokenLogprob) -> str:
    return f"{token.piece.decode('utf-8', 'backslashreplace')!r} {token.logprob:.3f}"
