"""Messages and their parts, as they travel between people, models and tools."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

Json = Any
Role = Literal["system", "user", "assistant", "tool"]


class TextPart(Struct, frozen=True, tag="text"):
    text: str


class ImagePart(Struct, frozen=True, tag="image", kw_only=True):
    """One image: exactly one of `data` (file bytes), `path` (local file, terminal only) and `url`."""

    data: bytes | None = None
    path: str | None = None
    url: str | None = None
    media_type: str | None = None
    detail: Literal["auto", "low", "high"] = "auto"


class AudioPart(Struct, frozen=True, tag="audio"):
    data: bytes
    format: str


class DocumentPart(Struct, frozen=True, tag="document", kw_only=True):
    """A text document that travels as such (Anthropic `document`, OpenAI `file`)."""

    text: str
    title: str | None = None


Part = TextPart | ImagePart | AudioPart | DocumentPart


class ToolCall(Struct, frozen=True, kw_only=True):
    """A call the model made. `arguments` is the JSON text, exactly as generated."""

    id: str
    name: str
    arguments: str


class Message(Struct, frozen=True, kw_only=True):
    role: Role
    content: str | tuple[Part, ...] = ""
    name: str | None = None
    reasoning: str | None = None
    reasoning_signature: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    tool_name: str | None = None
    tool_error: bool = False

    @property
    def text(self) -> str:
        """The text parts joined; media left out."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, TextPart | DocumentPart))
