"""Pictures named by `--image`, and content of text and pictures put together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.types import ImagePart, Part, TextPart
from tui.asking.pictures import look

Content = str | tuple[Part, ...]
"""What a message holds; a string where it is text alone."""


def image_parts(paths: Sequence[str]) -> tuple[ImagePart, ...]:
    """A part for each picture, in order. Raises InvalidRequest for one that cannot go along."""
    found = [look(path, Path.cwd()) for path in paths]
    return tuple(ImagePart(path=picture.path, media_type=picture.media_type) for picture in found)


def joined(images: Sequence[ImagePart], before: str, content: Content) -> Content:
    """A message of `images`, a text that comes `before`, and what was typed."""
    typed = (TextPart(content),) if isinstance(content, str) else content
    parts: list[Part] = [part for part in typed if not isinstance(part, TextPart) or part.text]
    if before and parts and isinstance(parts[0], TextPart):
        parts[0] = TextPart(f"{before}\n\n{parts[0].text}")
    elif before:
        parts.insert(0, TextPart(before))
    parts = [*images, *parts]
    if not any(isinstance(part, ImagePart) for part in parts):
        return "".join(part.text for part in parts if isinstance(part, TextPart))
    return tuple(parts)


def named(content: Content) -> str:
    """A message's text as Markdown, its pictures as images of their files."""
    if isinstance(content, str):
        return content
    pieces = []
    for part in content:
        if isinstance(part, ImagePart):
            path = part.path or part.url or "picture"
            pieces.append(f"![{Path(path).name}](<{path}>)")
        else:
            text = getattr(part, "text", "")
            pieces.append(f" {text}" if pieces and text[:1].isalnum() else text)
    return "".join(pieces)
