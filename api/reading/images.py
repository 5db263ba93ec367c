"""Images of a request: data URIs and base64, by their bytes alone.

What the bytes are is looked at by the engine. Addresses are not followed here.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from engine.errors import InvalidRequest, Unsupported
from engine.types import ImagePart

MAX_IMAGES: Final = 8


def image_of_url(url: str, detail: str | None = None) -> ImagePart:
    """The image of a data URI. Raises InvalidRequest; Unsupported for an address on a network or a path."""
    if url.startswith("data:"):
        head, comma, data = url[5:].partition(",")
        media_type, _, encoding = head.partition(";")
        if not comma or "base64" not in encoding:
            raise InvalidRequest("An image's data URI must be base64.", param="messages")
        level = detail if detail in ("auto", "low", "high") else "auto"
        return ImagePart(data=_bytes(data), media_type=media_type or None, detail=level)  # type: ignore[arg-type]
    raise Unsupported(
        "An image is given by its address.",
        "This server fetches nothing for its clients.",
        "Send it as a data URI (base64).",
        param="messages",
    )


def image_of_base64(data: str, media_type: str | None = None) -> ImagePart:
    """The image of bare base64, or of a data URI where a client sends one all the same."""
    if data.startswith("data:"):
        return image_of_url(data)
    return ImagePart(data=_bytes(data), media_type=media_type)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(
            "An image is not valid base64.", fix="Send the file's bytes, base64.", param="images"
        ) from None
