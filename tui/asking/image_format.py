"""Whether a file is a picture, by its first bytes: endings lie, and a message must not."""

from __future__ import annotations

from pathlib import Path

from engine.media import known_kind, sniff

HEAD = 32
"""Bytes that tell."""
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")
"""What pictures are usually called; for lists of files, which cannot open them all."""
_FOREIGN = frozenset({"TIFF", "Photoshop", "icon", "JPEG XL", "JPEG 2000", "AVIF", "HEIC", "HEIF"})
"""Pictures that nobody here takes, which are refused as such and not as texts that are none."""


def is_picture(path: Path) -> bool:
    """Whether a file is a picture, of whatever kind. Reads its first bytes, so run it off a screen's loop."""
    head = head_of(path)
    return sniff(head) is not None or known_kind(head) in _FOREIGN


def head_of(path: Path) -> bytes:
    """The first bytes of a file; none of what is no file or cannot be read."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(HEAD)
    except (OSError, ValueError):
        return b""
