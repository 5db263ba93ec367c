"""Text files that go along with a message (`@file`), and those that a schema, a grammar or tools are read from.

    files = attachments("Sum up @notes.txt, please", Path.cwd())
    text = with_files("Sum up @notes.txt, please", files)

Reading may wait for a disk: on a screen run these in a thread.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InvalidRequest
from engine.text_safety import plain
from tui import units
from tui.asking.image_format import is_picture

LARGEST = 4 * 1024 * 1024
"""Bytes. No context window holds more text than this; the exact check is by tokens."""
_MENTION = re.compile(r'(?<!\S)@(?:"([^"\n]+)"|([^\s"]+))')
_PUNCTUATION = ".,;:!?)]}'"
_LIKE_A_FILE = re.compile(r"[/\\]|[^.]\.[A-Za-z0-9]{1,8}$")


@dataclass(frozen=True, slots=True)
class TextFile:
    """A text file that was read; `name` is how it was written."""

    name: str
    path: Path
    text: str

    def fenced(self) -> str:
        """The file as the model reads it: named, in a fence that is longer than any within."""
        longest = max((len(run) for run in re.findall(r"`{3,}", self.text)), default=2)
        fence = "`" * (longest + 1)
        end = "" if self.text.endswith("\n") else "\n"
        return f"{self.path.name}:\n{fence}{self.path.suffix[1:]}\n{self.text}{end}{fence}\n"


@dataclass(frozen=True, slots=True)
class Span:
    """A mention in a text: `text[start:end]` is `@name`, with its quotes if it has some."""

    name: str
    start: int
    end: int
    quoted: bool = False

    @property
    def readings(self) -> tuple[Span, ...]:
        """This, and the mention without the sentence's punctuation behind it."""
        bare = self.name.rstrip(_PUNCTUATION)
        if self.quoted or not bare or bare == self.name:
            return (self,)
        return self, Span(bare, self.start, self.end - (len(self.name) - len(bare)))


def spans(text: str) -> list[Span]:
    """The mentions of a text, in order."""
    return [
        Span(found[1] or found[2], found.start(), found.end(), quoted=found[1] is not None)
        for found in _MENTION.finditer(text)
    ]


def mentioned(text: str) -> list[str]:
    """The names behind the `@`s of a message, each once, in order."""
    return list(dict.fromkeys(span.name for span in spans(text)))


def written(name: str) -> str:
    """The mention of a file as it is typed: quoted where the name has spaces, or an end that a sentence may have."""
    return f'@"{name}"' if re.search(r"\s", name) or name.endswith(tuple(_PUNCTUATION)) else f"@{name}"


def existing(name: str, folder: Path) -> str | None:
    """`name` if that is there, the sentence's punctuation behind it taken off if need be; else None."""
    for candidate in (name, name.rstrip(_PUNCTUATION)):
        try:
            if candidate and (folder / Path(candidate).expanduser()).exists():
                return candidate
        except (OSError, RuntimeError, ValueError):
            return None
    return None


def attachments(message: str, folder: Path, *, largest: int = LARGEST) -> list[TextFile]:
    """The text files that `message` mentions, each once. A mention of nothing that exists is plain text.

    Pictures are left out; they are found by `tui.asking.pictures`.

    Raises InvalidRequest for one that is no file, too large, not readable or not UTF-8 text.
    """
    found: dict[Path, TextFile] = {}
    for mention in mentioned(message):
        name = existing(mention, folder)
        if name is not None and not is_picture(folder / Path(name).expanduser()):
            file = read(name, folder, largest=largest)
            found.setdefault(file.path, file)
    return list(found.values())


def missing(message: str, folder: Path) -> list[str]:
    """The mentions that look like files, by an ending or a path, of which there are none: most likely mistyped."""
    return [
        name
        for name in (mention.rstrip(_PUNCTUATION) for mention in mentioned(message))
        if _LIKE_A_FILE.search(name) and existing(name, folder) is None
    ]


def not_there(names: Sequence[str]) -> list[str]:
    """A sentence for each of `names`."""
    return [
        f"There is no file {plain(name, 60)!r} here: @{plain(name, 60)} went along as text." for name in names
    ]


def with_files(message: str, files: Sequence[TextFile]) -> str:
    """The message that is sent: the text as typed, then the files."""
    return "\n\n".join([message, *(file.fenced() for file in files)])


def read(name: str, folder: Path, *, largest: int = LARGEST) -> TextFile:
    """The text file that a message mentions as `name`. Raises InvalidRequest."""
    return _read(name, folder, f"@{name}", largest)


def text_of(name: str, folder: Path, *, largest: int) -> TextFile:
    """A text file that a person named, for something else than a message. Raises InvalidRequest."""
    return _read(name, folder, repr(name), largest)


def _read(name: str, folder: Path, shown: str, largest: int) -> TextFile:
    try:
        path = folder / Path(name).expanduser()
        if not path.is_file():
            what = "is not a file" if path.exists() else "is not there"
            raise InvalidRequest(f"{shown} {what}.", fix="Name a text file.")
        with path.open("rb") as file:
            data = file.read(largest + 1)
            size = os.fstat(file.fileno()).st_size
    except (OSError, RuntimeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InvalidRequest(f"{shown} cannot be read.", f"{why}.") from None
    if len(data) > largest:
        raise InvalidRequest(
            f"{shown} is too large.",
            f"It has {units.size(max(size, len(data)))}, and {units.size(largest)} is the limit.",
            "Use the part that matters.",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise InvalidRequest(
            f"{shown} is not a text file.", "It is not UTF-8 text.", "Only text can be used."
        )
    return TextFile(name, path, text.replace("\r\n", "\n"))
