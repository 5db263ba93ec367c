"""What an answer is made of once it is read: passages of text, and tool calls in pieces."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Passage(Struct, frozen=True):
    """A piece of text that is shown, or of the reasoning before it."""

    kind: Literal["content", "reasoning"]
    text: str


class CallPart(Struct, frozen=True, kw_only=True):
    """A piece of a tool call.

    `index` counts the calls of an answer from 0; the first piece of a call carries its `id` and `name`, and no
    other does. The `arguments` of its pieces join to one JSON text, an object.
    """

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


AnswerPart = Passage | CallPart
