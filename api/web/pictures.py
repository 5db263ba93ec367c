"""Pictures attached to a question: looked at before they are kept, and put where its text mentions them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from engine.errors import HearthError, InvalidRequest
from engine.media import check_scans, read_header
from engine.text_safety import plain
from engine.types import Attachment, ImagePart, Part, StoredMessage, TextPart

_ENDINGS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/bmp": "bmp",
}


def attached(files: Sequence[tuple[str, bytes]], folder: Path) -> tuple[Attachment, ...]:
    """The files (name, bytes) as attachments, written into `folder` so that whoever keeps them finds them.

    Their headers are read, no pixel is decoded. Raises InvalidRequest naming the one that cannot go along. Disk work.
    """
    found: list[Attachment] = []
    for place, (said, data) in enumerate(files, 1):
        try:
            header = read_header(data, "images")
            if header.media_type == "image/jpeg":
                check_scans(data, "images")
        except HearthError as error:
            raise InvalidRequest(
                f"{plain(said, 60) or 'A picture'} cannot go along.",
                f"{error.what} {error.why}".strip(),
                error.fix,
                param="images",
            ) from None
        name = _name(said, place, _ENDINGS[header.media_type], {each.name for each in found})
        path = folder / name
        path.write_bytes(data)
        found.append(
            Attachment(
                name=name,
                path=str(path),
                media_type=header.media_type,
                width=header.width,
                height=header.height,
                size=len(data),
            )
        )
    return tuple(found)


def mentioned(text: str, pictures: Sequence[Attachment]) -> str:
    """`text` with its pictures before it, as the workstation writes them."""
    return " ".join(f"@{each.name}" for each in pictures) + "\n\n" + text if pictures else text


def content_of(message: StoredMessage) -> str | tuple[Part, ...]:
    """What a model is sent of a message: text, and each picture where it is mentioned first."""
    if not message.attachments:
        return message.content
    text = message.content
    places: list[tuple[int, int, Attachment | None]] = []
    for each in message.attachments:
        found = re.search(rf'@"?{re.escape(each.name)}"?', text)
        places.append((*(found.span() if found else (len(text), len(text))), each))
    parts: list[Part] = []
    at = 0
    for start, end, picture in sorted(places, key=lambda each: each[:2]):
        if start < at or picture is None:
            continue
        parts += [TextPart(text[at:start]), ImagePart(path=picture.path, media_type=picture.media_type)]
        at = end
    parts.append(TextPart(text[at:]))
    return tuple(part for part in parts if not isinstance(part, TextPart) or part.text.strip())


def kept_with(message: StoredMessage, text: str) -> tuple[str, tuple[Attachment, ...]]:
    """Another wording of a question, with the pictures that it has."""
    shown = tuple(replace(each) for each in message.attachments)
    return mentioned(text, shown), shown


def _name(said: str, place: int, ending: str, taken: set[str]) -> str:
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(said.replace("\\", "/")).stem)[:40].strip("-")
    name = f"{stem or 'picture'}.{ending}"
    return name if name not in taken else f"{stem or 'picture'}-{place}.{ending}"
