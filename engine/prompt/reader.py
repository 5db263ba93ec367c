"""Reads an answer as it comes: reasoning, content and tool calls, each in its own stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.prompt.effort import ThinkingPlan
from engine.prompt.incoming import Incoming, Step
from engine.prompt.parts import AnswerPart, Passage
from engine.prompt.thinking import ThinkingSplitter
from engine.prompt.tools import Ledger, ToolFormat


class Reader(Protocol):
    """Reads one answer as it comes. The same parts come out however it is cut into pieces."""

    def feed(self, text: str) -> list[AnswerPart]:
        """The parts that `text` completes; text that may yet be part of a tag is held back."""
        ...

    def flush(self) -> list[AnswerPart]:
        """What was held back, at the end of the answer."""
        ...

    @property
    def calls(self) -> int:
        """How many tool calls are whole."""
        ...

    @property
    def broken(self) -> bool:
        """Whether the answer broke off inside a call, whose arguments are then not whole."""
        ...


class PlainReader:
    """The reader of an answer that is all content."""

    calls = 0
    broken = False

    def feed(self, text: str) -> list[AnswerPart]:
        return [Passage("content", text)] if text else []

    def flush(self) -> list[AnswerPart]:
        return []


class AnswerReader:
    """The reader of one answer: reasoning by its tags, the rest by its family. `heads` was in the prompt already."""

    def __init__(self, family: ToolFormat, ledger: Ledger, thinking: ThinkingPlan, heads: str = "") -> None:
        self._ledger = ledger
        self._splitter = (
            None if thinking.tags is None else ThinkingSplitter(*thinking.tags, starts_inside=thinking.inside)
        )
        self._incoming = Incoming()
        self._steps: Step[None] = family.read(self._incoming, ledger)
        if heads:
            self._read(heads)

    def feed(self, text: str) -> list[AnswerPart]:
        if self._splitter is None:
            return _merged(self._read(text))
        return _merged(self._apart(self._splitter.feed(text)))

    def flush(self) -> list[AnswerPart]:
        parts = [] if self._splitter is None else self._apart(self._splitter.flush())
        self._incoming.end()
        return _merged([*parts, *self._go()])

    @property
    def calls(self) -> int:
        return self._ledger.made

    @property
    def broken(self) -> bool:
        return self._ledger.open

    def _apart(self, split: Sequence[tuple[str, str]]) -> list[AnswerPart]:
        parts: list[AnswerPart] = []
        for kind, text in split:
            parts += [Passage("reasoning", text)] if kind == "reasoning" else self._read(text)
        return parts

    def _read(self, text: str) -> list[AnswerPart]:
        self._incoming.feed(text)
        return self._go()

    def _go(self) -> list[AnswerPart]:
        """The parts up to where the steps wait for more text."""
        parts: list[AnswerPart] = []
        for part in self._steps:
            if part is None:
                break
            parts.append(part)
        return parts


def _merged(parts: list[AnswerPart]) -> list[AnswerPart]:
    """The parts with neighbouring passages of one kind as one."""
    made: list[AnswerPart] = []
    for part in parts:
        last = made[-1] if made else None
        if isinstance(part, Passage) and isinstance(last, Passage) and part.kind == last.kind:
            made[-1] = Passage(part.kind, last.text + part.text)
        else:
            made.append(part)
    return made
