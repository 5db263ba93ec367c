"""Follows one stream of events and writes the answer as it comes.

Only the answer goes to stdout; progress, thinking and notes go to stderr, and only where a person looks.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import dataclass, field
from typing import TextIO

from cli.terminal_text import dim, for_stream
from engine import Stream
from engine.errors import ErrorInfo, StorageFailed
from engine.text_safety import plain
from engine.types import (
    Admitted,
    Delta,
    Done,
    Failed,
    Finished,
    GenerationRequest,
    Loading,
    StreamEvent,
    Timings,
    Usage,
)


@dataclass
class Answer:
    """What came of a request. `text` holds what was generated, also after a stop or a failure."""

    text: str = ""
    reasoning: str = ""
    reason: str = ""
    """The finish reason of the one choice; empty if it never finished."""
    stopped: bool = False
    error: ErrorInfo | None = None
    usage: Usage = field(default_factory=Usage)
    timings: Timings = field(default_factory=Timings)
    dropped_messages: int = 0
    context: int = 0
    """The window that the request ran in, tokens."""


def smaller_window(request: GenerationRequest, answer: Answer) -> str | None:
    """What to say when the request asked for a larger window than it got."""
    wanted = request.load.context
    if wanted is None or not 0 < answer.context < wanted:
        return None
    return f"The window is {answer.context} tokens: {request.model} was made for no more, so not {wanted}."


class AnswerWriter:
    """Takes the events of one stream in order and builds its `answer`."""

    def __init__(self, model: str, out: TextIO, notes: TextIO) -> None:
        self.answer = Answer()
        self._model, self._out, self._notes = model, out, notes
        self._watched = notes.isatty() and os.environ.get("TERM") != "dumb"
        self._thinks_aloud = self._watched and out.isatty()
        self._progress_shown = False

    def take(self, event: StreamEvent) -> None:
        match event:
            case Loading(stage=stage, fraction=fraction):
                self._progress(stage, fraction)
            case Admitted():
                self.answer.dropped_messages, self.answer.context = event.dropped_messages, event.context
            case Delta(kind="content", text=text):
                self._content(text)
            case Delta(kind="reasoning", text=text):
                self._thinking(text)
            case Finished(reason=reason):
                self.answer.reason = reason
            case Done():
                self.answer.stopped = event.reason == "cancelled"
                self.answer.usage, self.answer.timings = event.usage, event.timings
            case Failed():
                self.answer.error = event.error
                self.answer.usage, self.answer.timings = event.usage, event.timings

    def close(self) -> None:
        """End the last line, if one was begun."""
        self._clear_progress()
        if self.answer.text:
            if not self.answer.text.endswith("\n"):
                self._out.write("\n")
        elif self.answer.reasoning and self._thinks_aloud:
            self._notes.write("\n")
        self._out.flush()

    def _content(self, text: str) -> None:
        if not text:
            return
        self._clear_progress()
        if not self.answer.text and self.answer.reasoning and self._thinks_aloud:
            self._notes.write("\n\n")
            self._notes.flush()
        self.answer.text += text
        self._out.write(for_stream(text, self._out))
        self._out.flush()

    def _thinking(self, text: str) -> None:
        self.answer.reasoning += text
        if self._thinks_aloud and text:
            self._clear_progress()
            self._notes.write(dim(for_stream(text, self._notes), self._notes))
            self._notes.flush()

    def _progress(self, stage: str, fraction: float | None) -> None:
        if self._watched:
            share = "" if fraction is None else f" {fraction:.0%}"
            text = f"loading {plain(self._model)}: {plain(stage)}{share}"
            self._notes.write("\r\x1b[2K" + dim(text, self._notes))
            self._notes.flush()
            self._progress_shown = True

    def _clear_progress(self) -> None:
        if self._progress_shown:
            self._notes.write("\r\x1b[2K")
            self._notes.flush()
            self._progress_shown = False


async def follow(
    stream: Stream, model: str, out: TextIO | None = None, notes: TextIO | None = None
) -> Answer:
    """Write `stream` to its end. Ctrl-C stops the generation; a second one raises KeyboardInterrupt.

    An output whose reader has left (BrokenPipeError) stops the generation too, and is raised.
    """
    writer = AnswerWriter(model, out or sys.stdout, notes or sys.stderr)
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
    writer.close()
    return writer.answer


def figures(answer: Answer) -> str:
    """One line: tokens, tokens per second, time to first token."""
    tokens = answer.usage.completion_tokens
    rate = answer.timings.decode_rate(tokens)
    parts = [f"{tokens} token{'' if tokens == 1 else 's'}"]
    if rate is not None:
        parts.append(f"{rate:.1f} tok/s")
    if answer.timings.ttft_s:
        parts.append(f"TTFT {answer.timings.ttft_s:.2f} s")
    if answer.timings.load:
        parts.append(f"load {answer.timings.load_s:.2f} s")
    return " · ".join(parts)
