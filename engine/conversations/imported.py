"""What reading a file gives: conversations one after the other, each with its files, or an entry that is refused."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from engine.conversations.attachments import AttachmentFiles, digest_of
from engine.errors import InvalidRequest
from engine.media import read_header
from engine.types import Attachment, ConversationTree, RefusedEntry

Files = dict[str, tuple[str, bytes]]
"""(name, bytes) by digest."""


class Imported(Struct, kw_only=True):
    """A conversation that was read, and the files that came with it."""

    tree: ConversationTree
    files: Files = field(default_factory=dict)
    known: bool = False
    """Whether its id says if it is here already."""
    missing: tuple[str, ...] = ()
    """Attachments that it names and that did not come with it."""

    def with_files(self, kept: AttachmentFiles) -> ConversationTree:
        """The tree, its files kept. A path that the file only names is not believed: it could be any file here.

        Raises StorageFailed.
        """
        messages = []
        for message in self.tree.messages:
            attachments = []
            for each in message.attachments:
                path = kept.find(each.digest)
                if path is None and each.digest in self.files and kept.keeps:
                    name, data = self.files[each.digest]
                    path = kept.write(data, name)
                attachments.append(replace(each, path=str(path or "")))
            messages.append(replace(message, attachments=tuple(attachments)))
        return replace(self.tree, messages=tuple(messages))


Entry = Imported | RefusedEntry


def attached(data: bytes, files: Files, name: str = "") -> Attachment:
    """The picture `data`, put among `files`. Raises InvalidRequest where it is no picture that can be read."""
    header = read_header(data, "messages")
    kind = header.media_type
    digest = digest_of(data)
    ending = kind.rpartition("/")[2].replace("jpeg", "jpg")
    plain = "".join(character for character in name if character.isalnum() or character in "-_.")
    stem = plain.rpartition(".")[0] or plain or f"picture-{len(files) + 1}"
    files.setdefault(digest, (f"{stem[:40]}.{ending}", data))
    return Attachment(
        name=files[digest][0],
        path="",
        media_type=kind,
        width=header.width,
        height=header.height,
        size=len(data),
        digest=digest,
    )


def mentioning(text: str, pictures: tuple[Attachment, ...]) -> str:
    """`text` with those pictures mentioned at its end that it does not mention."""
    for picture in pictures:
        if f"@{picture.name}" not in text:
            text += f"{' ' if text and not text[-1].isspace() else ''}@{picture.name}"
    return text


def stable_id(*parts: object) -> str:
    """The id of what a source calls `parts`: the same today and tomorrow."""
    return hashlib.blake2b("\0".join(map(str, parts)).encode("utf-8", "replace"), digest_size=8).hexdigest()


def text(value: Any) -> str:
    """`value` if it is a text, such as can be written down; else empty."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def moment(value: Any, unit: float = 1.0) -> float:
    """A time that a source gives in `unit` seconds, as Unix seconds; 0 where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    seconds = float(value) * unit if abs(value) < 1e18 else math.inf
    return seconds if 0 < seconds < 1e11 else 0.0


def items(value: Any) -> list[Any]:
    """`value` if it is a list; else empty."""
    return value if isinstance(value, list) else []


def fields(value: Any) -> dict[str, Any]:
    """`value` if it is an object; else empty."""
    return value if isinstance(value, dict) else {}


def refusal(name: str, error: Exception) -> RefusedEntry:
    """The entry called `name`, which could not be read."""
    why = error.info.sentence() if isinstance(error, InvalidRequest) else f"{type(error).__name__}: {error}"
    return RefusedEntry(name=text(name)[:200] or "an entry without a title", why=why[:500])
