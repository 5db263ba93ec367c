"""From a picture's file to pixels of the size that is drawn: upright, RGBA, the first frame. Slow: for threads only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import InvalidRequest, StorageFailed
from engine.media import MOST_BYTES
from tui.asking.pictures import Picture, decoder

if TYPE_CHECKING:
    from PIL import Image


def decoded(picture: Picture, width: int, height: int) -> Image.Image:
    """The picture scaled to exactly `width`×`height` pixels.

    Raises StorageFailed where its file is gone or another by now, InvalidRequest where it is damaged.
    """
    import hashlib

    try:
        with Path(picture.path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise StorageFailed(f"{picture.label} is gone.", f"{error.strerror or error}.") from None
    if hashlib.blake2b(data, digest_size=16).hexdigest() != picture.digest:
        raise StorageFailed(f"{picture.label} was changed since.")
    try:
        with decoder(picture.media_type)(data) as image:
            return _scaled(image, width, height)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError) as error:
        raise InvalidRequest(f"{picture.label} is damaged.", f"{error}.") from None


def _scaled(image: Any, width: int, height: int) -> Image.Image:
    from PIL import Image, ImageOps

    turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    across, down = (height, width) if turned else (width, height)
    # A JPEG is decoded at a half, a quarter or an eighth of its size where that is still enough.
    image.draft("RGB", (across * 2, down * 2))
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    upright = ImageOps.exif_transpose(image)
    return upright.convert("RGBA").resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
