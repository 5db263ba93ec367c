"""What kind of picture a file is, by its first bytes: endings lie, and a message must not."""

from __future__ import annotations

from pathlib import Path

HEAD = 32
"""Bytes that tell."""
SUPPORTED = "PNG, JPEG, WebP, GIF and BMP"
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")
"""What such files are usually called; for lists of files, which cannot open them all."""
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
"""Sizes of the header behind the file header of a BMP, in bytes."""
_HEIF = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")


def media_type(head: bytes) -> str:
    """The media type of a file that begins with `head` (`HEAD` bytes of it); empty if it is no picture."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "image/bmp"
    return ""


def foreign(head: bytes) -> str:
    """The name of a picture format that is known and not taken; empty for everything else."""
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF:
        return "AVIF" if head[8:12] in (b"avif", b"avis") else "HEIC"
    if head.startswith((b"II*\0", b"MM\0*")):
        return "TIFF"
    return ""


def is_picture(path: Path) -> bool:
    """Whether a file is a picture, of whatever format. Reads its first bytes, so run it off a screen's loop."""
    head = head_of(path)
    return bool(media_type(head) or foreign(head))


def head_of(path: Path) -> bytes:
    """The first bytes of a file; none of what is no file or cannot be read."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(HEAD)
    except (OSError, ValueError):
        return b""
