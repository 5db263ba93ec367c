"""Image files for tests, made by Pillow and by hand."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

FORMATS = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
}


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """`image` as a file."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def quarters(width: int = 64, height: int = 32) -> Image.Image:
    """Red, green above, blue, white below: no turn and no flip of it looks like another."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    pixels[: height // 2, width // 2 :] = (0, 255, 0)
    pixels[height // 2 :, : width // 2] = (0, 0, 255)
    pixels[height // 2 :, width // 2 :] = (255, 255, 255)
    return Image.fromarray(pixels)


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """What no format can make small."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def png(
    width: int,
    height: int,
    rows: Sequence[bytes] = (),
    *,
    depth: int = 8,
    colour: int = 2,
    extra: bytes = b"",
) -> bytes:
    """A PNG of these raw rows, whatever its header says of them."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def chunk(name: bytes, body: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def bombs() -> dict[str, bytes]:
    """Small files whose headers promise 10,000 million pixels, or as many as the format can say."""
    large = 100_000
    return {
        "png": png(large, large, [b"\0" * 30]),
        "gif": b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\0\0\0;",
        "bmp": b"BM"
        + struct.pack("<IHHI", 100, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, large, large, 1, 24, *[0] * 6),
        "bmp, top-down": b"BM"
        + struct.pack("<IHHI", 100, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, large, -large, 1, 24, *[0] * 6),
        "jpeg": b"\xff\xd8\xff\xe0\x00\x04ab"
        + b"\xff\xc0"
        + struct.pack(">HBHHB", 17, 8, 65535, 65535, 3)
        + b"\0" * 99,
        "webp": b"RIFF"
        + struct.pack("<I", 100)
        + b"WEBPVP8X"
        + struct.pack("<I", 10)
        + b"\0" * 4
        + b"\xff" * 6
        + b"\0" * 60,
        "webp, lossless": b"RIFF"
        + struct.pack("<I", 100)
        + b"WEBPVP8L"
        + struct.pack("<IB", 90, 0x2F)
        + b"\xff\xff\xff\x0f"
        + b"\0" * 60,
    }


def animations() -> dict[str, bytes]:
    """Two frames in each format that can."""
    one, two = quarters(), noise(64, 32)
    return {
        kind: encoded(one, kind, save_all=True, append_images=[two], duration=100)
        for kind in ("GIF", "PNG", "WEBP")
    }
