"""`@file` in a prompt: the text file goes along with the message, below it, fenced and named."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InvalidRequest

LARGEST = 4 * 1024 * 1024
"""Bytes. No context window holds more text than this; the exact check is by tokens."""
_MENTION = re.compile(r'(?<!\S)@(?:"([^"\n]+)"|([^\s"]+))')


@dataclass(frozen=True)
class Attachment:
    path: Path
    text: str

    def fenced(self) -> str:
        """The file as the model reads it; the fence is longer than any in the text."""
        longest = max((len(run) for run in re.findall(r"`{3,}", self.text)), default=2)
        fence = "`" * (longest + 1)
        end = "" if self.text.endswith("\n") else "\n"
        return f"{self.path.name}:\n{fence}\n{self.text}{end}{fence}\n"


def attachments(message: str) -> list[Attachment]:
    """The files that `message` mentions, each once. A mention of no existing file is plain text.

    Raises InvalidRequest for a file that is too large, not readable or not UTF-8 text.
    """
    found: dict[Path, Attachment] = {}
    for quoted, bare in _MENTION.findall(message):
        path = _existing(quoted or bare, stripping=not quoted)
        if path is not None and path not in found:
            found[path] = Attachment(path, _read(path))
    return list(found.values())


def with_attachments(message: str, files: list[Attachment]) -> str:
    """The message that is sent: the text as typed, then the files."""
    return "\n\n".join([message, *(file.fenced() for file in files)])


def _existing(name: str, stripping: bool) -> Path | None:
    # "Look at @notes.txt, please": punctuation after a name is the sentence's, unless the file has it.
    candidates = [name, name.rstrip(".,;:!?)]}'")] if stripping else [name]
    for candidate in candidates:
        path = Path(os.path.expanduser(candidate))
        try:
            if path.exists():
                return path
        except OSError:
            return None
    return None


def _read(path: Path) -> str:
    if not path.is_file():
        raise InvalidRequest(
            f"@{path} is not a file.", fix="Name a text file, or write the message without the @."
        )
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise InvalidRequest(
                f"@{path} is too large to insert.",
                f"It has {size / 1024 / 1024:.1f} MiB, and {LARGEST // 1024 // 1024} MiB is the limit.",
                "Insert the part that matters.",
            )
        data = path.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"@{path} cannot be read.", f"{error.strerror or error}.") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise InvalidRequest(
            f"@{path} is not a text file.", "It is not UTF-8 text.", "Only text can be inserted."
        )
    return text
