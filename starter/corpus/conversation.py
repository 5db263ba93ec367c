"""What the generators write: one chat conversation, and one plain fact that many of them talk about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Message = dict[str, Any]


@dataclass(frozen=True)
class Conversation:
    """Chat messages as the prompt template takes them, with the tools offered and whether thinking is on."""

    messages: list[Message]
    tools: list[dict[str, Any]] | None = None
    thinking: bool = False


@dataclass(frozen=True)
class Fact:
    """One fact: how it is asked, its answer as sentences and as a word or two.

    ``phrases`` are noun phrases that fit a frame ("tell me …"); ``questions`` are whole questions.
    """

    answer: str
    sentences: tuple[str, ...]
    phrases: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    thought: str = field(default="")


def chat(*turns: str, system: str | None = None, thinking: bool = False) -> Conversation:
    """A conversation of user and assistant texts in turn, user first."""
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    for index, text in enumerate(turns):
        messages.append({"role": "assistant" if index % 2 else "user", "content": text})
    return Conversation(messages, thinking=thinking)
