"""Pictures that go along with a message: `@cat.png` stands in its text where the picture is.

    found = pictures("What is on @cat.png?", Path.cwd())          # reads headers; in a thread
    content_of("What is on @cat.png?", found)                      # (text, image, text), as the engine takes it
    named("What is on @cat.png?", found)                           # "What is on cat.png?", for titles

The text is the one truth: whoever takes the mention out of it takes the picture out. A second mention of a picture
is its name, not the picture once more. Pillow is imported where a file is looked at, and nowhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from engine.errors import HearthError, InvalidRequest
from engine.media import MOST_BYTES, check_scans, read_header
from engine.text_safety import plain
from engine.types import ImagePart, Part, TextPart
from tui import units
from tui.asking.files import Span, existing, spans
from tui.asking.image_format import is_picture


class Picture(Struct, frozen=True, kw_only=True):
    """A picture that was looked at. `name` is how the message writes it, `width` and `height` are upright pixels."""

    name: str
    path: str
    """Absolute."""
    media_type: str
    width: int
    height: int
    size: int
    """Bytes of the file."""
    digest: str
    """Of the file's bytes: equal pictures are drawn once."""

    @property
    def label(self) -> str:
        """The file's name without its folder, safe to show."""
        return plain(Path(self.path).name, 60) or "picture"

    @property
    def facts(self) -> str:
        """`640×480 · 83 KiB`."""
        return f"{self.width:,}×{self.height:,} · {units.size(self.size)}"


def look(name: str, folder: Path) -> Picture:
    """The picture that a message mentions as `name`: its header is read, its pixels are not. Raises InvalidRequest."""
    shown = f"@{plain(name, 60)}"
    try:
        path = (folder / Path(name).expanduser()).resolve()
        if not path.is_file():
            what = "is not a file" if path.exists() else "is not there"
            raise InvalidRequest(f"{shown} {what}.", fix="Name a picture.")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, RuntimeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InvalidRequest(f"{shown} cannot be read.", f"{why}.") from None
    try:
        kind = read_header(data, "messages").media_type
        if kind == "image/jpeg":
            check_scans(data, "messages")
        width, height = _upright_size(data, kind)
    except HearthError as error:
        why = " ".join(part for part in (error.what, error.why) if part)
        raise InvalidRequest(f"{shown} cannot go along.", why, error.fix) from None
    return Picture(
        name=name,
        path=str(path),
        media_type=kind,
        width=width,
        height=height,
        size=len(data),
        digest=hashlib.blake2b(data, digest_size=16).hexdigest(),
    )


def _upright_size(data: bytes, kind: str) -> tuple[int, int]:
    image = None
    try:
        image = decoder(kind)(data)
        width, height = image.size
        turned = image.getexif().get(_ORIENTATION, 1) in _ON_ITS_SIDE
        moves = kind != "image/jpeg" and getattr(image, "is_animated", False)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError) as error:
        raise InvalidRequest(
            "It is damaged.", f"{plain(str(error), 120)}.", "Save it anew, or take another."
        ) from None
    finally:
        if image is not None:
            image.close()
    if moves:
        raise InvalidRequest(
            "It is animated.",
            "A model looks at one picture at a time.",
            "Take the frames that matter as pictures of their own.",
        )
    return (height, width) if turned else (width, height)


_ORIENTATION = 0x0112
_ON_ITS_SIDE = (5, 6, 7, 8)
"""Values of the EXIF orientation with width and height swapped."""


def decoder(kind: str) -> Callable[[bytes], Any]:
    """What opens a picture's bytes: the one decoder of its media type, as no other has to see a stranger's bytes.

    Unlike `Image.open` it warns of no size; that is checked above, before a pixel is decoded.
    """
    import io

    from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    opens = {
        "image/png": PngImagePlugin.PngImageFile,
        "image/jpeg": JpegImagePlugin.JpegImageFile,
        "image/webp": WebPImagePlugin.WebPImageFile,
        "image/gif": GifImagePlugin.GifImageFile,
        "image/bmp": BmpImagePlugin.BmpImageFile,
    }[kind]
    return lambda data: opens(io.BytesIO(data))


def pictures(message: str, folder: Path) -> tuple[Picture, ...]:
    """The pictures that `message` mentions, each once, in order. Raises InvalidRequest for one that cannot go along.

    How many a request takes is the engine's to say.
    """
    found: dict[str, Picture] = {}
    for span in spans(message):
        names = (reading.name for reading in span.readings)
        name = next((each for each in names if existing(each, folder) == each), None)
        if name is not None and name not in found and is_picture_at(name, folder):
            found[name] = look(name, folder)
    return tuple(found.values())


def is_picture_at(name: str, folder: Path) -> bool:
    """Whether the file that a message mentions as `name` is a picture."""
    try:
        return is_picture(folder / Path(name).expanduser())
    except RuntimeError:
        return False


def placed(message: str, given: Sequence[Picture]) -> list[tuple[Span, Picture]]:
    """Where in `message` its pictures stand: the first mention of each."""
    left = {picture.name: picture for picture in given}
    found = []
    for span in spans(message):
        for candidate in span.readings:
            if candidate.name in left:
                found.append((candidate, left.pop(candidate.name)))
                break
    return found


def kept(message: str, given: Sequence[Picture]) -> tuple[Picture, ...]:
    """Those of `given` that `message` mentions."""
    return tuple(picture for _, picture in placed(message, given))


def content_of(message: str, given: Sequence[Picture]) -> str | tuple[Part, ...]:
    """The content of a message as the engine takes it: text and pictures mixed, in the order written."""
    parts: list[Part] = []
    at = 0
    for span, picture in placed(message, given):
        if text := message[at : span.start]:
            parts.append(TextPart(text))
        parts.append(ImagePart(path=picture.path, media_type=picture.media_type))
        at = span.end
    if not parts:
        return message
    if text := message[at:]:
        parts.append(TextPart(text))
    return tuple(part for part in parts if not isinstance(part, TextPart) or part.text.strip())


def named(message: str, given: Sequence[Picture], form: Callable[[str], str] = str) -> str:
    """`message` with its pictures by their short names, each in the `form` that is wanted."""
    pieces: list[str] = []
    at = 0
    for span, picture in placed(message, given):
        pieces += (message[at : span.start], form(picture.label))
        at = span.end
    return "".join([*pieces, message[at:]])
