"""How pictures come in: what dialects send, files and addresses, limits, and the pixels that models read.

    encoded   what a dialect sends -> `ImagePart`, pure text work             for codecs
    sources   every `ImagePart` of a request -> its bytes (files, addresses)  the engine, before a worker has it
    fetch     an http(s) address -> bytes, to public addresses only           beneath `sources`
    header    bytes -> kind and size, read without decoding                   beneath `sources` and `picture`
    picture   bytes -> upright RGB pixels within limits                       the worker, where a crash is contained

Importing this package imports nothing: each name is loaded when first asked for, Pillow and the HTTP client when an
image is there.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.media.encoded import image_from_json, image_from_text
    from engine.media.header import MOST_BYTES, check_scans, known_kind, read_header, sniff
    from engine.media.picture import Picture
    from engine.media.sources import Sources, has_images

__all__ = [
    "MOST_BYTES",
    "Picture",
    "Sources",
    "check_scans",
    "has_images",
    "image_from_json",
    "image_from_text",
    "known_kind",
    "read_header",
    "sniff",
]

_ROOMS = {
    "encoded": ("image_from_json", "image_from_text"),
    "header": ("MOST_BYTES", "check_scans", "known_kind", "read_header", "sniff"),
    "picture": ("Picture",),
    "sources": (
        "Sources",
        "has_images",
    ),
}


def __getattr__(name: str) -> Any:
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(import_module(f"engine.media.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
