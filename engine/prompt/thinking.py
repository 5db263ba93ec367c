"""Splits reasoning from answer in the text stream of a model that thinks between tags.

A model that thinks does so first: the open tag counts only at the very beginning of its output (so an answer
that speaks of the tag is left alone), or the prompt has opened it. White space after either tag is dropped.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

Kind = Literal["content", "reasoning"]

KNOWN_TAGS: tuple[tuple[str, str], ...] = (
    ("<think>", "</think>"),
    ("<seed:think>", "</seed:think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("◁think▷", "◁/think▷"),
)


def tags_of(template_source: str | None) -> tuple[str, str] | None:
    """The tags that a template knows, None if it knows none. A template may name only the closing one."""
    return next((tags for tags in KNOWN_TAGS if template_source and tags[1] in template_source), None)


def starts_inside(prompt: str, tags: tuple[str, str]) -> bool:
    """Whether `prompt` ends with the open tag, so that the model's first word is reasoning."""
    return prompt.rstrip().endswith(tags[0])


class _Place(Enum):
    START = "nothing yet, the open tag may come"
    LEAD = "white space that follows the open tag"
    THINKING = "between the tags"
    GAP = "white space that follows the closing tag"
    ANSWER = "the rest"


class ThinkingSplitter:
    """An incremental splitter: however the text is cut into pieces, the same parts come out."""

    def __init__(self, open_tag: str, close_tag: str, *, starts_inside: bool = False) -> None:
        self._open, self._close = open_tag, close_tag
        self._inside = starts_inside
        self._place = _Place.START
        self._held = ""

    def feed(self, text: str) -> list[tuple[Kind, str]]:
        """The parts that `text` completes; the text that may yet turn out to be a tag is held back."""
        self._held += text
        parts: list[tuple[Kind, str]] = []
        while (part := self._next()) is not None:
            if part[1]:
                parts.append(part)
        return parts

    def flush(self) -> list[tuple[Kind, str]]:
        """What is held back, at the end of the stream."""
        held, self._held = self._held, ""
        if self._place in (_Place.LEAD, _Place.GAP) or (self._place is _Place.START and self._inside):
            held = held.lstrip()
        thinking = self._place is _Place.THINKING or (self._place is _Place.START and self._inside)
        return [("reasoning" if thinking else "content", held)] if held else []

    def _next(self) -> tuple[Kind, str] | None:
        """One step of the machine: the part it yields (maybe empty), or None if it needs more text."""
        match self._place:
            case _Place.START:
                return self._at_start()
            case _Place.THINKING:
                return self._thinking()
            case _Place.LEAD | _Place.GAP:
                self._held = self._held.lstrip()
                if not self._held:
                    return None
                self._place = _Place.THINKING if self._place is _Place.LEAD else _Place.ANSWER
                return "content", ""
            case _Place.ANSWER:
                text, self._held = self._held, ""
                return ("content", text) if text else None

    def _at_start(self) -> tuple[Kind, str] | None:
        begun = self._held.lstrip()
        if begun.startswith(self._open):
            self._place, self._held = _Place.LEAD, begun[len(self._open) :]
        elif self._open.startswith(begun):
            return None
        elif self._inside:
            self._place, self._held = _Place.THINKING, begun
        else:
            self._place = _Place.ANSWER
        return "content", ""

    def _thinking(self) -> tuple[Kind, str] | None:
        text, found, rest = self._held.partition(self._close)
        if found:
            self._place, self._held = _Place.GAP, rest
            return "reasoning", text
        keep = _overlap(text, self._close)
        self._held = text[len(text) - keep :]
        text = text[: len(text) - keep]
        return ("reasoning", text) if text else None


def _overlap(text: str, tag: str) -> int:
    """Length of the longest end of `text` that is a beginning of `tag`."""
    return next(
        (size for size in range(min(len(text), len(tag) - 1), 0, -1) if tag.startswith(text[-size:])), 0
    )
