"""Kind and size of an image, read from its first bytes without decoding any: what is too large is never decoded.

The kind is what the bytes say, whatever a file's name or a sender calls it. Sources: PNG (W3C, third edition), JPEG
(ITU-T T.81, B.2), GIF89a, the WebP container (RFC 9649), BMP (Microsoft, BITMAPINFOHEADER).
"""

from __future__ import annotations

import re
import struct
from typing import Final

from msgspec import Struct

from engine.errors import InvalidRequest
from engine.settings import show_size

MOST_BYTES: Final = 25 * 1024 * 1024
"""Bytes of one image file."""
MOST_PIXELS: Final = 25_000_000
"""Pixels of one image, as its file holds it; at 4 bytes each they take 100 MB while they are decoded."""
MOST_SCANS: Final = 32
"""Passes over a progressive JPEG. Encoders make about ten; one of 42 bytes can take 20 ms at the most pixels."""
MAX_SIDE: Final = 1440
"""Pixels of the longest side that a model is shown, where nobody says otherwise."""
ACCEPTED: Final = "PNG, JPEG, WebP, GIF and BMP"

_REFUSED: Final = (
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"8BPS", "Photoshop"),
    (0, b"%!PS", "PostScript"),
    (0, b"%PDF", "PDF"),
    (0, b"\0\0\1\0", "icon"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"<svg", "SVG"),
    (0, b"<?xml", "SVG or XML"),
    (0, b"<!DOCTYPE", "HTML"),
    (0, b"<!doctype", "HTML"),
    (0, b"<html", "HTML"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypheic", "HEIC"),
    (4, b"ftypheix", "HEIC"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftyp", "video"),
    (0, b"\x1aE\xdf\xa3", "video"),
)
"""What people send and no decoder here takes, so that it can be called by its name."""
_MARKER: Final = re.compile(rb"\xff+[^\x00\xff\xd0-\xd8]", re.DOTALL)
"""A marker of a JPEG but the ones that stand among pixels."""
_BMP_HEADERS: Final = frozenset({12, 40, 52, 56, 64, 108, 124})


class Header(Struct, frozen=True):
    """`media_type` as IANA names it; `width` and `height` in pixels, as the file holds them (not yet upright)."""

    media_type: str
    width: int
    height: int


def read_header(data: bytes, param: str, *, most_bytes: int = MOST_BYTES) -> Header:
    """Kind and size of the image file `data`, which came from `param` of a request.

    Raises InvalidRequest if it is empty, too long, of no kind that is accepted, has too many pixels or a broken header.
    """
    if not data:
        raise InvalidRequest("The image is empty.", "It has no bytes.", "Send an image.", param=param)
    if len(data) > most_bytes:
        raise too_long(param, most_bytes)
    media_type = sniff(data)
    if media_type is None:
        raise InvalidRequest(
            "The image is of no kind that can be read.",
            f"It looks like {name}."
            if (name := known_kind(data))
            else "Its first bytes are those of no image.",
            f"Send one of {ACCEPTED}.",
            param=param,
        )
    try:
        width, height = _SIZES[media_type](data)
    except (struct.error, ValueError, IndexError):
        width = height = 0
    if width <= 0 or height <= 0:
        raise damaged(param)
    check_pixels(width, height, param)
    return Header(media_type, width, height)


def sniff(data: bytes) -> str | None:
    """The media type of an image that is accepted, by its first bytes; else None."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "image/bmp"
    return None


def check_pixels(width: int, height: int, param: str) -> None:
    """Raises InvalidRequest if there are too many."""
    if width * height > MOST_PIXELS:
        raise InvalidRequest(
            f"The image is too large: {width:,} × {height:,} pixels.",
            f"At most {MOST_PIXELS // 1_000_000} million are decoded.",
            "Make it smaller.",
            param=param,
        )


def check_scans(data: bytes, param: str) -> None:
    """Raises InvalidRequest if `data`, a JPEG, goes over its pixels too often. Reads all of it, in milliseconds."""
    at, scans = 2, 0
    while (found := _MARKER.search(data, at)) is not None:
        marker = data[found.end() - 1]
        at = found.end()
        if marker == 0xD9:
            return
        if marker != 0x01:
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
        scans += marker == 0xDA
        if scans > MOST_SCANS:
            raise InvalidRequest(
                "The image would take too long to decode.",
                f"It is a JPEG of more than {MOST_SCANS} scans.",
                "Open it and save it anew, or send another.",
                param=param,
            )


def too_long(param: str, most_bytes: int) -> InvalidRequest:
    """The file has more bytes than may be."""
    return InvalidRequest(
        "The image file is too large.",
        f"It has more than {show_size(most_bytes)} (media.max_bytes).",
        "Make it smaller, or save it as JPEG.",
        param=param,
    )


def damaged(param: str) -> InvalidRequest:
    """The file says that it is an image and cannot be read as one."""
    return InvalidRequest(
        "The image cannot be read.",
        "Its file is damaged or cut short.",
        "Open it and save it anew, or send another.",
        param=param,
    )


def known_kind(data: bytes) -> str | None:
    """What a file is that begins with `data`, of the kinds that people send and nobody here takes; else None."""
    for offset, magic, name in _REFUSED:
        if data.startswith(magic, offset):
            return name
    return None


def _png(data: bytes) -> tuple[int, int]:
    if data[12:16] != b"IHDR":
        raise ValueError
    return struct.unpack_from(">II", data, 16)


def _gif(data: bytes) -> tuple[int, int]:
    return struct.unpack_from("<HH", data, 6)


def _bmp(data: bytes) -> tuple[int, int]:
    if data[14] == 12:
        return struct.unpack_from("<HH", data, 18)
    width, height = struct.unpack_from("<ii", data, 18)
    # A negative height says that the rows begin at the top.
    return width, abs(height)


def _webp(data: bytes) -> tuple[int, int]:
    chunk = data[12:16]
    if chunk == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L" and data[20] == 0x2F:
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError


def _jpeg(data: bytes) -> tuple[int, int]:
    at = 2
    while (at := data.find(b"\xff", at)) >= 0:
        marker = data[at + 1]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:
            # Fill bytes and markers that stand alone.
            at += 1 if marker == 0xFF else 2
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        if marker in (0xD9, 0xDA):
            break
        (length,) = struct.unpack_from(">H", data, at + 2)
        at += 2 + max(2, length)
    raise ValueError


_SIZES: Final = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/gif": _gif,
    "image/webp": _webp,
    "image/bmp": _bmp,
}
