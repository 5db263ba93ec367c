"""Bytes of an image file to the pixels that a model reads: upright, RGB, within a longest side.

This is where foreign bytes meet native decoders, so it runs in the worker. The header is checked before anything is
decoded, only the one decoder that suits the bytes is tried, and whatever a decoder raises is the image's fault.
"""

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from engine.errors import HearthError, InvalidRequest
from engine.media.header import MAX_SIDE, MOST_BYTES, check_pixels, check_scans, damaged, read_header

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

_DECODERS: Final = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
    "image/bmp": "BMP",
}
_ORIENTATION: Final = 0x0112
"""The EXIF tag (CIPA DC-008, 4.6.5): how the camera was held, 1 to 8."""
_WHITE: Final = (255, 255, 255)


class Picture(Struct, frozen=True, kw_only=True):
    """An image as a model is shown it.

    `pixels` is height × width × 3 bytes: rows from the top, R G B, no padding. `key` is 64 hex digits that are equal
    for equal pixels and size, whatever file they came from: what was computed of a picture is kept under it.
    """

    width: int
    height: int
    pixels: bytes
    key: str

    def array(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The pixels as uint8 of shape (height, width, 3), read-only, without a copy."""
        import numpy as np

        return np.frombuffer(self.pixels, np.uint8).reshape(self.height, self.width, 3)

    def image(self) -> Image.Image:
        """The pixels as a Pillow image of mode RGB."""
        from PIL import Image

        return Image.frombytes("RGB", (self.width, self.height), self.pixels)


def read(
    data: bytes, max_side: int = MAX_SIDE, *, most_bytes: int = MOST_BYTES, param: str = "images"
) -> Picture:
    """The picture in the image file `data`, its longest side at most `max_side` pixels; never enlarged.

    Transparent parts are laid on white. Raises InvalidRequest (with `param`) for what `read_header` refuses, for an
    animation, and for a file that is damaged or cut short. Blocks: up to about a second at the limits.
    """
    media_type = read_header(data, param, most_bytes=most_bytes).media_type
    try:
        image = _decoded(data, _DECODERS[media_type], param)
        image = _rgb(_upright(image))
        image = _within(image, max_side)
        pixels = image.tobytes()
    except HearthError:
        raise
    except Exception as error:
        # Decoders of foreign bytes raise whatever they like: OSError, SyntaxError, struct.error, KeyError, …
        raise damaged(param) from error
    head = f"rgb8 {image.width} {image.height} ".encode()
    return Picture(
        width=image.width,
        height=image.height,
        pixels=pixels,
        key=hashlib.sha256(head + pixels).hexdigest(),
    )


def prepare() -> None:
    """Import what decoding needs, in a thread that may take the time."""
    import PIL.Image
    import PIL.ImageOps

    PIL.Image.init()


def _decoded(data: bytes, decoder: str, param: str) -> Image.Image:
    from PIL import Image

    if decoder == "JPEG":
        check_scans(data, param)
    image = Image.open(BytesIO(data), formats=[decoder])
    # By the decoder's own reading too: two parsers may differ over one file.
    check_pixels(image.width, image.height, param)
    # A JPEG may carry further pictures of the same scene (previews, depths); the first is the one.
    if decoder != "JPEG" and getattr(image, "is_animated", False):
        raise InvalidRequest(
            "The image is animated.",
            "A model looks at one picture at a time.",
            "Send the frames that matter as images of their own.",
            param=param,
        )
    image.load()
    check_pixels(image.width, image.height, param)
    return image


def _upright(image: Image.Image) -> Image.Image:
    from PIL.Image import Transpose

    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:
        # Broken notes beside a sound picture.
        return image
    turn = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation if isinstance(orientation, int) else 1)
    return image if turn is None else _with_notes(image.transpose(turn), image)


def _with_notes(turned: Image.Image, image: Image.Image) -> Image.Image:
    """`turned` with the transparent colour that `image` names, if any."""
    if "transparency" in image.info:
        turned.info["transparency"] = image.info["transparency"]
    return turned


def _rgb(image: Image.Image) -> Image.Image:
    """Mode RGB, what is transparent laid on white; 16 bits of grey are scaled to 8, not clipped."""
    from PIL import Image

    if image.mode.startswith("I"):
        return _from_deep_grey(image)
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    image = image.convert("RGBA")
    ground = Image.new("RGBA", image.size, (*_WHITE, 255))
    return Image.alpha_composite(ground, image).convert("RGB")


def _from_deep_grey(image: Image.Image) -> Image.Image:
    import numpy as np
    from PIL import Image

    values = np.asarray(image).astype(np.int64)
    grey = ((np.clip(values, 0, 65535) * 255 + 32767) // 65535).astype(np.uint8)
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        grey[values == clear] = 255
    return Image.fromarray(grey).convert("RGB")


def _within(image: Image.Image, max_side: int) -> Image.Image:
    from PIL.Image import Resampling

    longest = max(image.size)
    if longest <= max_side:
        return image
    width, height = (max(1, round(side * max_side / longest)) for side in image.size)
    return image.resize((width, height), Resampling.LANCZOS)
